"""The two disk threads: what is gathered, in which order it is answered, what a full or broken disk does."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from libelli.core.entries import Entries, Entry, EntryKind, HardState
from libelli.core.errors import DiskFullError, StorageError
from libelli.core.ids import GroupId, Index, NodeId, Term
from libelli.host.world import AbandonInstall, FinishInstall, FlushCheckpoint, InstallChunk, ReadLog, WriteLog
from libelli.live import writer
from libelli.live.flusher import ChunkInstalled, Flushed, FlushThread, Installed, InstallFailed
from libelli.live.writer import Back, Broken, LogThread, Written

GROUP = GroupId(1)
DEADLINE_S = 30


class Box:
    """Collects completions and waits until enough are there."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self._changed = threading.Condition()

    def __call__(self, batch: Sequence[Any]) -> None:
        with self._changed:
            self.batches.append(list(batch))
            self._changed.notify_all()

    @property
    def all(self) -> list[Any]:
        return [completion for batch in self.batches for completion in batch]

    def wait_count(self, count: int) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all) >= count, DEADLINE_S), self.batches
        return self.all


class SlowLog:
    """A log that appends when the test lets it, and fails when the test says so."""

    def __init__(self) -> None:
        self.blocks: list[list[Any]] = []
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.errors: list[Exception] = []
        self.read_errors: list[Exception] = []

    def append(self, records: Sequence[Any]) -> None:
        self.entered.release()
        assert self.leave.acquire(timeout=DEADLINE_S)
        if self.errors:
            raise self.errors.pop(0)
        self.blocks.append(list(records))

    def read(self, group: GroupId, *, first_index: Index, last_index: Index, size_max: int) -> tuple[Entry, ...]:
        if self.read_errors:
            raise self.read_errors.pop(0)
        return (Entry(Term(first_index), EntryKind.COMMAND, b"x"),)


def write(ticket: int, data: bytes = b"") -> WriteLog:
    entry = Entry(Term(1), EntryKind.COMMAND, data)
    return WriteLog(ticket, ((GROUP, Entries(Index(ticket), (entry,))), (GROUP, HardState(Term(1), NodeId(1)))))


@pytest.fixture
def log() -> SlowLog:
    return SlowLog()


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def thread(log: SlowLog, box: Box) -> Any:
    thread = LogThread(log, deliver=box)  # type: ignore[arg-type]
    thread.start()
    yield thread
    log.leave.release(1000)
    thread.stop()


def test_all_writes_that_wait_become_one_block_and_one_wake_up(thread: LogThread, log: SlowLog, box: Box) -> None:
    thread.submit(write(1))
    assert log.entered.acquire(timeout=DEADLINE_S)  # the disk is busy with the first
    for ticket in (2, 3, 4):
        thread.submit(write(ticket))
    log.leave.release(2)
    box.wait_count(4)
    assert box.batches == [[Written(1)], [Written(2), Written(3), Written(4)]]
    assert [len(block) for block in log.blocks] == [2, 6]
    assert (thread.blocks, thread.writes) == (2, 4)


def test_blocks_have_a_largest_size(thread: LogThread, log: SlowLog, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BLOCK_SIZE_MAX", 10)
    thread.submit(write(1))
    assert log.entered.acquire(timeout=DEADLINE_S)
    for ticket, size in ((2, 5), (3, 5), (4, 99), (5, 1)):
        thread.submit(write(ticket, bytes(size)))
    log.leave.release(9)
    box.wait_count(5)
    assert box.batches == [[Written(1)], [Written(2), Written(3)], [Written(4)], [Written(5)]]


def test_a_read_is_answered_after_the_writes_before_it(thread: LogThread, log: SlowLog, box: Box) -> None:
    thread.submit(write(1))
    thread.submit(ReadLog(GROUP, Index(7), Index(9), 100))
    log.leave.release()
    written, back = box.wait_count(2)
    assert written == Written(1)
    assert isinstance(back, Back)
    assert (back.first_index, back.entries[0].term) == (7, 7)


def test_a_read_that_finds_no_descriptor_is_tried_again(thread: LogThread, log: SlowLog, box: Box) -> None:
    log.read_errors = [DiskFullError("too many open files")]
    thread.submit(ReadLog(GROUP, Index(7), Index(9), 100))
    (back,) = box.wait_count(1)
    assert isinstance(back, Back)


def test_a_full_disk_is_tried_again_until_there_is_room(
    thread: LogThread, log: SlowLog, box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    log.errors = [DiskFullError("no room"), DiskFullError("no room")]
    thread.submit(write(1))
    log.leave.release(2)
    for _ in range(3):
        assert log.entered.acquire(timeout=DEADLINE_S)
    assert box.batches == []
    assert thread.room.missing == "no room"
    log.leave.release()
    assert box.wait_count(1) == [Written(1)]
    assert thread.room.missing == ""
    assert [r.levelname for r in caplog.records if "full" in r.message] == ["ERROR"]


def test_a_process_can_stop_while_the_disk_is_full(log: SlowLog, box: Box) -> None:
    thread = LogThread(log, deliver=box)  # type: ignore[arg-type]
    thread.start()
    log.errors = [DiskFullError("no room")] * 1000
    log.leave.release(1000)
    thread.submit(write(1))
    assert log.entered.acquire(timeout=DEADLINE_S)
    thread.stop()
    assert box.batches == []
    assert not thread._thread.is_alive()


@pytest.mark.parametrize("error", [StorageError("the disk is lost"), ZeroDivisionError("a defect")])
def test_any_other_error_ends_the_thread_and_is_told(
    thread: LogThread, log: SlowLog, box: Box, error: Exception
) -> None:
    log.errors = [error]
    thread.submit(write(1))
    thread.submit(write(2))
    log.leave.release(5)
    (broken,) = box.wait_count(1)
    assert isinstance(broken, Broken)
    assert broken.error is error


def test_stop_finishes_what_is_queued(log: SlowLog, box: Box) -> None:
    thread = LogThread(log, deliver=box)  # type: ignore[arg-type]
    for ticket in (1, 2):
        thread.submit(write(ticket))
    log.leave.release(2)
    thread.start()
    thread.stop()
    assert box.all == [Written(1), Written(2)]


class FakeCheckpoint:
    """Remembers what was written; fails with the errors it is given."""

    def __init__(self) -> None:
        self.contents: list[Any] = []
        self.errors: list[Exception] = []
        self.abandoned = 0

    def write(self, runs: Sequence[Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.contents += runs

    def install(self) -> "FakeInstall":
        return FakeInstall(self)


class FakeInstall:
    def __init__(self, checkpoint: FakeCheckpoint) -> None:
        self._checkpoint = checkpoint
        self._contents: list[Any] = []

    def add(self, runs: Sequence[Any]) -> None:
        if self._checkpoint.errors:
            raise self._checkpoint.errors.pop(0)
        self._contents += runs

    def finish(self) -> None:
        self._checkpoint.contents = self._contents

    def abandon(self) -> None:
        self._checkpoint.abandoned += 1


@pytest.fixture
def checkpoint() -> FakeCheckpoint:
    return FakeCheckpoint()


@pytest.fixture
def flusher(checkpoint: FakeCheckpoint, box: Box) -> Any:
    thread = FlushThread({GROUP: checkpoint}, deliver=box)  # type: ignore[dict-item]
    thread.start()
    yield thread
    thread.stop()


def runs(*names: str) -> Any:
    return list(names)


def test_flushes_are_answered_in_order(flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box) -> None:
    flusher.submit(FlushCheckpoint(GROUP, runs("a")))
    flusher.submit(FlushCheckpoint(GROUP, runs("b", "c")))
    assert box.wait_count(2) == [Flushed(GROUP), Flushed(GROUP)]
    assert checkpoint.contents == ["a", "b", "c"]


def test_a_flush_waits_for_room(flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box) -> None:
    checkpoint.errors = [DiskFullError("no room")]
    flusher.submit(FlushCheckpoint(GROUP, runs("a")))
    assert box.wait_count(1) == [Flushed(GROUP)]
    assert checkpoint.contents == ["a"]


def test_new_contents_take_the_place_of_the_old_at_the_end(
    flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box
) -> None:
    checkpoint.contents = ["old"]
    flusher.submit(InstallChunk(GROUP, first=True, runs=runs("a")))
    flusher.submit(InstallChunk(GROUP, first=False, runs=runs("b")))
    assert box.wait_count(2) == [ChunkInstalled(GROUP)] * 2
    assert checkpoint.contents == ["old"]
    flusher.submit(FinishInstall(GROUP))
    assert box.wait_count(3)[-1] == Installed(GROUP)
    assert checkpoint.contents == ["a", "b"]


def test_an_installation_without_room_is_abandoned_and_told(
    flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box
) -> None:
    checkpoint.errors = [DiskFullError("no room")]
    flusher.submit(InstallChunk(GROUP, first=True, runs=runs("a")))
    assert box.wait_count(1) == [InstallFailed(GROUP, "no room")]
    assert checkpoint.abandoned == 1
    flusher.submit(InstallChunk(GROUP, first=True, runs=runs("b")))
    flusher.submit(FinishInstall(GROUP))
    assert box.wait_count(3)[-1] == Installed(GROUP)
    assert checkpoint.contents == ["b"]


def test_an_installation_that_begins_anew_or_is_abandoned_leaves_nothing(
    flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box
) -> None:
    flusher.submit(InstallChunk(GROUP, first=True, runs=runs("a")))
    flusher.submit(InstallChunk(GROUP, first=True, runs=runs("b")))
    flusher.submit(AbandonInstall(GROUP))
    flusher.submit(FlushCheckpoint(GROUP, runs("c")))
    box.wait_count(3)
    assert checkpoint.abandoned == 2
    assert checkpoint.contents == ["c"]


def test_a_broken_checkpoint_is_told(flusher: FlushThread, checkpoint: FakeCheckpoint, box: Box) -> None:
    checkpoint.errors = [StorageError("lost")]
    flusher.submit(FlushCheckpoint(GROUP, runs("a")))
    (broken,) = box.wait_count(1)
    assert isinstance(broken, Broken)


def test_spares_are_prepared_in_the_thread_and_no_room_for_them_is_no_alarm(flusher: FlushThread, box: Box) -> None:
    asked: list[int] = []

    class Spares:
        def prepare_spare(self, size: int) -> None:
            asked.append(size)
            raise DiskFullError("no room")

    flusher.prepare_spare(Spares(), 64)
    flusher.submit(FlushCheckpoint(GROUP, runs("a")))
    assert box.wait_count(1) == [Flushed(GROUP)]
    assert asked == [64]
    assert flusher.room.missing == ""
