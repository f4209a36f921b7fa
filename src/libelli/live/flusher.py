"""The thread for disk work that takes long and that no answer waits for: checkpoints, snapshots, spare files.

It runs beside the log's thread, because a flush of many megabytes must not delay the sync of one small write.
Work is done one piece at a time, in the order in which it was asked for.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from libelli.core.errors import DiskFullError, InvariantError
from libelli.core.ids import GroupId
from libelli.host.world import AbandonInstall, FinishInstall, FlushCheckpoint, InstallChunk
from libelli.live.room import GaveUpError, Room
from libelli.live.writer import STOP_TIMEOUT_S, Broken
from libelli.stores.engine import Checkpoint, Install, Run

_log = logging.getLogger(__name__)


class Flushed(Struct, frozen=True):
    """A `FlushCheckpoint` is durable."""

    group: GroupId


class ChunkInstalled(Struct, frozen=True):
    """An `InstallChunk` is taken in."""

    group: GroupId


class Installed(Struct, frozen=True):
    """A `FinishInstall` is durable."""

    group: GroupId


class InstallFailed(Struct, frozen=True):
    """New contents could not be taken in; the old ones are still there."""

    group: GroupId
    reason: str


FlushCompletion = Flushed | ChunkInstalled | Installed | InstallFailed | Broken
FlushWork = FlushCheckpoint | InstallChunk | FinishInstall | AbandonInstall


class Spares(Protocol):
    """Makes files ready that will be needed soon."""

    def prepare_spare(self, size: int) -> None:
        """Makes one ready.

        Raises:
            DiskFullError: no room.
        """
        ...


class FlushThread:
    """Writes checkpoints and prepares spare files.

    Args:
        checkpoints: by group; reads of them may go on in other threads.
        deliver: takes completions; called in the thread, so it must only hand them on.
    """

    def __init__(
        self,
        checkpoints: Mapping[GroupId, Checkpoint],
        *,
        deliver: Callable[[Sequence[FlushCompletion]], object],
    ) -> None:
        self._checkpoints = checkpoints
        self._deliver = deliver
        self._installs: dict[GroupId, Install] = {}
        self._stopping = threading.Event()
        self._queue: queue.SimpleQueue[Callable[[], FlushCompletion | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="libelli-flush", daemon=True)
        self.room = Room("checkpoint", stopping=self._stopping)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, work: FlushWork) -> None:
        """Queues work; from any thread."""
        self._queue.put(partial(self._do, work))

    def prepare_spare(self, disk: Spares, size: int) -> None:
        """Queues the preparation of a spare file; from any thread."""
        self._queue.put(partial(_prepare, disk, size))

    def stop(self) -> bool:
        """Ends the thread after what is queued, or without it when the disk is full; returns whether it has ended."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (work := self._queue.get()) is not None:
                completion = work()
                if completion is not None:
                    self._deliver([completion])
        except GaveUpError:
            pass  # already told
        except BaseException as error:  # noqa: BLE001 - nothing is swallowed: the loop ends the process with it
            self._deliver([Broken(error)])

    def _do(self, work: FlushWork) -> FlushCompletion | None:
        match work:
            case FlushCheckpoint(group, runs):
                checkpoint = self._checkpoints[group]
                self.room.insist(lambda: checkpoint.write(runs))
                return Flushed(group)
            case InstallChunk(group, first, runs):
                return self._install(group, runs, first=first)
            case FinishInstall(group):
                return self._finish(group)
            case AbandonInstall(group):
                self._abandon(group)
                return None

    def _install(self, group: GroupId, runs: Sequence[Run], *, first: bool) -> FlushCompletion:
        try:
            if first:
                self._abandon(group)
                self._installs[group] = self._checkpoints[group].install()
            self._current(group).add(runs)
        except DiskFullError as error:
            return self._give_up(group, error)
        return ChunkInstalled(group)

    def _finish(self, group: GroupId) -> FlushCompletion:
        try:
            self._current(group).finish()
        except DiskFullError as error:
            return self._give_up(group, error)
        del self._installs[group]
        return Installed(group)

    def _give_up(self, group: GroupId, error: DiskFullError) -> InstallFailed:
        # The sender keeps a snapshot for as long as it is fetched, so nobody waits for room here.
        self._abandon(group)
        return InstallFailed(group, str(error))

    def _abandon(self, group: GroupId) -> None:
        install = self._installs.pop(group, None)
        if install is not None:
            install.abandon()

    def _current(self, group: GroupId) -> Install:
        install = self._installs.get(group)
        if install is None:
            raise InvariantError(f"group {group}: a chunk of a snapshot, and no installation has begun")
        return install


def _prepare(disk: Spares, size: int) -> None:
    try:
        disk.prepare_spare(size)
    except DiskFullError as error:
        _log.debug("no spare log file: %s", error)
