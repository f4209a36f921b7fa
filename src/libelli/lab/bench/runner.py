"""Runs a plan: starts the targets, measures them in turn, and checks what they say against what was told.

A put that was acknowledged must be in the store's own count, and nothing else may be: a store that drops or
repeats writes is not measured, it is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from libelli.lab.bench.load import Measured
from libelli.lab.bench.plan import Cell, Plan
from libelli.lab.bench.processes import anonymous_bytes, cpu_seconds, resident_bytes
from libelli.lab.bench.target import BenchError, Target


class Observation(msgspec.Struct, frozen=True):
    """One cell of one target, once.

    Attributes:
        applied: puts that the store counted over the whole cell (puts only).
        others_cpu_seconds: what the servers of all other targets used meanwhile.
    """

    round: int
    cell: Cell
    target: str
    measured: Measured
    applied: int = 0
    others_cpu_seconds: float = 0.0
    rate_per_second: float = 0.0

    @property
    def complaints(self) -> list[str]:
        """Returns what forbids to trust the figures, if anything."""
        found = list(self.measured.complaints)
        told = self.measured.acknowledged
        unknown = self.measured.failed + self.measured.unanswered
        if self.cell.operation == "put" and not told <= self.applied <= told + unknown:
            found.append(f"the store applied {self.applied:,} puts, clients were told of {told:,}")
        return found


class Footprint(msgspec.Struct, frozen=True):
    """What the servers of a target hold at the end of a run.

    Attributes:
        anonymous_bytes: memory of the largest server that no file stands behind.
        resident_bytes: memory of the same server, mapped pages of files included.
        restart_seconds: from the start of one server to its first answer, with all data; nan: not measured.
    """

    target: str
    anonymous_bytes: int
    resident_bytes: int
    restart_seconds: float


Report = Callable[[Observation], None]


class Runner:
    """One run.

    Args:
        targets: the stores; those that run side by side.
        directory: empty; their data goes there.
        heard: called after each cell.
        say: called with a line for people now and then.
    """

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        *,
        directory: Path,
        heard: Report,
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._targets: Mapping[str, Target] = {target.name: target for target in targets}
        self._directory = directory
        self._heard = heard
        self._say = say
        self.observations: list[Observation] = []
        self.footprints: list[Footprint] = []

    async def run(self) -> None:
        """Measures all that is planned, and stops all servers whatever happens.

        Raises:
            BenchError: a store does not start, or died.
        """
        try:
            for name, target in self._targets.items():
                self._say(f"{name}: starting, then loading {self._plan.workload.key_count:,} keys")
                await target.start(self._directory / name)
                await target.load(self._plan.workload)
            for number, cell, name in self._plan.closed(list(self._targets)):
                await self._measure(number, cell, name)
            if self._plan.open_seconds:
                await self._measure_open()
            for target in self._targets.values():
                self.footprints.append(await self._footprint(target))
        finally:
            for target in self._targets.values():
                await target.stop()

    async def _measure_open(self) -> None:
        rate = self._plan.open_rate or self._half_of_best("etcd" if "etcd" in self._targets else None)
        names = list(self._targets)
        for number in range(self._plan.rounds):
            for name in (*names[number % len(names) :], *names[: number % len(names)]):
                await self._measure(number, Cell("put", 0), name, rate_per_second=rate)

    def _half_of_best(self, name: str | None) -> float:
        puts: dict[Cell, list[float]] = {}
        for each in self.observations:
            if each.cell.operation == "put" and name in (None, each.target):
                puts.setdefault(each.cell, []).append(each.measured.per_second)
        if not puts:
            raise BenchError("an open loop needs a rate: measure puts as well, or give --open-loop-rate")
        return max(median(rates) for rates in puts.values()) / 2

    async def _measure(self, number: int, cell: Cell, name: str, *, rate_per_second: float = 0.0) -> None:
        target = self._targets[name]
        if cell.generators > 1 and not target.generators_max >= cell.generators:
            return
        others = [pid for other in self._targets.values() if other is not target for pid in other.pids()]
        before, used = await target.revision(), cpu_seconds(others)
        load = self._plan.load(cell, rate_per_second=rate_per_second)
        measured = await target.measure(load, generators=cell.generators)
        observation = Observation(
            number,
            cell,
            name,
            measured,
            applied=await target.revision() - before,
            others_cpu_seconds=cpu_seconds(others) - used,
            rate_per_second=rate_per_second,
        )
        self.observations.append(observation)
        self._heard(observation)

    async def _footprint(self, target: Target) -> Footprint:
        largest = max(target.pids(), key=lambda pid: anonymous_bytes([pid]))
        anonymous, resident = anonymous_bytes([largest]), resident_bytes([largest])
        return Footprint(target.name, anonymous, resident, await target.restart_one())
