"""Which files become which keys when folders are loaded.

A folder gives its files by their path below it, a single file gives its name; the prefix goes in front as it
is. Links to files are read, links to folders are not followed, so no folder is met twice.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from libelli.cli.keys import shown
from libelli.cli.usage import UsageError
from libelli.core.limits import KEY_SIZE_MAX, VALUE_SIZE_MAX


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file and the key that its content goes to.

    Attributes:
        size_bytes: when the folder was read; the file may have changed since.
        flaw: why it cannot be loaded, or empty.
    """

    path: Path
    key: bytes
    size_bytes: int
    flaw: str = ""


def plan(paths: Iterable[Path], *, prefix: bytes) -> list[PlannedFile]:
    """Returns every file below `paths`, sorted by key.

    Raises:
        UsageError: a path is not there, or two files would go to one key.
    """
    found: dict[bytes, PlannedFile] = {}
    for path in paths:
        for file, name in _files(path):
            planned = _planned(file, prefix + name)
            other = found.setdefault(planned.key, planned)
            if other is not planned:
                raise UsageError(
                    f"{other.path} and {file} would both go to the key {shown(planned.key)}: "
                    "load them one after the other, under different prefixes"
                )
    return [found[key] for key in sorted(found)]


def _files(path: Path) -> Iterator[tuple[Path, bytes]]:
    """Yields files with their names relative to `path`; sorted, so that a run can be compared with the next."""
    if path.is_file():
        yield path, os.fsencode(path.name)
        return
    if not path.is_dir():
        raise UsageError(f"{path} is neither a file nor a folder: check the path")
    pending = [path]
    while pending:
        folder = pending.pop()
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                pending.append(entry)
            elif not entry.is_dir():
                yield entry, os.fsencode(entry.relative_to(path).as_posix())


def _planned(file: Path, key: bytes) -> PlannedFile:
    if not file.is_file():
        return PlannedFile(file, key, 0, "is not a regular file, or a link to one that is gone")
    size = file.stat().st_size
    if len(key) > KEY_SIZE_MAX:
        flaw = f"its key would have {len(key):,} bytes; the limit is {KEY_SIZE_MAX:,}"
    elif size > VALUE_SIZE_MAX:
        flaw = f"has {size:,} bytes; the limit of a value is {VALUE_SIZE_MAX:,}"
    else:
        flaw = ""
    return PlannedFile(file, key, size, flaw)
