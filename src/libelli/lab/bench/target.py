"""The seam around a store under test: its servers, its data, one cell at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from libelli.core.errors import LibelliError
from libelli.lab.bench.load import Load, Measured
from libelli.lab.bench.workload import Workload


class BenchError(LibelliError):
    """The benchmark cannot go on; the message says what to do."""


class Target(Protocol):
    """A store of three replicas on this machine.

    The runner calls `start`, then `load`, then `measure` for one cell after another, then `stop`. `revision` is
    asked before and after each cell of puts: what the store says it applied must be what its clients were told.
    """

    name: str
    """Short and unique: ``libelli``, ``etcd``."""

    generators_max: int
    """How many generator processes may share a cell."""

    notes: Sequence[str]
    """What a reader of the table must know about how this target is run."""

    async def start(self, directory: Path) -> None:
        """Starts fresh servers with their data in `directory`; returns once commands are served.

        Raises:
            BenchError: it does not start; what was started is stopped.
        """

    async def stop(self) -> None:
        """Stops what was started; safe to call at any time, and twice."""

    async def load(self, workload: Workload) -> None:
        """Writes every key of the workload once, as fast as it goes."""

    async def measure(self, load: Load, *, generators: int = 1) -> Measured:
        """Runs one cell, split over so many generator processes.

        Raises:
            BenchError: a server or generator died.
        """

    async def revision(self) -> int:
        """Returns a number that grows by exactly one with each put that was applied."""

    async def restart_one(self) -> float:
        """Stops one server that does not lead, starts it again, and returns how long that took.

        Returns:
            Seconds from its start to its first answer, all data at hand; nan when this cannot be told.
        """

    def pids(self) -> Sequence[int]:
        """Returns the process ids of the servers."""
