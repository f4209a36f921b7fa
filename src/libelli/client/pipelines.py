"""Many commands under way at once, with a limit: the fast way to write much.

::

    async with client.pipeline() as pipeline:          with client.pipeline() as pipeline:
        for key, value in items:                           for key, value in items:
            await pipeline.put(key, value)                     pipeline.put(key, value)

Leaving the block waits for all answers and raises the first error. Commands that write are applied in the order
in which they were given; after an error those behind it may have been applied all the same.
"""

import asyncio
from concurrent.futures import Future
from threading import Condition
from typing import Any, Protocol, Self

from libelli.client.commands import delete_command, put_command
from libelli.client.keys import Data
from libelli.stores.mvcc.commands import Answer, Command

IN_FLIGHT_DEFAULT = 4_096


class AsyncSubmitter(Protocol):
    """What starts commands on an event loop."""

    def submit(self, command: Command, *, collection: str, timeout_ms: int | None) -> "asyncio.Future[Answer]":
        """Starts a command."""


class Submitter(Protocol):
    """What starts commands from any thread."""

    def submit(self, command: Command, *, collection: str, timeout_ms: int | None) -> "Future[Answer]":
        """Starts a command."""


class AsyncPipeline:
    """Commands of one task, at most `in_flight` of them not answered."""

    def __init__(self, client: AsyncSubmitter, *, in_flight: int, collection: str, timeout_ms: int | None) -> None:
        self._client = client
        self._in_flight = in_flight
        self._collection = collection
        self._timeout_ms = timeout_ms
        self._waiting = 0
        self._error: BaseException | None = None
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.drain()

    async def put(self, key: Data, value: Data, *, lease: int = 0) -> "asyncio.Future[Answer]":
        """Starts a put as soon as there is room; returns the future of its answer."""
        return await self.submit(put_command(key, value, lease=lease, previous=False))

    async def delete(self, key: Data, end: Data = b"") -> "asyncio.Future[Answer]":
        """Starts a delete as soon as there is room; returns the future of its answer."""
        return await self.submit(delete_command(key, end, previous=False))

    async def submit(self, command: Command) -> "asyncio.Future[Answer]":
        """Starts a command as soon as there is room; returns the future of its answer.

        Raises:
            CallError: of an earlier command.
        """
        while self._waiting >= self._in_flight:
            await self._wait()
        if self._error is not None:
            raise self._error
        future = self._client.submit(command, collection=self._collection, timeout_ms=self._timeout_ms)
        self._waiting += 1
        future.add_done_callback(self._on_done)
        return future

    async def drain(self) -> None:
        """Waits for all answers.

        Raises:
            CallError: the first error of any command.
        """
        while self._waiting:
            await self._wait()
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _wait(self) -> None:
        self._room.clear()
        await self._room.wait()

    def _on_done(self, future: "asyncio.Future[Answer]") -> None:
        self._waiting -= 1
        if not future.cancelled() and self._error is None:
            self._error = future.exception()
        self._room.set()


class Pipeline:
    """Commands of one thread, at most `in_flight` of them not answered."""

    def __init__(self, client: Submitter, *, in_flight: int, collection: str, timeout_ms: int | None) -> None:
        self._client = client
        self._in_flight = in_flight
        self._collection = collection
        self._timeout_ms = timeout_ms
        self._waiting = 0
        self._error: BaseException | None = None
        self._room = Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.drain()

    def put(self, key: Data, value: Data, *, lease: int = 0) -> "Future[Answer]":
        """Starts a put as soon as there is room; returns the future of its answer."""
        return self.submit(put_command(key, value, lease=lease, previous=False))

    def delete(self, key: Data, end: Data = b"") -> "Future[Answer]":
        """Starts a delete as soon as there is room; returns the future of its answer."""
        return self.submit(delete_command(key, end, previous=False))

    def submit(self, command: Command) -> "Future[Answer]":
        """Starts a command as soon as there is room; returns the future of its answer.

        Raises:
            CallError: of an earlier command.
        """
        with self._room:
            while self._waiting >= self._in_flight:
                self._room.wait()
            if self._error is not None:
                raise self._error
            self._waiting += 1
        try:
            future = self._client.submit(command, collection=self._collection, timeout_ms=self._timeout_ms)
        except BaseException:
            with self._room:
                self._waiting -= 1
            raise
        future.add_done_callback(self._on_done)
        return future

    def drain(self) -> None:
        """Waits for all answers.

        Raises:
            CallError: the first error of any command.
        """
        with self._room:
            while self._waiting:
                self._room.wait()
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _on_done(self, future: "Future[Any]") -> None:
        with self._room:
            self._waiting -= 1
            if not future.cancelled() and self._error is None:
                self._error = future.exception()
            if self._waiting <= self._in_flight // 2:  # a thread is woken for many, not for each
                self._room.notify_all()
