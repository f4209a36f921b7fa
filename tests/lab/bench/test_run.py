"""The order of a run, what it refuses to trust, and its tables, with stores of our making."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from libelli.lab.bench.load import Load, Measured, Open
from libelli.lab.bench.plan import Cell, Plan
from libelli.lab.bench.report import tables
from libelli.lab.bench.runner import Observation, Runner
from libelli.lab.bench.workload import Workload
from libelli.lab.histogram import Histogram

PLAN = Plan(Workload(10, 8), in_flight=(1, 8), rounds=2, seconds=1.0, open_seconds=1.0)


class FakeStore:
    """A store that answers `per_second` commands and counts `lost` of its puts too little."""

    def __init__(self, name: str, *, per_second: int, lost: int = 0) -> None:
        self.name = name
        self.generators_max = 1
        self.notes: Sequence[str] = (f"{name} is a fake",)
        self.rates: list[float] = []
        self.stopped = False
        self._per_second = per_second
        self._lost = lost
        self._revision = 1

    async def start(self, directory: Path) -> None:
        self.directory = directory

    async def stop(self) -> None:
        self.stopped = True

    async def load(self, workload: Workload) -> None:
        self._revision += workload.key_count

    async def measure(self, load: Load, *, generators: int = 1) -> Measured:
        if isinstance(load.pace, Open):
            self.rates.append(load.pace.rate_per_second)
        if load.operation == "put":
            self._revision += self._per_second - self._lost
        latency = Histogram()
        latency.record(1_000_000_000 // self._per_second, self._per_second)
        return Measured(load.seconds, self._per_second, acknowledged=self._per_second, latency=latency.encode())

    async def revision(self) -> int:
        return self._revision

    async def restart_one(self) -> float:
        return math.nan

    def pids(self) -> Sequence[int]:
        return [1 << 30]


def run(*stores: FakeStore, plan: Plan = PLAN) -> Runner:
    heard: list[Observation] = []
    runner = Runner(plan, stores, directory=Path("unused"), heard=heard.append, say=lambda line: None)
    asyncio.run(runner.run())
    assert heard == runner.observations
    return runner


def test_every_target_is_measured_beside_the_others_in_each_cell_and_in_turn_first() -> None:
    order = list(PLAN.closed(["a", "b"]))
    assert len(order) == 2 * len(PLAN.cells()) * 2
    firsts = []
    for place in range(0, len(order), 2):
        (number, cell, first), (other_number, other_cell, second) = order[place : place + 2]
        assert (number, cell) == (other_number, other_cell)
        assert {first, second} == {"a", "b"}
        firsts.append(first)
    assert firsts.count("a") == firsts.count("b")
    assert order == list(PLAN.closed(["a", "b"]))


def test_the_open_loop_runs_at_half_of_the_rivals_best() -> None:
    ours, theirs = FakeStore("libelli", per_second=900), FakeStore("etcd", per_second=100)
    run(ours, theirs)
    assert ours.rates == theirs.rates == [50.0, 50.0]


def test_a_store_that_counts_other_puts_than_it_acknowledged_is_reported() -> None:
    runner = run(FakeStore("libelli", per_second=900, lost=3))
    complaints = {complaint for each in runner.observations for complaint in each.complaints}
    assert complaints == {"the store applied 897 puts, clients were told of 900"}


def test_ratios_compare_what_was_measured_in_the_same_round() -> None:
    runner = run(FakeStore("libelli", per_second=900), FakeStore("etcd", per_second=300))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(tables(runner.observations, runner.footprints, ["a note"]))
    text = capture.get()
    assert "3.00 (3.00–3.00)" in text
    assert "a note" in text
    assert "open loop at 150/s" in text


def test_servers_are_stopped_when_a_cell_fails() -> None:
    class Broken(FakeStore):
        async def measure(self, load: Load, *, generators: int = 1) -> Measured:
            raise RuntimeError("the server died")

    store = Broken("libelli", per_second=1)
    with pytest.raises(RuntimeError, match="died"):
        run(store)
    assert store.stopped


def test_cells_have_names_that_people_read() -> None:
    assert Cell("put", 2048, 2).name == "put, 2,048 in flight, 2 generators"
    assert Cell("put", 0).name == "put, open loop"
