"""What the threads of a live process do, in virtual time: the log's writer, and the one for checkpoints.

Both do one thing at a time. The log's takes everything that waits as one block, like the real one; its calls
reach the disk at once and last until the disk says so. A checkpoint changes in one step, at the end of its time.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from libelli.core.errors import DiskFullError, InvariantError
from libelli.core.ids import GroupId
from libelli.host.world import AbandonInstall, FinishInstall, FlushCheckpoint, InstallChunk, ReadLog, WriteLog
from libelli.sim.kernel import MS, Kernel
from libelli.stores.engine import Checkpoint, Install

if TYPE_CHECKING:
    from libelli.host.log import LogWriter
    from libelli.host.node import Node
    from libelli.sim.disk import SimulatedDisk

RETRY_US = 50 * MS
"""After this long a full disk is tried again."""
WRITES_MAX = 256
"""Writes that become one block."""

Done = Callable[[], object]


class LogWork:
    """The writer of one life of a process.

    Args:
        kernel: for time.
        disk: under the log.
        log: what is written.
        node: who is answered.
        wake: gives the node its turn.
    """

    def __init__(
        self, kernel: Kernel, *, disk: "SimulatedDisk", log: "LogWriter", node: "Node", wake: Callable[[], object]
    ) -> None:
        self._kernel = kernel
        self._disk = disk
        self._log = log
        self._node = node
        self._wake = wake
        self._queue: deque[WriteLog | ReadLog] = deque()
        self._answers: list[Done] | None = None
        self._is_waiting = False
        self.is_closed = False

    def submit(self, work: WriteLog | ReadLog) -> None:
        """Queues work."""
        self._queue.append(work)
        self.go_on()

    def go_on(self) -> None:
        """Begins what waits, or ends what the disk has ended, unless the disk hangs."""
        if self.is_closed or self._disk.is_hung or self._is_waiting:
            return
        if self._answers is None:
            if not self._queue:
                return
            self._answers = self._begin()
        if self._answers is not None:
            self._wait(self._disk.busy_us)

    def _wait(self, time_us: int) -> None:
        self._is_waiting = True
        self._kernel.at(max(time_us, self._kernel.now_us), self._look)

    def _look(self) -> None:
        self._is_waiting = False
        if self.is_closed or self._disk.is_hung:
            return
        if self._answers is not None:
            if self._disk.busy_us > self._kernel.now_us:
                self._wait(self._disk.busy_us)  # it hung meanwhile
                return
            answers, self._answers = self._answers, None
            for answer in answers:
                answer()
            self._wake()
        self.go_on()

    def _begin(self) -> list[Done] | None:
        """Does what waits; returns the answers that are due when the disk is ready, or None when it is full."""
        self._disk.settle(self._kernel.now_us)
        self._disk.begin(self._kernel.now_us)
        writes = [work for work in self._queue if isinstance(work, WriteLog)][:WRITES_MAX]
        if writes:
            try:
                self._log.append([record for write in writes for record in write.records])
            except DiskFullError:
                self._wait(self._kernel.now_us + RETRY_US)
                return None
        reads = [work for work in self._queue if isinstance(work, ReadLog)]
        taken = len(writes)
        rest = [work for work in self._queue if isinstance(work, WriteLog)][taken:]
        self._queue = deque(rest)
        return [*(self._written(write.ticket) for write in writes), *(self._read(read) for read in reads)]

    def _written(self, ticket: int) -> Done:
        return lambda: self._node.written(ticket)

    def _read(self, work: ReadLog) -> Done:
        first = work.first_index
        entries = self._log.read(work.group, first_index=first, last_index=work.last_index, size_max=work.size_max)
        return lambda: self._node.loaded(work.group, first, entries)


FlushWork = FlushCheckpoint | InstallChunk | FinishInstall | AbandonInstall


class CheckpointWork:
    """The flusher of one life of a process; see `LogWork`.

    Args:
        checkpoints: what is written, by group.
        duration_us: how long a piece of work takes.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        disk: "SimulatedDisk",
        checkpoints: Mapping[GroupId, Checkpoint],
        node: "Node",
        wake: Callable[[], object],
        duration_us: int,
    ) -> None:
        self._kernel = kernel
        self._disk = disk
        self._checkpoints = checkpoints
        self._node = node
        self._wake = wake
        self._duration_us = duration_us
        self._installs: dict[GroupId, Install] = {}
        self._queue: deque[FlushWork] = deque()
        self._is_waiting = False
        self.is_closed = False

    def submit(self, work: FlushWork) -> None:
        """Queues work."""
        self._queue.append(work)
        if not self._is_waiting:
            self._wait(self._duration_us)

    def go_on(self) -> None:
        """The disk hangs no more."""
        if self._queue and not self._is_waiting and not self.is_closed:
            self._wait(self._duration_us)

    def _wait(self, delay_us: int) -> None:
        self._is_waiting = True
        self._kernel.after(delay_us, self._look)

    def _look(self) -> None:
        self._is_waiting = False
        if self.is_closed or self._disk.is_hung:
            return
        if self._disk.is_full and isinstance(self._queue[0], FlushCheckpoint):
            self._wait(RETRY_US)
            return
        self._do(self._queue.popleft())
        self._wake()
        if self._queue:
            self._wait(self._duration_us)

    def _do(self, work: FlushWork) -> None:
        group, node = work.group, self._node
        match work:
            case FlushCheckpoint(_, runs):
                self._checkpoints[group].write(runs)
                node.flushed(group)
            case AbandonInstall():
                self._abandon(group)
            case _ if self._disk.is_full:
                self._abandon(group)
                node.install_failed(group, "the disk is full")
            case InstallChunk(_, first, runs):
                if first:
                    self._abandon(group)
                    self._installs[group] = self._checkpoints[group].install()
                self._current(group).add(runs)
                node.chunk_installed(group)
            case FinishInstall():
                self._current(group).finish()
                del self._installs[group]
                node.installed(group)

    def _current(self, group: GroupId) -> Install:
        install = self._installs.get(group)
        if install is None:
            raise InvariantError(f"group {group}: a piece of a snapshot, and no installation has begun")
        return install

    def _abandon(self, group: GroupId) -> None:
        install = self._installs.pop(group, None)
        if install is not None:
            install.abandon()
