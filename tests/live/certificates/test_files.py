"""Secrets are private from their first moment, and files are written whole or not at all."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from libelli.live.certificates import Authority, FileError, FileModeError, IssueRequest, Kind, load_bundle
from libelli.live.certificates.files import (
    OTHERS_MAY_ANYTHING,
    OTHERS_MAY_WRITE,
    SECRET_MODE,
    locked,
    make_directory,
    read_public,
    read_secret,
    stamp_of,
    write_file,
)
from tests.live.certificates.handshakes import new_authority


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The most generous umask: what is private now was created private."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def issue_elsewhere(authority: Authority, directory: Path) -> Path:
    return authority.issue(IssueRequest(name="n1", kind=Kind.PEER), directory=directory).path


@pytest.mark.usefixtures("open_umask")
def test_keys_and_their_directories_belong_to_their_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "ca"
    authority = new_authority(home)
    bundle = authority.issue(IssueRequest(name="n1", kind=Kind.PEER)).path
    private = [home / "authority.pem", home / "index.jsonl", bundle]
    assert {mode_of(path) for path in private} == {0o600}
    assert {mode_of(path) for path in (tmp_path / "deep", home, bundle.parent)} == {0o700}
    assert {mode_of(path) for path in (home / "ca.pem", home / "crl.pem")} == {0o644}


@pytest.mark.usefixtures("open_umask")
def test_the_mode_stands_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    really_open = os.open

    def watched_open(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = really_open(path, flags, mode)
        if flags & os.O_CREAT:
            status = os.fstat(descriptor)
            seen.append((status.st_mode & 0o777, status.st_size))
        return descriptor

    monkeypatch.setattr(os, "open", watched_open)
    write_file(tmp_path / "secret", b"s", mode=SECRET_MODE)
    assert seen == [(0o600, 0)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_can_reach_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    authority = new_authority(tmp_path / "ca")
    bundle = authority.issue(IssueRequest(name="n1", kind=Kind.PEER)).path
    bundle.chmod(mode)
    with pytest.raises(FileModeError, match=rf"has mode {mode:04o}, .*`chmod 600 {bundle}`"):
        load_bundle(bundle)
    key = authority.home / "authority.pem"
    key.chmod(mode)
    with pytest.raises(FileModeError, match="chmod 600"):
        Authority.open(authority.home)


def test_an_authority_in_an_open_directory_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "ca"
    home.mkdir(mode=0o755)
    with pytest.raises(FileModeError, match=rf"mode 0755, .*`chmod 700 {home}`"):
        new_authority(home)
    assert list(home.iterdir()) == []
    home.chmod(0o700)
    new_authority(home)
    home.chmod(0o750)
    with pytest.raises(FileModeError, match="chmod 700"):
        Authority.open(home)


def test_a_bundle_goes_where_others_may_look_but_not_where_they_may_write(tmp_path: Path) -> None:
    authority = new_authority(tmp_path / "ca")
    shared, written = tmp_path / "shared", tmp_path / "written"
    shared.mkdir(mode=0o755)
    written.mkdir()
    written.chmod(0o777)
    assert mode_of(issue_elsewhere(authority, shared)) == 0o600
    with pytest.raises(FileModeError, match="others than its owner may change it"):
        authority.issue(IssueRequest(name="n2", kind=Kind.PEER), directory=written)
    assert list(written.iterdir()) == []


def test_a_file_in_the_way_of_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("")
    with pytest.raises(FileError, match="is not a directory"):
        new_authority(tmp_path / "ca")
    with pytest.raises(FileError, match="cannot be made"):
        make_directory(tmp_path / "ca" / "deeper", forbidden=OTHERS_MAY_WRITE)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1.pem"
    write_file(path, b"old", mode=SECRET_MODE)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"n1.pem cannot be written: No space left on device"):
        write_file(path, b"new", mode=SECRET_MODE)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["n1.pem"]


def test_an_index_that_cannot_be_written_hands_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = new_authority(tmp_path / "ca")
    written = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: written(descriptor, data[:10]))
    with pytest.raises(FileError, match=r"10 of \d+ bytes were written"):
        authority.issue(IssueRequest(name="n1", kind=Kind.PEER))
    monkeypatch.undo()
    assert authority.entries() == ()
    assert list((authority.home / "bundles").glob("n1.pem")) == []
    authority.issue(IssueRequest(name="n1", kind=Kind.PEER))


def test_what_is_too_large_missing_or_a_directory_is_told(tmp_path: Path) -> None:
    path = tmp_path / "large.pem"
    path.write_bytes(b"x" * 11)
    path.chmod(0o600)
    assert read_secret(path, size_max=11) == b"x" * 11
    with pytest.raises(FileError, match=r"larger than 10 bytes"):
        read_secret(path, size_max=10)
    with pytest.raises(FileError, match="No such file"):
        read_public(tmp_path / "missing", size_max=10)
    with pytest.raises(FileError, match="Is a directory"):
        read_public(tmp_path, size_max=10)


def test_a_stamp_tells_a_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "n1.pem"
    assert stamp_of(path) is None
    write_file(path, b"same", mode=SECRET_MODE)
    before = stamp_of(path)
    assert stamp_of(path) == before
    write_file(path, b"same", mode=SECRET_MODE)
    assert stamp_of(path) != before


def test_two_processes_issue_one_after_the_other(tmp_path: Path) -> None:
    """Descriptors of one process exclude each other as those of two processes do."""
    authority = new_authority(tmp_path / "ca")
    issued = threading.Event()

    def issue() -> None:
        authority.issue(IssueRequest(name="n1", kind=Kind.PEER))
        issued.set()

    with locked(authority.home / "index.jsonl"):
        thread = threading.Thread(target=issue)
        thread.start()
        assert authority.entries() == ()
        assert not issued.is_set()
    thread.join(timeout=60)
    assert issued.is_set()


def test_a_lock_that_is_never_freed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libelli.live.certificates.files.LOCK_WAIT_S", 0)
    authority = new_authority(tmp_path / "ca")
    with locked(authority.home / "index.jsonl"), pytest.raises(FileError, match="held by another process"):
        authority.issue(IssueRequest(name="n1", kind=Kind.PEER))


def test_directories_are_made_private_one_by_one(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b", forbidden=OTHERS_MAY_ANYTHING)
    assert {mode_of(tmp_path / "a"), mode_of(tmp_path / "a" / "b")} == {0o700}
