"""The few things that the log needs from a disk; the simulator and the operating system both offer them.

Names are plain file names in one flat directory. What was written is durable only after `sync`; a created,
renamed or removed name is durable only after `sync_directory`.
"""

from typing import Protocol


class Disk(Protocol):
    """One directory of files.

    Every method raises DiskFullError when there is no room (nothing durable is harmed, it may be tried again)
    and StorageError when the disk cannot be used any more.
    """

    def names(self) -> list[str]:
        """Returns the names of all files, sorted."""
        ...

    def size(self, name: str) -> int:
        """Returns a file's size in bytes."""
        ...

    def read(self, name: str, *, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer at the end of the file."""
        ...

    def create(self, name: str, *, size: int) -> None:
        """Makes a file of `size` zero bytes, to be written in place; one left by an unfinished try may exist."""
        ...

    def write(self, name: str, *, offset: int, data: bytes) -> None:
        """Overwrites bytes in place."""
        ...

    def sync(self, name: str) -> None:
        """Makes the file's contents durable."""
        ...

    def sync_directory(self) -> None:
        """Makes created, renamed and removed names durable."""
        ...

    def truncate(self, name: str, *, size: int) -> None:
        """Cuts a file."""
        ...

    def rename(self, name: str, new_name: str) -> None:
        """Renames a file over another, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file."""
        ...
