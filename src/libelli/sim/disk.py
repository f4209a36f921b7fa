"""A simulated disk: it takes time, it can hang or be full, and a crash loses what was not synced.

::

    write, truncate ──► pending of the file ────── sync ──────────► durable contents
    create, rename, remove ──► pending names ── sync_directory ───► durable names
                                    │
                                  crash: a `Tear` decides what of the pending things is kept

The log's code calls the disk as it would call an operating system, and sees its own writes at once. Each call
takes some microseconds of virtual time, and has its effect on what is durable only when these are over. So a
crash can fall between any two calls, or into the middle of one.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from libelli.core.errors import DiskFullError, StorageError

if TYPE_CHECKING:
    from random import Random

SECTOR_SIZE = 512
"""A crash keeps a written sector or not; whole sectors only, as disks promise."""


class Tear(Protocol):
    """Decides what a crash leaves of things that were not durable."""

    def names_kept(self, count: int) -> int:
        """Returns how many of `count` changes of names are kept: the first ones."""
        ...

    def sectors_kept(self, count: int) -> Sequence[bool]:
        """Returns which of `count` written sectors of a file are kept; a change of size counts as one."""
        ...


class KeepAll:
    """Everything was durable already, though nobody had said so."""

    def names_kept(self, count: int) -> int:
        """See `Tear`."""
        return count

    def sectors_kept(self, count: int) -> Sequence[bool]:
        """See `Tear`."""
        return [True] * count


class KeepNone:
    """All that was not synced is gone."""

    def names_kept(self, count: int) -> int:
        """See `Tear`."""
        return 0

    def sectors_kept(self, count: int) -> Sequence[bool]:
        """See `Tear`."""
        return [False] * count


class RandomTear:
    """Keeps what the dice say.

    Args:
        random: the dice.
    """

    def __init__(self, random: "Random") -> None:
        self._random = random

    def names_kept(self, count: int) -> int:
        """See `Tear`."""
        return self._random.randint(0, count)

    def sectors_kept(self, count: int) -> Sequence[bool]:
        """See `Tear`."""
        share = self._random.choice((0.0, 0.5, 0.9, 1.0))
        return [self._random.random() < share for _ in range(count)]


class DiskTimes(Struct, frozen=True, kw_only=True):
    """How long a disk takes, in microseconds.

    Attributes:
        sync_us: for a sync.
        jitter_us: up to this much more for a sync, drawn anew each time.
        call_us: for any other call.
        mib_us: for each MiB that is read or written.
    """

    sync_us: int = 400
    jitter_us: int = 200
    call_us: int = 10
    mib_us: int = 1_000


class Change(Struct):
    """A change of a file that is not synced: a write of `data` at `offset`, or a new size, `offset`."""

    offset: int
    data: bytes | None


class File:
    """A file's durable bytes, the bytes that a reader sees, and the changes between them."""

    __slots__ = ("durable", "pending", "seen")

    def __init__(self, size: int) -> None:
        self.durable = bytearray()
        self.seen = bytearray(size)
        self.pending: list[Change] = [Change(size, None)]

    def settle(self) -> None:
        """Makes the pending changes durable."""
        for change in self.pending:
            _apply(self.durable, change, None)
        self.pending.clear()

    def tear(self, tear: Tear) -> None:
        """Keeps of the pending changes what `tear` says, and is then as after a start."""
        kept = iter(tear.sectors_kept(sum(map(_sectors, self.pending))))
        for change in self.pending:
            _apply(self.durable, change, [next(kept) for _ in range(_sectors(change))])
        self.pending.clear()
        self.seen = bytearray(self.durable)


def _sectors(change: Change) -> int:
    return 1 if change.data is None else -(-len(change.data) // SECTOR_SIZE)


def _apply(contents: bytearray, change: Change, kept: Sequence[bool] | None) -> None:
    """Changes `contents`; of a write only the sectors that are `kept` (None: all)."""
    if change.data is None:
        if kept is None or kept[0]:
            del contents[change.offset :]
            contents.extend(bytes(change.offset - len(contents)))
        return
    if kept is None:
        _put(contents, change.offset, change.data)
        return
    for number, keep in enumerate(kept):
        if keep:
            at = number * SECTOR_SIZE
            _put(contents, change.offset + at, change.data[at : at + SECTOR_SIZE])


def _put(contents: bytearray, offset: int, data: bytes) -> None:
    if len(contents) < offset:
        contents.extend(bytes(offset - len(contents)))
    contents[offset : offset + len(data)] = data


class SimulatedDisk:
    """One directory of files, as `host.disk.Disk` wants it.

    Args:
        random: for jitter and for what a crash tears.
        times: how long calls take.

    Attributes:
        room_bytes: how much its files may take (None: no limit).
        busy_us: until when its last call lasts.
        syncs: how many syncs were asked for.
    """

    def __init__(self, *, random: "Random", times: DiskTimes | None = None) -> None:
        self._random = random
        self._times = times or DiskTimes()
        self._names: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._pending_names: list[tuple[str, File | None]] = []
        self._unsettled: deque[tuple[int, str, Any]] = deque()
        self._hung_us: int | None = None
        self.room_bytes: int | None = None
        self.busy_us = 0
        self.syncs = 0

    # ── what the log calls ────────────────────────────────────────────────────────────────────────────────

    def names(self) -> list[str]:
        """See `Disk`."""
        return sorted(self._names)

    def size(self, name: str) -> int:
        """See `Disk`."""
        return len(self._file(name).seen)

    def read(self, name: str, *, offset: int, size: int) -> bytes:
        """See `Disk`."""
        self._take(self._times.call_us + size * self._times.mib_us // 2**20)
        return bytes(self._file(name).seen[offset : offset + size])

    def create(self, name: str, *, size: int) -> None:
        """See `Disk`."""
        old = self._names.get(name)
        used = self.used_bytes - (len(old.seen) if old else 0)
        self._check_room(used + size)
        file = self._names[name] = File(size)
        self._call("name", (name, file))

    def write(self, name: str, *, offset: int, data: bytes) -> None:
        """See `Disk`."""
        file = self._file(name)
        self._check_room(self.used_bytes + max(0, offset + len(data) - len(file.seen)))
        self._change(file, Change(offset, bytes(data)))

    def sync(self, name: str) -> None:
        """See `Disk`."""
        self._sync("sync", self._file(name))

    def sync_directory(self) -> None:
        """See `Disk`."""
        self._sync("sync names", None)

    def truncate(self, name: str, *, size: int) -> None:
        """See `Disk`."""
        self._change(self._file(name), Change(size, None))

    def rename(self, name: str, new_name: str) -> None:
        """See `Disk`."""
        file = self._names[new_name] = self._file(name)
        del self._names[name]
        self._call("name", (new_name, file))
        self._call("name", (name, None))

    def remove(self, name: str) -> None:
        """See `Disk`."""
        self._file(name)
        del self._names[name]
        self._call("name", (name, None))

    # ── what the world does to it ─────────────────────────────────────────────────────────────────────────

    @property
    def used_bytes(self) -> int:
        """What all files take."""
        return sum(len(file.seen) for file in self._names.values())

    @property
    def is_full(self) -> bool:
        """Whether there is no room for anything."""
        return self.room_bytes is not None and self.used_bytes >= self.room_bytes

    @property
    def is_hung(self) -> bool:
        """Whether nothing is completed now."""
        return self._hung_us is not None

    def begin(self, now_us: int) -> None:
        """A job of several calls begins: they take their time from now on."""
        self.busy_us = max(self.busy_us, now_us)

    def hang(self, now_us: int) -> None:
        """Nothing is completed any more, until `go_on`."""
        if self._hung_us is None:
            self._hung_us = now_us

    def go_on(self, now_us: int) -> None:
        """Everything that was stopped by `hang` takes so much longer."""
        if self._hung_us is None:
            return
        late_us, since_us = now_us - self._hung_us, self._hung_us
        self._unsettled = deque(
            (end_us + late_us if end_us > since_us else end_us, kind, what) for end_us, kind, what in self._unsettled
        )
        if self.busy_us > since_us:
            self.busy_us += late_us
        self._hung_us = None

    def crash(self, now_us: int, tear: Tear | None = None) -> None:
        """The power fails: what was not durable by now is kept or lost as `tear` says (default: by chance)."""
        tear = tear or RandomTear(self._random)
        self._settle(now_us if self._hung_us is None else min(now_us, self._hung_us))
        if self._unsettled:
            _, kind, what = self._unsettled[0]
            self._note(kind, what)  # under way: may have reached the disk; what comes behind it was never called
        self._unsettled.clear()
        for name, file in self._pending_names[: tear.names_kept(len(self._pending_names))]:
            _rename(self._durable_names, name, file)
        self._pending_names.clear()
        for name in sorted(self._durable_names):
            self._durable_names[name].tear(tear)
        self._names = dict(self._durable_names)
        self._hung_us = None
        self.busy_us = now_us

    def kill(self, now_us: int) -> None:
        """The process is killed, the power stays: all that was called is there, but what was not synced may yet go."""
        self._settle(now_us if self._hung_us is None else min(now_us, self._hung_us))
        self._unsettled.clear()  # never called
        self._names = dict(self._durable_names)
        for name, file in self._pending_names:
            _rename(self._names, name, file)
        for file in self._names.values():
            file.seen = bytearray(file.durable)
            for change in file.pending:
                _apply(file.seen, change, None)
        self.busy_us = now_us

    def damage(self, name: str, *, offset: int, data: bytes) -> None:
        """Changes durable bytes behind everybody's back, after all calls so far."""
        self._settle(self.busy_us)
        file = self._file(name)
        for contents in (file.durable, file.seen):
            contents[offset : offset + len(data)] = data

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────

    def _file(self, name: str) -> File:
        file = self._names.get(name)
        if file is None:
            raise StorageError(f"no file {name!r} on this disk; there are: {', '.join(sorted(self._names)) or 'none'}")
        return file

    def _check_room(self, wanted_bytes: int) -> None:
        if self.room_bytes is not None and wanted_bytes > self.room_bytes:
            raise DiskFullError(
                f"{wanted_bytes} bytes are wanted, the disk has {self.room_bytes}: make room, it is tried again"
            )

    def _take(self, duration_us: int) -> int:
        self.busy_us += duration_us
        return self.busy_us

    def _change(self, file: File, change: Change) -> None:
        _apply(file.seen, change, None)
        size = len(change.data or b"")
        self._call("change", (file, change), extra_us=size * self._times.mib_us // 2**20)

    def _call(self, kind: str, what: Any, *, extra_us: int = 0) -> None:
        self._unsettled.append((self._take(self._times.call_us + extra_us), kind, what))

    def _sync(self, kind: str, what: File | None) -> None:
        self.syncs += 1
        jitter_us = self._random.randint(0, self._times.jitter_us)
        self._unsettled.append((self._take(self._times.sync_us + jitter_us), kind, what))

    def _settle(self, until_us: int) -> None:
        while self._unsettled and self._unsettled[0][0] <= until_us:
            _, kind, what = self._unsettled.popleft()
            self._complete(kind, what)

    def settle(self, now_us: int) -> None:
        """Forgets how calls that are over came to be; without it they are only looked at in a crash."""
        if self._hung_us is None:
            self._settle(now_us)

    def _complete(self, kind: str, what: Any) -> None:
        match kind:
            case "sync":
                what.settle()
            case "sync names":
                for name, file in self._pending_names:
                    _rename(self._durable_names, name, file)
                self._pending_names.clear()
            case _:
                self._note(kind, what)

    def _note(self, kind: str, what: Any) -> None:
        match kind:
            case "name":
                self._pending_names.append(what)
            case "change":
                file, change = what
                file.pending.append(change)


def _rename(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file
