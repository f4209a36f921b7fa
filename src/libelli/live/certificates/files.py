"""Files that only their owner may read, written whole or not at all.

::

    .n1.pem.3f9a….tmp   created 0600, exclusively      a secret never exists with a looser mode
            │ write, fsync
            ▼
    n1.pem              rename, fsync of the directory  readers see the old bytes or the new ones

Differs from the usual `write; chmod`: the mode is an argument of the creating call, so there is no moment in
which another user could open the file. Looser modes of existing files are refused when they are read, as ssh
refuses a private key that others can read.
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from libelli.live.certificates.errors import FileError, FileModeError

DIRECTORY_MODE = 0o700
SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
OTHERS_MAY_ANYTHING = 0o077
OTHERS_MAY_WRITE = 0o022
LOCK_WAIT_S = 30
LOCK_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file is still the one that was read."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def stamp_of(path: Path) -> Stamp | None:
    """Returns the stamp of `path`, or None where nothing is.

    Raises:
        FileError: the directory cannot be searched.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_secret(path: Path, *, size_max: int) -> bytes:
    """Returns the bytes of a file that nobody but its owner can read.

    Raises:
        FileModeError: others may read or write it.
        FileError: it is missing, no file, or larger than `size_max` bytes.
    """
    return _read(path, size_max=size_max, forbidden=OTHERS_MAY_ANYTHING)


def read_public(path: Path, *, size_max: int) -> bytes:
    """Returns the bytes of a file that may be readable by all.

    Raises:
        FileError: it is missing, no file, or larger than `size_max` bytes.
    """
    return _read(path, size_max=size_max, forbidden=0)


def _read(path: Path, *, size_max: int, forbidden: int) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            # a pipe (a shell's `<(…)`) belongs to this process's own family and has no mode worth checking
            if stat.S_ISREG(status.st_mode):
                _require_mode(path, status, forbidden=forbidden, remedy="chmod 600")
            data = file.read(size_max + 1)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    if len(data) > size_max:
        raise FileError(f"{path} is larger than {size_max:,} bytes, so it is not what it should be: check the path")
    return data


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Puts `data` at `path` durably and at once, in place of what was there.

    Raises:
        FileError: it cannot be written; what was at `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_new(temporary, data, mode=mode)
        temporary.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, forbidden: int) -> None:
    """Makes `path` and its missing parents, each for its owner only.

    Args:
        path: a directory that may exist.
        forbidden: mode bits that an existing directory must not have.

    Raises:
        FileModeError: it exists and others may do what `forbidden` says.
        FileError: it cannot be made, or is no directory.
    """
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    try:
        for parent in reversed(missing):
            parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise FileError(f"directory {path} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise FileError(f"{path} is not a directory: choose another place")
    _require_mode(path, status, forbidden=forbidden, remedy="chmod 700")


def require_directory(path: Path, *, forbidden: int) -> None:
    """Refuses a directory that is missing or has a bit of `forbidden` in its mode.

    Raises:
        FileModeError: others may do what `forbidden` says.
        FileError: it is missing.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    _require_mode(path, status, forbidden=forbidden, remedy="chmod 700")


def _require_mode(path: Path, status: os.stat_result, *, forbidden: int, remedy: str) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        what = "read" if mode & forbidden & 0o044 else "change"
        raise FileModeError(
            f"{path} has mode {mode:04o}, so others than its owner may {what} it: make it private with"
            f" `{remedy} {path}`, or choose another"
        )


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds `path`, created where it is missing, against other processes; yields its descriptor.

    Raises:
        FileError: it cannot be opened, or another process held it for `LOCK_WAIT_S`.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, SECRET_MODE)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    try:
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise FileError(
                    f"{path} was held by another process for {LOCK_WAIT_S} seconds: let it finish, or end it"
                ) from error
        time.sleep(LOCK_POLL_S)
