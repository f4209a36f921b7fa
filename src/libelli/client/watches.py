"""A watch that survives its connections: it goes on after the last whole revision that it has told.

::

    WAITING ── leader found ──► ASKED ── Watching ──► OPEN ── Changes: told, next = revision + 1
       ▲                          │                     │
       └── refused for now, lost ─┴─────────────────────┘      COMPACTED, DENIED, … ──► ended, with the error
       ▲
    PAUSED  the caller reads too slowly: the node is told to stop, and later asked to go on from `next`
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from libelli.client.effects import WatchBegan, WatchChanged, WatchEnded
from libelli.client.outcomes import Verdict, refused, unanswered_read, verdict_of
from libelli.core.calls import CancelWatch, Changes, Done, NodeStatus, Refusal, Watch, Watching
from libelli.core.codec import Decoder
from libelli.core.errors import CallError, CodecError
from libelli.stores.mvcc.commands import WatchEvent

if TYPE_CHECKING:
    from libelli.client.connection import Connection
    from libelli.client.desk import Desk
    from libelli.client.directory import Directory

events_decoder: Decoder[list[WatchEvent]] = Decoder(list[WatchEvent], name="watch events")


class Control(Enum):
    """What a watcher may ask of its watch."""

    PAUSE = 0
    """Tell no more, the watcher reads too slowly."""
    RESUME = 1
    """Go on from the revision after the last one told."""
    CANCEL = 2
    """End without a further word."""


class WatchLine:
    """One watch.

    Args:
        request: what to watch; its `call` and `start_revision` are set anew whenever it is sent.
        watcher: handed back with everything that is told.
        deadline_ms: when the first opening must have happened.
    """

    def __init__(self, desk: Desk, directory: Directory, *, request: Watch, watcher: Any, deadline_ms: int) -> None:
        self._desk = desk
        self._directory = directory
        self._request = request
        self._watcher = watcher
        self._deadline_ms = deadline_ms
        self._next_revision = request.start_revision
        self._connection: Connection | None = None
        self._number = 0
        self._began = False
        self._paused = False
        self.ended = False

    def dispatch(self) -> None:
        """Asks for the changes if nobody was asked yet and somebody can be."""
        if self.ended or self._paused or self._connection is not None:
            return
        connection = self._directory.leader(self._request.collection)
        if connection is not None:
            self._connection = connection
            self._number = connection.call(self, self._build, now_ms=self._desk.now_ms)

    def on_reply(self, reply: Any, connection: Connection) -> None:
        """See `Handler`."""
        if isinstance(reply, Watching):
            if not self._next_revision:  # from now on; a later opening goes on from here
                self._next_revision = reply.revision + 1
            self._began = True
            self._desk.effects.append(WatchBegan(self._watcher, self._next_revision - 1))
        elif isinstance(reply, Changes):
            self._tell(reply)
        else:
            raise CodecError(f"{type(reply).__name__} in answer to Watch")

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        """See `Handler`."""
        self._connection = None
        if verdict_of(refusal.code) is Verdict.FINAL:
            self.end(refused(refusal.code, refusal.message, compact_revision=refusal.compact_revision))
        else:
            self._directory.on_refusal(self._request.collection, connection, refusal)

    def on_lost(self, connection: Connection) -> None:
        """See `Handler`."""
        self._connection = None

    def on_status(self, status: NodeStatus, connection: Connection) -> None:
        """Leaves a node that knows no leader: cut off from the others it would hear of changes very late."""
        if connection is not self._connection:
            return
        for group in status.groups:
            if group.collection == self._request.collection and not group.leader:
                self._leave()
                self._directory.distrust(group.collection, connection)

    def expire(self) -> None:
        """Ends a watch that could not be opened in time; one that was open before goes on trying."""
        if self._began or self.ended or self._paused:
            return
        self._desk.wake(self._deadline_ms)
        if self._deadline_ms <= self._desk.now_ms:
            _, reason = self._directory.why_waiting(self._request.collection)
            self.end(unanswered_read(f"the watch could not be opened in time ({reason})"))

    def control(self, control: Control) -> None:
        """Does what the watcher asks for."""
        match control:
            case Control.PAUSE:
                self._paused = True
                self._leave()
            case Control.RESUME:
                self._paused = False
            case Control.CANCEL:
                self.cancel()

    def cancel(self) -> None:
        """Ends the watch without a word to the watcher."""
        self.ended = True
        self._leave()

    def end(self, error: CallError) -> None:
        """Ends the watch and tells the watcher why."""
        if not self.ended:
            self.cancel()
            self._desk.effects.append(WatchEnded(self._watcher, error))

    def _build(self, call: int) -> Watch:
        request = self._request
        return Watch(
            call,
            request.collection,
            request.key,
            end=request.end,
            start_revision=self._next_revision,
            previous=request.previous,
            no_puts=request.no_puts,
            no_deletes=request.no_deletes,
            progress=True,  # a quiet watch must not fall behind what is compacted
        )

    def _tell(self, changes: Changes) -> None:
        events = events_decoder.decode(changes.events) if changes.events else []
        # a node may begin with revisions that another has told already
        news = [event for event in events if event.item.mod_revision >= self._next_revision]
        self._next_revision = max(self._next_revision, changes.revision + 1)
        self._desk.effects.append(WatchChanged(self._watcher, changes.revision, news))

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._directory.find(connection.number) is connection:
            connection.forget(self._number)
            number = self._number
            connection.call(_Farewell(), lambda call: CancelWatch(call, number), now_ms=self._desk.now_ms)


class _Farewell:
    """Waits for the answer to `CancelWatch`, which nobody needs."""

    def on_reply(self, reply: Any, connection: Connection) -> None:
        if not isinstance(reply, Done):
            raise CodecError(f"{type(reply).__name__} in answer to CancelWatch")

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        pass

    def on_lost(self, connection: Connection) -> None:
        pass
