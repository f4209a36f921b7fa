"""One directory of files on the operating system's disk, as the log wants it (`host.disk.Disk`).

::

    create   rename a spare over, or write zeros and sync       names beginning with a dot are ours, not the log's
    write    pwrite on a descriptor that stays open
    sync     fdatasync; when it fails the disk is *lost*: every later call fails, nobody asks a second time

A file is filled with real zeros and not only reserved (`posix_fallocate`): the first write into reserved blocks
changes metadata, which the sync then has to make durable too. 4 KiB written and synced took 139 µs at the median
in zeros, 199 µs in reserved blocks and 216 µs when appending (ext4, virtual disk; `tests/live/measure_disk.py`).
Filling 64 MiB takes 50 … 200 ms, in which no write could be acknowledged, so `prepare_spare` does it ahead of
time from another thread.

Source: Rebello et al., Can Applications Recover from fsync Failures?, ATC 2020: after a failed fsync the pages
are marked clean, so a second fsync that succeeds proves nothing.
"""

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from libelli.core.errors import DiskFullError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
"""Connections have taken all; whoever holds them can be a stranger, so it must not end a node."""
DESCRIPTORS_MAX = 16
"""Files that stay open."""
FILL_SIZE = 1024 * 1024
_FILE_MODE = 0o600
_ZEROS = bytes(FILL_SIZE)


def storage_error(error: OSError, what: str) -> StorageError:
    """Returns the error of our tree for one of the operating system."""
    if error.errno in NO_ROOM:
        return DiskFullError(f"{what}: {error.strerror}: free some space; writes wait until then")
    if error.errno in NO_DESCRIPTOR:
        return DiskFullError(f"{what}: {error.strerror}: writes wait until connections end, or raise the limit")
    return StorageError(f"{what}: {error.strerror} (errno {error.errno}): look at the disk, then start again")


class OsDisk:
    """Files in `directory`, which is made when it is missing; used by one thread at a time.

    Args:
        directory: where the files are.
        on_sync: told how many seconds each sync took.
        on_create: told the size of each created file, so that a spare for the next can be prepared.

    Raises:
        StorageError: the directory cannot be made or opened.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_sync: Callable[[float], None] | None = None,
        on_create: Callable[[int], None] | None = None,
    ) -> None:
        self._path = directory
        self._on_sync = on_sync
        self._on_create = on_create
        self._lost = ""
        self._descriptors: OrderedDict[str, int] = OrderedDict()
        with self._translated("open directory"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._remove_unfinished()

    def close(self) -> None:
        """Closes every descriptor; the disk cannot be used any more."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        os.close(self._directory)
        self._lost = self._lost or f"{self._path} is closed"

    def names(self) -> list[str]:
        """Returns the names of all files, sorted."""
        with self._translated("list"):
            return sorted(path.name for path in self._path.iterdir() if not path.name.startswith("."))

    def size(self, name: str) -> int:
        """Returns a file's size in bytes."""
        with self._translated("size of", name):
            return os.fstat(self._open(name)).st_size

    def read(self, name: str, *, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer at the end of the file."""
        with self._translated("read", name):
            descriptor = self._open(name)
            parts = []
            while size:
                part = os.pread(descriptor, size, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
            return b"".join(parts)

    def create(self, name: str, *, size: int) -> None:
        """Makes a file of `size` zero bytes, replacing one left by an unfinished try."""
        with self._translated("create", name):
            self._forget(name)
            if not self._take_spare(name, size):
                self._make_zeros(name, size)
        if self._on_create is not None:
            self._on_create(size)

    def write(self, name: str, *, offset: int, data: bytes) -> None:
        """Overwrites bytes in place."""
        with self._translated("write", name):
            descriptor = self._open(name)
            written = os.pwrite(descriptor, data, offset)
            rest = memoryview(data)
            while written < len(rest):
                rest = rest[written:]
                offset += written
                written = os.pwrite(descriptor, rest, offset)

    def sync(self, name: str) -> None:
        """Makes the file's contents durable.

        Raises:
            StorageError: it failed, for whatever reason; the disk cannot be used any more.
        """
        with self._translated("sync", name):
            descriptor = self._open(name)
            began = time.perf_counter()
            self._durably(lambda: os.fdatasync(descriptor), f"sync {self._path / name}")
            if self._on_sync is not None:
                self._on_sync(time.perf_counter() - began)

    def sync_directory(self) -> None:
        """Makes created, renamed and removed names durable."""
        with self._translated("sync directory"):
            self._durably(lambda: os.fsync(self._directory), f"sync {self._path}")

    def truncate(self, name: str, *, size: int) -> None:
        """Cuts a file."""
        with self._translated("truncate", name):
            os.ftruncate(self._open(name), size)

    def rename(self, name: str, new_name: str) -> None:
        """Renames a file over another, in one step."""
        with self._translated("rename", name):
            self._forget(name)
            self._forget(new_name)
            os.rename(name, new_name, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def remove(self, name: str) -> None:
        """Removes a file."""
        with self._translated("remove", name):
            self._forget(name)
            os.unlink(name, dir_fd=self._directory)

    def prepare_spare(self, size: int) -> None:
        """Makes ready the file that the next `create` of this size takes; from any one other thread.

        Raises:
            DiskFullError: no room; `create` will try for itself.
        """
        spare = _spare_name(size)
        try:
            if size and not self._lost and not (self._path / spare).exists():
                self._make_zeros(f"{spare}.unfinished", size)
                os.rename(f"{spare}.unfinished", spare, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            with suppress(OSError):
                os.unlink(f"{spare}.unfinished", dir_fd=self._directory)
            raise storage_error(error, f"prepare {self._path / spare}") from error

    def _take_spare(self, name: str, size: int) -> bool:
        try:
            os.rename(_spare_name(size), name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except FileNotFoundError:
            return False
        return True

    def _make_zeros(self, name: str, size: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(name, flags, _FILE_MODE, dir_fd=self._directory)
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)  # in one piece, and no room is found out at once
            offset = 0
            while offset < size:
                offset += os.pwrite(descriptor, _ZEROS[: size - offset], offset)
                # Piece by piece, so that a sync of the log need not wait for all of it. Nothing is in the file yet,
                # so a failure here may be tried again.
                os.fdatasync(descriptor)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.unlink(name, dir_fd=self._directory)
            raise
        finally:
            os.close(descriptor)

    def _remove_unfinished(self) -> None:
        with self._translated("clean up"):
            for path in self._path.glob(".spare-*.unfinished"):
                path.unlink()

    def _open(self, name: str) -> int:
        descriptor = self._descriptors.get(name)
        if descriptor is not None:
            self._descriptors.move_to_end(name)
            return descriptor
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._directory)
        self._descriptors[name] = descriptor
        if len(self._descriptors) > DESCRIPTORS_MAX:
            os.close(self._descriptors.popitem(last=False)[1])
        return descriptor

    def _forget(self, name: str) -> None:
        descriptor = self._descriptors.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def _durably(self, sync: Callable[[], None], what: str) -> None:
        try:
            sync()
        except OSError as error:
            # Not even "no room" may be tried again: what was written is perhaps no longer in the page cache.
            self._lost = f"{what}: {error.strerror} (errno {error.errno}): what the disk holds is unknown"
            raise StorageError(f"{self._lost}; look at the disk, then start again") from error

    @contextmanager
    def _translated(self, what: str, name: str = "") -> "Iterator[None]":
        if self._lost:
            raise StorageError(self._lost)
        try:
            yield
        except OSError as error:
            raise storage_error(error, f"{what} {self._path / name}") from error


def _spare_name(size: int) -> str:
    return f".spare-{size}"
