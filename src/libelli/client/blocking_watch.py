"""A watch for threads: the asynchronous one, read batch by batch from the client's background loop."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol, Self, TypeVar

from libelli.client.watching import AsyncWatch
from libelli.stores.mvcc.commands import WatchEvent

T = TypeVar("T")


class Runner(Protocol):
    """What runs coroutines for other threads."""

    @property
    def is_open(self) -> bool:
        """Whether it still does."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine."""


class Watch:
    """What a watch sees, as an iterator for one thread; see `AsyncWatch`.

    ::

    with client.watch(*prefix_range("jobs/")) as watch:
        for event in watch: ...
    """

    def __init__(self, runner: Runner, watch: AsyncWatch) -> None:
        self._runner = runner
        self._watch = watch

    @property
    def revision(self) -> int:
        """There is no change up to here that is not in a batch which was taken."""
        return self._watch.revision

    def __enter__(self) -> Self:
        """Opens the watch; when it returns, every later change will be seen."""
        self._runner.run(self._watch.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[WatchEvent]:
        while events := self.batch():
            yield from events

    def batch(self, *, timeout_ms: int | None = None) -> list[WatchEvent]:
        """Returns the next changes; none when the watch is closed or `timeout_ms` have passed."""
        return self._runner.run(_next_batch(self._watch, timeout_ms))

    def close(self) -> None:
        """Ends the watch, from any thread; an iteration under way stops."""
        if self._runner.is_open:
            self._runner.run(_close(self._watch))


async def _next_batch(watch: AsyncWatch, timeout_ms: int | None) -> list[WatchEvent]:
    try:
        async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
            return await watch.batch()
    except TimeoutError:
        return []


async def _close(watch: AsyncWatch) -> None:
    watch.close()
