"""The power fails between any two calls of the log: whatever was answered for is found again.

The log writes to a disk that records every call. For each number of calls a fresh disk repeats them, loses its
power, and keeps of the calls since the last sync what a tear says: nothing, all, the first sectors, all but the
first, single ones. What recovery finds must be the log after some append: at least the last one that had returned.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Struct

from libelli.core.entries import Entry, HardState, LogStart
from libelli.core.errors import StorageError
from libelli.host.log import LogWriter, RecoveredLog
from libelli.host.log.layout import LogRecord
from libelli.sim.disk import KeepAll, KeepNone, RandomTear, SimulatedDisk, Tear
from tests.host.log.places import SEGMENT_SIZE, after_crash, entries, new_disk, opened, start, state, writer_on

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
Found = tuple[tuple[int, HardState, LogStart, tuple[Entry, ...]], ...]

CHANGES = ("create", "write", "sync", "sync_directory", "truncate", "rename", "remove")


class RecordingDisk(SimulatedDisk):
    """Remembers every call that changes something."""

    def __init__(self) -> None:
        super().__init__(random=random.Random(1))
        self.calls: list[Call] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CHANGES:
            return found

        def record(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, arguments, named))
            return found(*arguments, **named)

        return record


class ForgetfulDisk(SimulatedDisk):
    """The mutant: it says that it has synced, and has not."""

    def sync(self, name: str) -> None:
        self.size(name)


class LazyDirectoryDisk(SimulatedDisk):
    """The mutant that never makes a name durable."""

    def sync_directory(self) -> None:
        pass


class KeepFirst:
    """Keeps the first `count` sectors, and all names."""

    def __init__(self, count: int) -> None:
        self._count = count

    def names_kept(self, count: int) -> int:
        return count

    def sectors_kept(self, count: int) -> Sequence[bool]:
        return [number < self._count for number in range(count)]


class KeepAllBut:
    """Keeps all sectors but one, and no names."""

    def __init__(self, lost: int) -> None:
        self._lost = lost

    def names_kept(self, count: int) -> int:
        return 0

    def sectors_kept(self, count: int) -> Sequence[bool]:
        return [number != self._lost for number in range(count)]


class KeepNames(KeepNone):
    """Keeps all names and nothing that is in the files."""

    def names_kept(self, count: int) -> int:
        return count


TEARS: tuple[Callable[[int], Tear], ...] = (
    lambda _: KeepNone(),
    lambda _: KeepAll(),
    lambda _: KeepNames(),
    lambda _: KeepFirst(1),
    lambda _: KeepFirst(2),
    lambda _: KeepAllBut(0),
    lambda _: KeepAllBut(1),
    *(lambda at, salt=salt: RandomTear(random.Random(f"{at} {salt}")) for salt in range(8)),
)


def script() -> list[list[LogRecord]]:
    """Appends that meet new segments, large blocks, rewritten entries, starts, and a group that idles."""
    appends: list[list[LogRecord]] = [[state(1, vote=7), entries(1, b"idle", b"idle too", group=2)]]
    for number in range(1, 25):
        records = [entries(number, b"%d" % number * 150, term=1 + number // 9)]
        if number % 5 == 0:
            records = [state(1 + number // 9, vote=number), *records]
        if number % 7 == 0:
            records.append(start(number - 3, term=1 + (number - 3) // 9))
        appends.append(records)
    appends.append([entries(25, b"big" * SEGMENT_SIZE, term=3)])
    appends.append([state(9), entries(24, b"rewritten", term=9)])
    appends.append([start(30, term=9)])
    appends.append([entries(31, b"after a snapshot", term=9)])
    return appends


class Script(Struct):
    """A recorded run: for each append how many calls there were when it had returned, and what it left."""

    calls: list[Call]
    returned: list[int]
    states: list[Found]


def found_in(log: RecoveredLog) -> Found:
    return tuple(
        (group, part.hard_state, part.start, tuple(part.entries)) for group, part in sorted(log.groups.items())
    )


def recorded() -> Script:
    disk = RecordingDisk()
    log = writer_on(disk)
    returned, states = [0], [found_in(opened(new_disk()))]
    for records in script():
        log.append(records)
        returned.append(len(disk.calls))
        states.append(found_in(opened(repeated(disk.calls, SimulatedDisk))))
    return Script(disk.calls, returned, states)


def repeated(calls: Sequence[Call], kind: type[SimulatedDisk]) -> SimulatedDisk:
    disk = kind(random=random.Random(1))
    for name, arguments, named in calls:
        getattr(disk, name)(*arguments, **named)
    return disk


@pytest.fixture(scope="module")
def run() -> Script:
    return recorded()


def lost_after(run: Script, kind: type[SimulatedDisk], count: int, tear: Tear) -> bool:
    """Whether something that was answered for is not found after `count` calls and a power cut."""
    disk = repeated(run.calls[:count], kind)
    try:
        found = found_in(after_crash(disk, tear))
    except StorageError:
        return True
    least = max(number for number, calls in enumerate(run.returned) if calls <= count)
    if found not in run.states[least:]:
        return True
    return found_in(after_crash(disk, KeepNone())) != found


@pytest.mark.parametrize("tear", range(len(TEARS)))
def test_no_power_cut_loses_what_was_answered_for(run: Script, tear: int) -> None:
    lost = [at for at in range(len(run.calls) + 1) if lost_after(run, SimulatedDisk, at, TEARS[tear](at))]
    assert lost == []


def test_after_every_power_cut_the_log_goes_on(run: Script) -> None:
    for at in range(len(run.calls) + 1):
        disk = repeated(run.calls[:at], SimulatedDisk)
        before = after_crash(disk, RandomTear(random.Random(at)))
        log = LogWriter(disk, opened(disk), random=random.Random(at), segment_size=SEGMENT_SIZE)
        log.append([state(99, group=3)])
        after = after_crash(disk)
        assert after.groups[3].hard_state.term == 99
        assert found_in(before) == tuple(part for part in found_in(after) if part[0] != 3)


def test_a_disk_that_does_not_sync_is_caught(run: Script) -> None:
    assert any(lost_after(run, ForgetfulDisk, at, KeepNone()) for at in run.returned)


def test_a_disk_that_does_not_sync_its_directory_is_caught(run: Script) -> None:
    assert any(lost_after(run, LazyDirectoryDisk, at, KeepNone()) for at in run.returned)


def test_what_a_killed_process_left_unsynced_is_durable_once_it_was_recovered(run: Script) -> None:
    """The next life counts on the blocks that it finds, so they must not go with the power later."""
    for at in range(len(run.calls) + 1):
        disk = repeated(run.calls[:at], SimulatedDisk)
        disk.kill(disk.busy_us)
        found = found_in(opened(disk))
        assert found_in(after_crash(disk, KeepNone())) == found
