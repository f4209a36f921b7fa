"""All of a node that lasts: its folder, log and checkpoints, and the two threads that work on them.

::

    open ─► lock ─► identity.json ─► log recovered, checkpoints opened ─► (the node is made of these)
    start ─► log thread, flush thread ─► submit(effect) … deliver(completions)
    stop ─► what is queued is written, then everything is closed
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from libelli.core.errors import DamagedError
from libelli.core.ids import DEFAULT_GROUP, GroupId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import SEGMENT_SIZE_DEFAULT, GroupLog, LogWriter, RecoveredLog, recover
from libelli.host.machine import read_position
from libelli.host.world import ReadLog, WriteLog
from libelli.live.disk import OsDisk
from libelli.live.flusher import FlushCompletion, FlushThread, FlushWork
from libelli.live.folder import ANEW, LOG_NAME, Beginning, Folder, Stage, mark_in_use, open_folder
from libelli.live.lmdb_checkpoint import LmdbCheckpoint
from libelli.live.lock import DirectoryLock
from libelli.live.writer import Completion, LogThread
from libelli.stores.engine import Checkpoint

_log = logging.getLogger(__name__)


def checkpoint_path(path: Path, group: GroupId) -> Path:
    """Returns where a group's checkpoint is in the data folder `path`."""
    return path / f"checkpoint-{group}"


def open_checkpoint(path: Path, group: GroupId, identity: Identity) -> Checkpoint:
    """Returns a group's checkpoint in the data folder `path`, an empty one when there is none.

    Raises:
        StorageError: it is damaged, another node's, or cannot be read.
    """
    return LmdbCheckpoint(checkpoint_path(path, group), cluster=identity.cluster, node=identity.node)


def _require_fit(path: Path, checkpoint: Checkpoint, log: GroupLog | None) -> None:
    """Refuses a checkpoint that ends before the log begins: what lies between is lost."""
    reached = read_position(checkpoint).index
    begin = log.start.index if log is not None else 0
    if reached < begin:
        raise DamagedError(f"{path} reaches entry {reached}, and the log begins behind entry {begin}: {ANEW}")


class Storage:
    """A node's folder, opened.

    Args:
        path: the data folder; made when it is missing.
        identity: whose it must be.
        beginning: what to make of an empty folder.
        members: all founding members, for `Beginning.FOUND`.
        segment_size: of new log segments.
        on_sync: told how many seconds each sync of the log took.

    Raises:
        StorageError: somebody uses it, it is damaged, foreign, or empty and should not be; nothing was changed.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: Identity,
        beginning: Beginning,
        members: tuple[Member, ...],
        segment_size: int = SEGMENT_SIZE_DEFAULT,
        on_sync: Callable[[float], None] | None = None,
    ) -> None:
        self.path = path
        self._segment_size = segment_size
        self._log_thread: LogThread | None = None
        self._flush_thread: FlushThread | None = None
        with ExitStack() as opened:
            lock = DirectoryLock(path)
            opened.callback(lock.release)
            self._folder: Folder = open_folder(path, identity=identity, beginning=beginning, members=members)
            self._disk = OsDisk(path / LOG_NAME, on_sync=on_sync, on_create=self._want_spare)
            opened.callback(self._disk.close)
            self.log: RecoveredLog = recover(self._disk, cluster=identity.cluster, node=identity.node)
            checkpoint = open_checkpoint(path, DEFAULT_GROUP, identity)
            opened.callback(checkpoint.close)
            _require_fit(checkpoint_path(path, DEFAULT_GROUP), checkpoint, self.log.groups.get(DEFAULT_GROUP))
            self.checkpoints: Mapping[GroupId, Checkpoint] = {DEFAULT_GROUP: checkpoint}
            self._opened = opened.pop_all()

    @property
    def founding(self) -> Configuration:
        """The members that the cluster began with; empty for a node that joined."""
        return self._folder.founding_configuration

    @property
    def founding_hash(self) -> str:
        """The same in short, to be compared with that of other founders; empty for a node that joined."""
        founding = self.founding
        return hashlib.sha256(founding.encode()).hexdigest()[:32] if founding.voters else ""

    @property
    def missing_room(self) -> str:
        """Why writes wait for room on the disk; empty while they do not."""
        threads = (self._log_thread, self._flush_thread)
        return next((thread.room.missing for thread in threads if thread and thread.room.missing), "")

    @property
    def writes_per_block(self) -> tuple[int, int]:
        """How many writes of the log there were, and how many blocks they became."""
        thread = self._log_thread
        return (0, 0) if thread is None else (thread.writes, thread.blocks)

    def start(self, *, random: Random, deliver: Callable[[Sequence[Completion | FlushCompletion]], object]) -> None:
        """Starts the threads; the node must have been made before, as the entries of `log` are let go of.

        Args:
            random: for the salts of segments.
            deliver: takes completions; called in the threads.
        """
        writer = LogWriter(self._disk, self.log, random=random, segment_size=self._segment_size)
        self._flush_thread = FlushThread(self.checkpoints, deliver=deliver)
        self._log_thread = LogThread(writer, deliver=deliver)
        self._flush_thread.start()
        self._log_thread.start()
        self._want_spare(self._segment_size)

    def submit_log(self, work: WriteLog | ReadLog) -> None:
        """Queues work for the log thread."""
        if self._log_thread is not None:
            self._log_thread.submit(work)

    def submit_flush(self, work: FlushWork) -> None:
        """Queues work for the flush thread."""
        if self._flush_thread is not None:
            self._flush_thread.submit(work)

    def note_promise(self) -> None:
        """To be called when something was written, before it is answered for."""
        if self._folder.stage is Stage.NEW:
            self._folder = mark_in_use(self.path, self._folder)

    def stop(self) -> None:
        """Writes what is queued, then closes everything.

        While a thread still waits for the disk, its files and the lock stay open until the process ends: nobody else
        may use the folder before that.
        """
        threads = [thread for thread in (self._log_thread, self._flush_thread) if thread is not None]
        hanging = [thread for thread in threads if not thread.stop()]
        if hanging:
            _log.error("the disk does not answer; its files are left open until the process ends")
            self._opened.pop_all()
        else:
            self._opened.close()

    def _want_spare(self, size: int) -> None:
        # A block larger than a segment has one of its own size, and no second of that size will follow.
        if self._flush_thread is not None and size == self._segment_size:
            self._flush_thread.prepare_spare(self._disk, size)
