"""A log's files for reading only: what recovery of the log would cut or remove stays as it is."""

from pathlib import Path

from libelli.core.errors import StorageError


class ReadingDisk:
    """Files in `directory` as a `host.disk.Disk` that never changes them.

    `recover` cuts a torn tail and the zeros behind it, and removes a segment that was being made; here it only reads
    as if it had.

    Raises:
        StorageError: a file cannot be read, or something is to be written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        """Returns the names of all files, sorted."""
        try:
            return sorted(path.name for path in self._directory.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise StorageError(f"{self._directory}: {error.strerror}: check the path of the data folder") from error

    def size(self, name: str) -> int:
        """Returns a file's size in bytes."""
        try:
            return (self._directory / name).stat().st_size
        except OSError as error:
            raise StorageError(f"{self._directory / name}: {error.strerror}") from error

    def read(self, name: str, *, offset: int, size: int) -> bytes:
        """Returns up to `size` bytes; fewer at the end of the file."""
        try:
            with (self._directory / name).open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise StorageError(f"{self._directory / name}: {error.strerror}") from error

    def sync(self, name: str) -> None:
        """Nothing was written."""

    def sync_directory(self) -> None:
        """Nothing was changed."""

    def truncate(self, name: str, *, size: int) -> None:
        """What would be cut stays."""

    def remove(self, name: str) -> None:
        """What would be removed stays."""

    def create(self, name: str, *, size: int) -> None:
        """Refuses.

        Raises:
            StorageError: always.
        """
        raise self._refusal(name)

    def write(self, name: str, *, offset: int, data: bytes) -> None:
        """Refuses.

        Raises:
            StorageError: always.
        """
        raise self._refusal(name)

    def rename(self, name: str, new_name: str) -> None:
        """Refuses.

        Raises:
            StorageError: always.
        """
        raise self._refusal(name)

    def _refusal(self, name: str) -> StorageError:
        return StorageError(f"{self._directory / name} is opened for reading only: nothing of it may change")
