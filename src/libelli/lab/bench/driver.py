"""The seam inside a generator process: who sends commands, and who hears of the answers."""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, cast

from libelli.lab.bench.load import Operation
from libelli.lab.bench.workload import Workload


class Sink(Protocol):
    """Hears how commands ended. Call it on the event loop's thread, as soon as the answer is there."""

    def completed(self, started_ns: int, count: int = 1) -> None:
        """`count` commands that were submitted with `started_ns` have been answered, and did what they should."""

    def failed(self, started_ns: int, reason: str, count: int = 1) -> None:
        """`count` commands that were submitted with `started_ns` ended otherwise; `reason` is for people."""


class Driver(Protocol):
    """A client of the store under test, living on the event loop of a generator process."""

    async def open(self, sink: Sink) -> None:
        """Connects; commands are accepted afterwards."""

    def submit(self, started_ns: int, keys: Sequence[int]) -> None:
        """Sends one command per key, all at once; must not block, wait or fail.

        It may be called many times in one turn of the event loop. A driver that gains by sending larger pieces
        collects commands and sends them with `call_soon`.

        Args:
            started_ns: handed back to the sink with the answer; commands with the same value may be answered
                together, with one call.
            keys: indexes into the workload.
        """

    async def close(self) -> None:
        """Disconnects; no call to the sink afterwards."""


class DriverClass(Protocol):
    """How a generator process makes a driver: by name, from settings that are plain JSON."""

    def __call__(self, *, operation: Operation, workload: Workload, settings: dict[str, Any]) -> Driver:
        """Returns a driver for commands of one kind; no work is done before `open`."""


def driver_class(path: str) -> DriverClass:
    """Returns the class that ``package.module:Name`` stands for."""
    module, _, name = path.partition(":")
    return cast(DriverClass, getattr(importlib.import_module(module), name))
