"""What drives etcd from inside a generator process: a few connections with many calls under way on each."""

import asyncio
from collections.abc import Sequence
from typing import Any

from libelli.lab.bench.driver import Sink
from libelli.lab.bench.etcd.calls import CallConnection
from libelli.lab.bench.etcd.messages import PUT, RANGE, put_writer, range_writer
from libelli.lab.bench.load import Operation
from libelli.lab.bench.workload import KEY_BYTES, VALUES_COUNT, Workload


class EtcdDriver:
    """Puts or linearizable gets, one gRPC call each.

    Args:
        settings: ``ports`` of the members to call, and ``connections`` to open to each.
    """

    def __init__(self, *, operation: Operation, workload: Workload, settings: dict[str, Any]) -> None:
        self._operation = operation
        self._workload = workload
        self._ports: list[int] = settings["ports"]
        self._per_port: int = settings["connections"]
        self._values = workload.values()
        self._number = 0
        self._connections: list[CallConnection] = []
        self._sink: Sink
        # An answer to a get that is shorter than the value holds no value.
        self._least_bytes = 0 if operation == "put" else workload.value_bytes

    async def open(self, sink: Sink) -> None:
        self._sink = sink
        path = PUT if self._operation == "put" else RANGE
        self._connections = await asyncio.gather(
            *(
                CallConnection.connect(host="127.0.0.1", port=port, path=path, on_answer=self._on_answer)
                for _ in range(self._per_port)
                for port in self._ports
            )
        )

    def submit(self, started_ns: int, keys: Sequence[int]) -> None:
        connections, count = self._connections, len(self._connections)
        key_of = self._workload.key
        if self._operation == "put":
            write_put = put_writer(key_bytes=KEY_BYTES, value_bytes=self._workload.value_bytes)
            for number, index in enumerate(keys, self._number):
                message = write_put(key_of(index), self._values[number % VALUES_COUNT])
                connections[number % count].call(message, started_ns)
        else:
            write_range = range_writer(key_bytes=KEY_BYTES)
            for number, index in enumerate(keys, self._number):
                connections[number % count].call(write_range(key_of(index)), started_ns)
        self._number += len(keys)

    async def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _on_answer(self, started_ns: int, size_bytes: int, failure: str | None) -> None:
        if failure is not None:
            self._sink.failed(started_ns, failure)
        elif size_bytes < self._least_bytes:
            self._sink.failed(started_ns, f"an answer of {size_bytes} bytes holds no value")
        else:
            self._sink.completed(started_ns)
