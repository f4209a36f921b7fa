"""What drives Libelli from inside a generator process: one `AsyncClient`, as any program would have it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from libelli.client import AsyncClient
from libelli.core.calls import Consistency
from libelli.core.errors import CallError
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.lab.bench.driver import Sink
from libelli.lab.bench.load import Operation
from libelli.lab.bench.workload import VALUES_COUNT, Workload
from libelli.stores.mvcc.commands import Put, Range

TIMEOUT_MS = 30_000


class Together:
    """Stands for the futures of all commands that were submitted together, and counts how they end.

    The client ends futures with `set_result` and `set_exception`; those of one frame in one go. The sink hears
    of them once, with their number.
    """

    __slots__ = ("_count", "_least", "_loop", "_sink", "_started_ns")

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop, started_ns: int, *, least_items: int) -> None:
        self._sink = sink
        self._loop = loop
        self._started_ns = started_ns
        self._least = least_items
        self._count = 0

    def done(self) -> bool:
        """No command is ever taken back."""
        return False

    def set_result(self, answer: Any) -> None:
        """A command was answered."""
        if self._least and len(answer.items) < self._least:
            self._sink.failed(self._started_ns, "an answer holds no value")
            return
        if not self._count:
            self._loop.call_soon(self._tell)
        self._count += 1

    def set_exception(self, error: BaseException) -> None:
        """A command failed."""
        self._sink.failed(self._started_ns, str(error))

    def _tell(self) -> None:
        count, self._count = self._count, 0
        self._sink.completed(self._started_ns, count)


class LibelliDriver:
    """Puts or linearizable gets of one client.

    Args:
        settings: ``endpoints``, and ``bundle`` with the client's certificate.
    """

    def __init__(self, *, operation: Operation, workload: Workload, settings: dict[str, Any]) -> None:
        self._operation = operation
        self._workload = workload
        self._values = workload.values()
        self._number = 0
        self._client = AsyncClient(endpoints=settings["endpoints"], certificates=settings["bundle"])
        self._sink: Sink
        self._loop: asyncio.AbstractEventLoop

    async def open(self, sink: Sink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._client.open()
        await self._client.get(self._workload.key(0))  # finds the leader

    def submit(self, started_ns: int, keys: Sequence[int]) -> None:
        is_put = self._operation == "put"
        together = Together(self._sink, self._loop, started_ns, least_items=0 if is_put else 1)
        key_of, values, submit = self._workload.key, self._values, self._client.driver.submit
        for number, index in enumerate(keys, self._number):
            key = key_of(index)
            command = Put(key, values[number % VALUES_COUNT]) if is_put else Range(key)
            try:
                submit(
                    command,
                    together,
                    collection=DEFAULT_COLLECTION,
                    consistency=Consistency.LINEARIZABLE,
                    timeout_ms=TIMEOUT_MS,
                )
            except CallError as error:
                self._sink.failed(started_ns, str(error))
        self._number += len(keys)

    async def close(self) -> None:
        await self._client.close()
