"""Moves a store's state from a leader to a replica that is too far behind, one chunk at a time.

::

    follower                                     leader
      FetchChunk(transfer, cursor "") ─────────►   opens a view of its checkpoint
      ◄───────────── SnapshotChunk(rows, cursor)
      (rows durable in new contents)
      FetchChunk(transfer, cursor) ────────────►   …
      ◄───────── SnapshotChunk(rows, cursor "")    the last: the contents take the place of the old

The fetching side sets the pace: it asks for the next chunk when it has stored the last, and asks again when no
answer came. The serving side keeps nothing but a view, and closes one that nobody asked for lately.
"""

from collections.abc import Callable
from typing import ClassVar

from msgspec import Struct

from libelli.core.ids import Index, NodeId, Term
from libelli.core.limits import MIB
from libelli.core.members import Configuration
from libelli.host.chunks import Rows, read_chunk
from libelli.host.machine import Position, read_position
from libelli.stores.engine import Checkpoint, View

CHUNK_SIZE = MIB
ASK_AGAIN_MS = 1_000
VIEW_IDLE_MS_MAX = 30_000
VIEWS_MAX = 8


class FetchChunk(Struct, frozen=True, array_like=True, tag=101):
    """Asks for the rows after `cursor` of the view that is called `transfer` (by the asking node)."""

    promises_durability: ClassVar[bool] = False

    transfer: int
    cursor: bytes
    index: Index


class SnapshotChunk(Struct, frozen=True, array_like=True, tag=102):
    """Answers `FetchChunk`; `asked` is its cursor. An empty `cursor` marks the last chunk."""

    promises_durability: ClassVar[bool] = False

    transfer: int
    asked: bytes
    runs: tuple[Rows, ...]
    cursor: bytes
    index: Index
    term: Term
    configuration: Configuration


class SnapshotGone(Struct, frozen=True, array_like=True, tag=103):
    """The view that a later chunk was asked of is not there any more: begin again."""

    promises_durability: ClassVar[bool] = False

    transfer: int


class OpenView:
    """A view that somebody copies."""

    __slots__ = ("position", "used_ms", "view")

    def __init__(self, view: View, now_ms: int) -> None:
        self.view = view
        self.position = read_position(view)
        self.used_ms = now_ms


class SnapshotSource:
    """The views of one group's checkpoint that are being copied.

    Args:
        checkpoint: the group's.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._views: dict[tuple[NodeId, int], OpenView] = {}

    def open(self, key: tuple[NodeId, int], now_ms: int) -> OpenView | None:
        """Opens a view as `key`, or returns None when too many are open."""
        if len(self._views) >= VIEWS_MAX:
            return None
        self._views[key] = OpenView(self._checkpoint.view(), now_ms)
        return self._views[key]

    def find(self, key: tuple[NodeId, int], now_ms: int) -> OpenView | None:
        """Returns the view `key`, and notes that it is used."""
        found = self._views.get(key)
        if found is not None:
            found.used_ms = now_ms
        return found

    def close(self, key: tuple[NodeId, int]) -> None:
        """Closes the view `key`, if it is open."""
        if (found := self._views.pop(key, None)) is not None:
            found.view.close()

    def close_idle(self, now_ms: int) -> bool:
        """Closes the views that nobody asked for lately; returns whether there were any."""
        idle = [key for key, found in self._views.items() if now_ms - found.used_ms > VIEW_IDLE_MS_MAX]
        for key in idle:
            self.close(key)
        return bool(idle)

    def oldest_index(self) -> Index | None:
        """Returns the oldest index that an open view is at: the log must keep what follows it."""
        return min((found.position.index for found in self._views.values()), default=None)

    def serve(self, node: NodeId, request: FetchChunk, now_ms: int) -> SnapshotChunk | SnapshotGone | None:
        """Answers a request; None when the checkpoint does not reach far enough yet."""
        key = (node, request.transfer)
        found = self.find(key, now_ms)
        if found is None:
            if request.cursor:
                return SnapshotGone(request.transfer)
            found = self.open(key, now_ms)
            if found is None or found.position.index < request.index:
                self.close(key)
                return None
        chunk = read_chunk(found.view, cursor=request.cursor, size_max=CHUNK_SIZE)
        at: Position = found.position
        # The view of the last chunk stays until it is idle: the chunk may be lost and asked for again.
        return SnapshotChunk(
            request.transfer, request.cursor, chunk.runs, chunk.cursor, at.index, at.term, at.configuration
        )


class SnapshotFetch:
    """One snapshot on its way into this replica's store.

    Args:
        source: who has it.
        index: it must reach at least this far.
        transfer: the number of this try, new for each.
        send: sends a request to the source.
    """

    def __init__(self, *, source: NodeId, index: Index, transfer: int, send: Callable[[FetchChunk], None]) -> None:
        self.source = source
        self.transfer = transfer
        self.position: Position | None = None
        self._index = index
        self._send = send
        self._cursor = b""
        self._asked_ms = 0
        self._is_storing = False
        self._is_last = False

    def ask(self, now_ms: int) -> None:
        """Asks for the next chunk."""
        self._asked_ms = now_ms
        self._is_storing = False
        self._send(FetchChunk(self.transfer, self._cursor, self._index))

    def is_overdue(self, now_ms: int) -> bool:
        """Whether an answer was due long ago."""
        return not self._is_storing and now_ms - self._asked_ms >= ASK_AGAIN_MS

    def take(self, chunk: SnapshotChunk) -> bool:
        """Returns whether this is the chunk that was asked for: its rows are to be stored now."""
        if self._is_storing or chunk.transfer != self.transfer or chunk.asked != self._cursor:
            return False
        self._is_storing = True
        self.position = Position(chunk.index, chunk.term, 0, chunk.configuration)
        self._cursor = chunk.cursor
        self._is_last = not chunk.cursor
        return True

    @property
    def is_storing(self) -> bool:
        """Whether a chunk is being stored."""
        return self._is_storing

    @property
    def is_complete(self) -> bool:
        """Whether the last chunk has arrived."""
        return self._is_last
