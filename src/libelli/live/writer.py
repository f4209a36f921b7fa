"""The thread that owns the log: whatever waits becomes one block and one sync.

::

    loop                                  writer thread
      submit(WriteLog 7) ─┐
      submit(WriteLog 8) ─┼─► queue ─►  append(records of 7, 8)       one fdatasync
      submit(ReadLog)    ─┘             read(…)
      ◄──────────────────────────────── deliver([Written(7), Written(8), Back(…)])    one wake-up

While the thread waits for the disk the interpreter is free, and more writes gather: the busier the node, the
larger the blocks. A write is answered only after its sync; a sync that fails ends the process.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from libelli.core.entries import Entries, Entry
from libelli.core.ids import GroupId, Index
from libelli.core.limits import MIB
from libelli.host.world import ReadLog, WriteLog
from libelli.live.room import GaveUpError, Room

if TYPE_CHECKING:
    from libelli.host.log import LogWriter

BLOCK_SIZE_MAX = 8 * MIB
"""Writes are gathered up to about this size; one that is larger by itself is a block of its own."""
STOP_TIMEOUT_S = 10.0


class Written(Struct, frozen=True):
    """The records of `WriteLog(ticket)` are durable."""

    ticket: int


class Back(Struct, frozen=True):
    """What a `ReadLog` brought back."""

    group: GroupId
    first_index: Index
    entries: tuple[Entry, ...]


class Broken(Struct, frozen=True):
    """The thread has ended; the process must end too."""

    error: BaseException


Completion = Written | Back | Broken


class LogThread:
    """Appends to the log and reads from it, in a thread of its own.

    Args:
        log: nobody else uses it from now on.
        deliver: takes completions in order; called in the thread, so it must only hand them on.
    """

    def __init__(self, log: "LogWriter", *, deliver: Callable[[Sequence[Completion]], object]) -> None:
        self._log = log
        self._deliver = deliver
        self._stopping = threading.Event()
        self._queue: queue.SimpleQueue[WriteLog | ReadLog | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="libelli-log", daemon=True)
        self.room = Room("log", stopping=self._stopping)
        self.blocks = 0
        """How many blocks were written; any thread may read it."""
        self.writes = 0
        """How many `WriteLog`s they held."""

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, work: WriteLog | ReadLog) -> None:
        """Queues work; from any thread."""
        self._queue.put(work)

    def stop(self) -> bool:
        """Ends the thread after what is queued, or without it when the disk is full; returns whether it has ended."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except GaveUpError:
            pass  # already told
        except BaseException as error:  # noqa: BLE001 - nothing is swallowed: the loop ends the process with it
            self._deliver([Broken(error)])

    def _turn(self) -> bool:
        """Waits for work and does all there is; returns whether to go on."""
        waiting = self._take()
        writes = [work for work in waiting if isinstance(work, WriteLog)]
        for block in _blocks(writes):
            records = [record for write in block for record in write.records]
            self.room.insist(lambda records=records: self._log.append(records))  # type: ignore[misc]
            self.blocks += 1
            self.writes += len(block)
            self._deliver([Written(write.ticket) for write in block])
        reads = [work for work in waiting if isinstance(work, ReadLog)]
        if reads:
            # A file that is read may have to be opened first, which waits for a descriptor as writes do.
            self._deliver([self.room.insist(partial(self._read, work)) for work in reads])
        return None not in waiting

    def _take(self) -> list[WriteLog | ReadLog | None]:
        waiting = [self._queue.get()]
        while True:
            try:
                waiting.append(self._queue.get_nowait())
            except queue.Empty:
                return waiting

    def _read(self, work: ReadLog) -> Back:
        entries = self._log.read(
            work.group, first_index=work.first_index, last_index=work.last_index, size_max=work.size_max
        )
        return Back(work.group, work.first_index, entries)


def _blocks(writes: Iterable[WriteLog]) -> Iterable[list[WriteLog]]:
    """Yields the writes in order, in groups of about `BLOCK_SIZE_MAX`."""
    block: list[WriteLog] = []
    size = 0
    for write in writes:
        size += _data_size(write)
        if block and size > BLOCK_SIZE_MAX:
            yield block
            block, size = [], _data_size(write)
        block.append(write)
    if block:
        yield block


def _data_size(write: WriteLog) -> int:
    return sum(
        len(entry.data) for _, record in write.records if isinstance(record, Entries) for entry in record.entries
    )
