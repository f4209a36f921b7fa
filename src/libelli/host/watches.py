"""Watchers of one group: each gets every change of its keys, in order, whole revisions, once.

::

    Watch ─► behind ──(pages of history)──► current ──(changes as they are applied)──►
               ▲                               │
               └────── connection is full ─────┘

A watcher whose connection does not take more is put behind instead of being buffered for: when the connection
is ready again it reads what it missed from the store. So a slow reader costs no memory and stops nobody.
"""

from collections.abc import Callable, Sequence

from libelli.core.calls import Changes, Refusal, Reply, Watch
from libelli.core.codec import encode
from libelli.core.errors import CallError
from libelli.core.limits import MIB
from libelli.host.machine import Machine
from libelli.stores.mvcc.commands import FROM_KEY, WatchEvent

PAGE_BYTES = MIB
PAGES_MAX = 4
"""Pages of history read in one step, for all watchers together."""
PROGRESS_MS = 600_000
"""How often an idle watcher that asked for it hears how far it is."""

Post = Callable[[int, Reply], None]
"""Queues a reply on a connection."""


class Watcher:
    """One watcher, and the next revision that it must see."""

    __slots__ = ("connection", "heard_ms", "next_revision", "watch")

    def __init__(self, connection: int, watch: Watch, next_revision: int, now_ms: int) -> None:
        self.connection = connection
        self.watch = watch
        self.next_revision = next_revision
        self.heard_ms = now_ms

    def covers(self, key: bytes) -> bool:
        """Returns whether `key` is one of its keys."""
        watch = self.watch
        if not watch.end:
            return key == watch.key
        return key >= watch.key and (watch.end == FROM_KEY or key < watch.end)

    def wants(self, event: WatchEvent) -> bool:
        """Returns whether it wants to hear of this change of one of its keys."""
        is_delete = event.item.version == 0
        return not (self.watch.no_deletes if is_delete else self.watch.no_puts)


class Watches:
    """All watchers of a group.

    Args:
        machine: what they watch.
        post: queues a reply.
        is_full: whether a connection does not take more now.
    """

    def __init__(self, machine: Machine, *, post: Post, is_full: Callable[[int], bool]) -> None:
        self._machine = machine
        self._post = post
        self._is_full = is_full
        self._current: dict[tuple[int, int], Watcher] = {}
        self._behind: dict[tuple[int, int], Watcher] = {}

    def __len__(self) -> int:
        return len(self._current) + len(self._behind)

    def add(self, connection: int, watch: Watch, now_ms: int) -> None:
        """Adds a watcher; its changes follow with the next `publish` or `catch_up`."""
        start = watch.start_revision or self._machine.store.revision + 1
        watcher = Watcher(connection, watch, start, now_ms)
        places = self._current if start > self._machine.store.revision else self._behind
        places[connection, watch.call] = watcher
        self._machine.store.watching = True

    def remove(self, connection: int, call: int) -> bool:
        """Removes a watcher; returns whether it was there."""
        key = (connection, call)
        found = self._current.pop(key, None) or self._behind.pop(key, None)
        self._machine.store.watching = len(self) > 0
        return found is not None

    def remove_all(self, connection: int) -> int:
        """Removes the watchers of a connection; returns how many there were."""
        gone = [key for places in (self._current, self._behind) for key in places if key[0] == connection]
        for _, call in gone:
            self.remove(connection, call)
        return len(gone)

    def restart(self) -> None:
        """Puts all watchers behind: the store was replaced by a later state of it."""
        self._behind |= self._current
        self._current = {}
        self._machine.store.watching = len(self) > 0

    def publish(self, changes: Sequence[tuple[int, Sequence[WatchEvent]]], now_ms: int) -> None:
        """Sends what was just applied to the watchers that are current."""
        for key, watcher in list(self._current.items()):
            if self._is_full(watcher.connection):
                self._behind[key] = self._current.pop(key)
                continue
            self._send(watcher, changes, now_ms)

    @property
    def has_more(self) -> bool:
        """Whether a watcher that is behind can be served at once."""
        return any(not self._is_full(watcher.connection) for watcher in self._behind.values())

    def catch_up(self, now_ms: int) -> None:
        """Reads some history for watchers that are behind."""
        pages = 0
        for key, watcher in list(self._behind.items()):
            if self._is_full(watcher.connection):
                continue
            if pages >= PAGES_MAX:
                return
            pages += 1
            if not self._read_page(watcher, now_ms):
                del self._behind[key]
            elif watcher.next_revision > self._machine.store.revision:
                self._current[key] = self._behind.pop(key)

    def report_progress(self, now_ms: int) -> None:
        """Tells idle watchers that asked for it how far they are."""
        revision = self._machine.store.revision
        for watcher in self._current.values():
            if watcher.watch.progress and now_ms - watcher.heard_ms >= PROGRESS_MS:
                watcher.heard_ms = now_ms
                if watcher.next_revision <= revision + 1:
                    self._post(watcher.connection, Changes(watcher.watch.call, revision, encode([])))

    def _read_page(self, watcher: Watcher, now_ms: int) -> bool:
        watch = watcher.watch
        try:
            page = self._machine.store.events(watcher.next_revision, key=watch.key, end=watch.end, bytes_max=PAGE_BYTES)
        except CallError as error:
            refusal = Refusal(watch.call, error.code, str(error), compact_revision=self._machine.store.compact_revision)
            self._post(watcher.connection, refusal)
            return False
        self._send(watcher, page.changes, now_ms)
        watcher.next_revision = max(watcher.next_revision, page.next_revision)
        return True

    def _send(self, watcher: Watcher, changes: Sequence[tuple[int, Sequence[WatchEvent]]], now_ms: int) -> None:
        events: list[WatchEvent] = []
        last = 0
        for revision, happened in changes:
            if revision < watcher.next_revision:
                continue
            last = revision
            for event in happened:
                if watcher.covers(event.item.key) and watcher.wants(event):
                    events.append(event if watcher.watch.previous else WatchEvent(event.item))
        if last:
            watcher.next_revision = last + 1
        if events:
            watcher.heard_ms = now_ms
            self._post(watcher.connection, Changes(watcher.watch.call, last, encode(events)))
