"""One process a data directory: a file lock that ends with the process, whatever ends it."""

import fcntl
import os
import time
from pathlib import Path

from libelli.core.errors import StorageError

LOCK_NAME = "lock"
ATTEMPTS = 4
ATTEMPT_DELAY_S = 0.05
"""Long enough for `lock_holder`, which holds the lock while it looks."""


class DirectoryLock:
    """Holds `directory` for this process, until `release` or the process's end.

    The file also says who holds it. It is never removed: a lock on a removed file keeps nobody out.

    Raises:
        StorageError: another process holds it, or the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"data directory {directory}: {error.strerror}: choose another with --data") from error
        if not any(_try_lock(self._descriptor, delay_s=ATTEMPT_DELAY_S * n) for n in range(ATTEMPTS)):
            holder = _holder(self._descriptor)
            os.close(self._descriptor)
            raise StorageError(
                f"data directory {directory} is in use by process {holder or 'unknown'}: stop that first,"
                " or choose another directory"
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets others have the directory."""
        os.close(self._descriptor)


def lock_holder(directory: Path) -> int | None:
    """Returns the id of the process that holds `directory` (0: it does not say), or None when nobody does."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _try_lock(descriptor, delay_s=0) else _holder(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, delay_s: float) -> bool:
    time.sleep(delay_s)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
