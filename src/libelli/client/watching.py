"""A watch as an asynchronous iterator, with a buffer that has a limit.

When the reader is slow and the buffer is full the node is told to stop; once half of it is read, to go on after
the last revision that was told. So a slow reader holds back nobody, and sees no gap and nothing twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from libelli.client.watches import Control
from libelli.core.errors import CallError
from libelli.core.limits import MIB
from libelli.stores.mvcc.commands import WatchEvent

BUFFER_EVENTS_MAX = 16_384
BUFFER_SIZE_MAX = 8 * MIB

Steer = Callable[[Control], None]


class AsyncWatch:
    """What a watch sees, event by event in the order of revisions.

    ::

        async with client.watch(*prefix_range("jobs/")) as watch:
            async for event in watch: ...

    Attributes:
        revision: there is no change up to here that is not in a batch which was taken.
    """

    def __init__(self, *, start: Callable[["AsyncWatch"], Steer]) -> None:
        self.revision = 0
        self._start = start
        self._steer: Steer | None = None
        self._batches: deque[tuple[int, list[WatchEvent], int]] = deque()
        self._current: deque[WatchEvent] = deque()
        self._events = 0
        self._size = 0
        self._is_paused = False
        self._is_closed = False
        self._has_begun = False
        self._error: CallError | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Opens the watch; when it returns, every later change will be seen."""
        self._open()
        while not (self._has_begun or self._is_closed):
            await self._wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        self._open()
        return self

    async def __anext__(self) -> WatchEvent:
        """Returns the next change.

        Raises:
            CallError: the watch cannot go on; `Compacted` when history that it needs is gone.
        """
        while not self._current:
            if self._is_closed:
                raise StopAsyncIteration
            self._current.extend(await self.batch())
        return self._current.popleft()

    async def batch(self) -> list[WatchEvent]:
        """Returns the next changes, at least one; none once the watch is closed.

        Raises:
            CallError: as for a single one.
        """
        if self._current:
            events = list(self._current)
            self._current.clear()
            return events
        self._open()
        while not self._is_closed:
            if self._batches:
                events = self._take()
                if events:
                    return events
            else:
                await self._wait()
        return []

    def _take(self) -> list[WatchEvent]:
        self.revision, events, size = self._batches.popleft()
        self._events -= len(events)
        self._size -= size
        if self._is_paused and self._events <= BUFFER_EVENTS_MAX // 2 and self._size <= BUFFER_SIZE_MAX // 2:
            self._is_paused = False
            self._control(Control.RESUME)
        return events

    def close(self) -> None:
        """Ends the watch; an iteration under way stops."""
        if not self._is_closed:
            self._is_closed = True
            if self._error is None:
                self._control(Control.CANCEL)
            self._batches.clear()
            self._current.clear()
            self._news.set()

    def on_began(self, revision: int) -> None:
        """See `Watcher`."""
        if not self._has_begun:  # said again after each reconnection
            self._has_begun = True
            self.revision = revision
            self._news.set()

    def on_changed(self, revision: int, events: list[WatchEvent]) -> None:
        """See `Watcher`."""
        if self._is_closed:
            return
        size = sum(map(size_of, events))
        self._batches.append((revision, events, size))
        self._events += len(events)
        self._size += size
        self._news.set()
        if not self._is_paused and (self._events > BUFFER_EVENTS_MAX or self._size > BUFFER_SIZE_MAX):
            self._is_paused = True
            self._control(Control.PAUSE)

    def on_ended(self, error: CallError) -> None:
        """See `Watcher`."""
        self._error = error
        self._news.set()

    def _open(self) -> None:
        if self._steer is None:
            self._steer = self._start(self)

    def _control(self, control: Control) -> None:
        if self._steer is not None:
            self._steer(control)

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._news.clear()
        await self._news.wait()


def size_of(event: WatchEvent) -> int:
    """Returns about how much memory an event takes, in bytes."""
    previous = event.previous
    size = 400 + len(event.item.key) + len(event.item.value)
    return size if previous is None else size + len(previous.key) + len(previous.value)
