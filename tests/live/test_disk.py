"""The operating system's disk: what the log needs from it, and how it fails."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libelli.core.errors import DiskFullError, StorageError
from libelli.live.disk import DESCRIPTORS_MAX, OsDisk
from libelli.live.lock import DirectoryLock, lock_holder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[OsDisk]:
    disk = OsDisk(tmp_path / "log")
    yield disk
    disk.close()


def test_a_created_file_is_all_zeros_and_has_its_whole_size(disk: OsDisk) -> None:
    disk.create("a", size=5000)
    assert disk.size("a") == 5000
    assert disk.read("a", offset=0, size=9999) == bytes(5000)


def test_a_created_file_takes_its_blocks_at_once(disk: OsDisk, tmp_path: Path) -> None:
    disk.create("a", size=64 * 1024)
    assert (tmp_path / "log" / "a").stat().st_blocks * 512 >= 64 * 1024


def test_create_replaces_what_an_unfinished_try_left(disk: OsDisk) -> None:
    disk.create("a", size=8)
    disk.write("a", offset=0, data=b"rubbish!")
    disk.create("a", size=4)
    assert disk.read("a", offset=0, size=9) == bytes(4)


def test_written_bytes_are_read_back_where_they_were_put(disk: OsDisk) -> None:
    disk.create("a", size=10)
    disk.write("a", offset=3, data=b"xyz")
    disk.sync("a")
    assert disk.read("a", offset=2, size=5) == b"\0xyz\0"


def test_names_are_sorted_and_hide_spares(disk: OsDisk) -> None:
    disk.create("b", size=1)
    disk.create("a", size=1)
    disk.prepare_spare(1)
    assert disk.names() == ["a", "b"]


def test_create_takes_the_spare_of_its_size(disk: OsDisk, tmp_path: Path) -> None:
    disk.prepare_spare(100)
    inode = (tmp_path / "log" / ".spare-100").stat().st_ino
    disk.create("a", size=99)
    assert (tmp_path / "log" / "a").stat().st_ino != inode
    disk.create("b", size=100)
    assert (tmp_path / "log" / "b").stat().st_ino == inode
    assert disk.read("b", offset=0, size=200) == bytes(100)
    assert not (tmp_path / "log" / ".spare-100").exists()


def test_an_unfinished_spare_is_removed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".spare-7.unfinished").write_bytes(b"half")
    OsDisk(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_rename_replaces_and_reads_follow(disk: OsDisk) -> None:
    for name, text in (("old", b"o"), ("new", b"n")):
        disk.create(name, size=1)
        disk.write(name, offset=0, data=text)
    disk.rename("new", "old")
    disk.sync_directory()
    assert disk.names() == ["old"]
    assert disk.read("old", offset=0, size=1) == b"n"


def test_a_removed_file_is_gone_also_for_open_descriptors(disk: OsDisk) -> None:
    disk.create("a", size=1)
    assert disk.size("a") == 1
    disk.remove("a")
    with pytest.raises(StorageError, match="No such file"):
        disk.size("a")


def test_truncate_cuts(disk: OsDisk) -> None:
    disk.create("a", size=10)
    disk.truncate("a", size=4)
    assert disk.size("a") == 4


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_open_files_are_bounded(disk: OsDisk) -> None:
    before = open_files()
    for number in range(3 * DESCRIPTORS_MAX):
        disk.create(f"f{number:03}", size=1)
        disk.write(f"f{number:03}", offset=0, data=b"x")
    assert open_files() - before <= DESCRIPTORS_MAX
    assert disk.read("f000", offset=0, size=1) == b"x"


def test_syncs_are_timed(tmp_path: Path) -> None:
    times: list[float] = []
    disk = OsDisk(tmp_path, on_sync=times.append)
    disk.create("a", size=1)
    disk.sync("a")
    disk.close()
    assert len(times) == 1


@contextmanager
def file_limit() -> Iterator[None]:
    """No file may grow over 4 KiB: writing more fails with EFBIG, as on a disk with no room.

    Held no longer than needed: the limit is that of the whole process, and its output may go to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_for_a_new_file_leaves_nothing_behind(disk: OsDisk) -> None:
    with file_limit():
        with pytest.raises(DiskFullError, match="free some space"):
            disk.create("a", size=10_000)
        assert disk.names() == []
        disk.create("a", size=4096)
    assert disk.size("a") == 4096


def test_no_room_for_a_spare_is_told_and_harmless(disk: OsDisk, tmp_path: Path) -> None:
    with file_limit(), pytest.raises(DiskFullError):
        disk.prepare_spare(10_000)
    assert list((tmp_path / "log").iterdir()) == []


def test_a_write_without_room_may_be_tried_again(disk: OsDisk) -> None:
    with file_limit():
        disk.create("a", size=4096)
        with pytest.raises(DiskFullError):
            disk.write("a", offset=4096, data=b"more")
        disk.write("a", offset=0, data=b"less")
    assert disk.read("a", offset=0, size=4) == b"less"


def test_a_file_that_finds_no_descriptor_is_tried_again(disk: OsDisk) -> None:
    """Strangers can take all descriptors with connections that never say anything: that must not end a node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(DiskFullError, match="until connections end"):
            disk.create("a", size=8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    disk.create("a", size=8)
    assert disk.size("a") == 8


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_after_a_failed_sync_the_disk_is_never_asked_again(
    disk: OsDisk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    disk.create("a", size=8)

    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(StorageError, match="what the disk holds is unknown") as raised:
            disk.sync("a")
        assert not isinstance(raised.value, DiskFullError)
    for call in (lambda: disk.sync("a"), lambda: disk.write("a", offset=0, data=b"x"), disk.sync_directory):
        with pytest.raises(StorageError, match="unknown"):
            call()


def test_an_unusable_directory_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/log"):
        OsDisk(tmp_path / "file" / "log")


def test_a_second_process_cannot_have_the_directory(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    assert lock_holder(tmp_path) == os.getpid()
    script = f"from pathlib import Path; from libelli.live.lock import *; DirectoryLock(Path({str(tmp_path)!r}))"
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert f"in use by process {os.getpid()}" in second.stderr
    lock.release()
    assert lock_holder(tmp_path) is None
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nobody_holds_a_directory_that_was_never_used(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "never") is None
