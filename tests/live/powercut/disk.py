"""A disk that loses its power: what is durable, what may be, and what it may look like afterwards.

::

    write ──► pending ──sync──► durable          a file's bytes, by sectors of 512 bytes
    name  ──► pending ──sync──► durable          a directory's names, in their order

A cut keeps everything durable, of each file's pending sectors whichever the dice say, and of each directory's
pending names the first so many: file systems that keep a journal keep the order of names.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.live.powercut.trace import Made, Operation, Removed, Renamed, Resized, Said, Synced, Written

SECTOR_SIZE = 512

Piece = tuple[int, bytes]
"""Where it is written, and what; a new size is written as nothing at its end."""


@dataclass
class File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Piece] = field(default_factory=list)

    def sync(self) -> None:
        for piece in self.pending:
            _apply(self.durable, piece)
        self.pending = []

    def after_cut(self, dice: random.Random) -> bytes:
        image = bytearray(self.durable)
        for piece in _survivors(self.pending, dice):
            _apply(image, piece)
        return bytes(image)


Names = dict[str, File | None]
"""By path; None is a directory."""


@dataclass(frozen=True)
class _Rename:
    old: str
    new: str


_NameChange = tuple[str, File | None] | str | _Rename


class Disk:
    """Does what a process did, and knows what of it a power cut could leave."""

    def __init__(self, root: str) -> None:
        self._now: Names = {root: None}
        self._durable: Names = {root: None}
        self._pending: dict[str, list[_NameChange]] = {}

    def begin(self, operation: Operation) -> None:
        """The operation is under way: all that it does may be durable or not."""
        match operation:
            case Made(path, is_directory):
                self._change(path, (path, None if is_directory else File()))
            case Written(path, offset, data):
                self._file(path).pending.append((offset, data))
            case Resized(path, size):
                self._file(path).pending.append((size, b""))
            case Renamed(old, new):
                self._change(old, _Rename(old, new))
            case Removed(path):
                self._change(path, path)
            case Synced() | Said():
                pass

    def end(self, operation: Operation) -> None:
        """The operation has returned."""
        match operation:
            case Written(path, is_synced=True):
                file = self._file(path)
                _apply(file.durable, file.pending.pop())
            case Synced(path) if self._now[path] is None:
                for change in self._pending.pop(path, []):
                    _change_names(self._durable, change)
            case Synced(path):
                self._file(path).sync()
            case _:
                pass

    def cut(self, dice: random.Random, target: Path, root: str) -> None:
        """Makes under `target` what could be left of `root`."""
        names = dict(self._durable)
        for _, changes in sorted(self._pending.items()):
            for change in changes[: dice.randint(0, len(changes))]:
                _change_names(names, change)
        for path, file in sorted(names.items()):
            if not all(str(parent) in names for parent in PurePosixPath(path).parents if str(parent) >= root):
                continue  # the name of a directory above it was lost
            place = target / PurePosixPath(path).relative_to(root)
            if file is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_bytes(file.after_cut(dice))

    def _change(self, path: str, change: _NameChange) -> None:
        _change_names(self._now, change)
        self._pending.setdefault(str(PurePosixPath(path).parent), []).append(change)

    def _file(self, path: str) -> File:
        file = self._now[path]
        assert file is not None, f"{path} is a directory"
        return file


def _change_names(names: Names, change: _NameChange) -> None:
    match change:
        case _Rename(old, new):
            names[new] = names.pop(old)
        case str():
            del names[change]
        case (path, file):
            names[path] = file


def _apply(image: bytearray, piece: Piece) -> None:
    offset, data = piece
    if len(image) < offset + len(data):
        image.extend(bytes(offset + len(data) - len(image)))
    image[offset : offset + len(data)] = data


def _sectors(piece: Piece) -> Iterator[Piece]:
    offset, data = piece
    if not data:
        yield piece
    while data:
        size = SECTOR_SIZE - offset % SECTOR_SIZE
        yield offset, data[:size]
        offset, data = offset + size, data[size:]


def _survivors(pending: list[Piece], dice: random.Random) -> list[Piece]:
    """Returns the sectors that reach the disk: none, all, the first, some, or some whole writes."""
    sectors = [sector for piece in pending for sector in _sectors(piece)]
    match dice.randrange(5):
        case 0:
            return []
        case 1:
            return sectors
        case 2:
            return sectors[: dice.randint(0, len(sectors))]
        case 3:
            share = dice.random()
            return [sector for sector in sectors if dice.random() < share]
        case _:
            return [piece for piece in pending if dice.random() < 0.5]
