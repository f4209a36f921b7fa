"""What one run of the benchmark measures, and in which order.

::

    for each round            every cell once, in an order drawn from the seed
      for each cell           all targets one after the other, in turn the first
        for each target       one `Load`

So a slow minute of the machine falls on all targets alike, and ratios inside a round mean something.
"""

import random
from collections.abc import Iterator, Sequence

import msgspec

from libelli.lab.bench.load import Closed, Load, Open, Operation
from libelli.lab.bench.workload import Workload


class Cell(msgspec.Struct, frozen=True, order=True):
    """One row of the table.

    Args:
        operation: what commands do.
        in_flight: closed loop: commands under way; 0: open loop.
        generators: processes that share the load.
    """

    operation: str
    in_flight: int
    generators: int = 1

    @property
    def name(self) -> str:
        """What the report calls it."""
        pace = f"{self.in_flight:,} in flight" if self.in_flight else "open loop"
        several = f", {self.generators} generators" if self.generators > 1 else ""
        return f"{self.operation}, {pace}{several}"


class Plan(msgspec.Struct, frozen=True):
    """The choices of one run.

    Args:
        in_flight: the closed loops.
        rounds: how often each cell is measured; the report shows medians.
        seconds: length of one closed-loop cell.
        open_seconds: length of one open-loop cell; long enough for flushes and snapshots. 0: none.
        open_rate: puts a second of the open loop; 0: half of what etcd reaches at its best in this run.
        doubled: also drive each target with two generators at the largest of `in_flight`.
        seed: what all dice follow from.
    """

    workload: Workload
    operations: Sequence[Operation] = ("put", "get")
    in_flight: Sequence[int] = (1, 16, 64, 256, 2048)
    rounds: int = 3
    seconds: float = 3.0
    open_seconds: float = 10.0
    open_rate: float = 0.0
    doubled: bool = True
    seed: int = 1

    def cells(self) -> list[Cell]:
        """Returns the closed-loop cells of one round."""
        cells = [Cell(operation, count) for operation in self.operations for count in self.in_flight]
        if self.doubled:
            cells += [Cell(operation, max(self.in_flight), 2) for operation in self.operations]
        return cells

    def closed(self, targets: Sequence[str]) -> Iterator[tuple[int, Cell, str]]:
        """Yields (round, cell, target) in the order of measuring."""
        dice = random.Random(self.seed)
        for number in range(self.rounds):
            cells = self.cells()
            dice.shuffle(cells)
            for place, cell in enumerate(cells):
                first = (number + place) % len(targets)
                for target in (*targets[first:], *targets[:first]):
                    yield number, cell, target

    def load(self, cell: Cell, *, rate_per_second: float = 0.0) -> Load:
        """Returns what a target is asked to do for a cell."""
        operation: Operation = "put" if cell.operation == "put" else "get"
        if cell.in_flight:
            return Load(operation, Closed(cell.in_flight), self.workload, self.seconds)
        return Load(operation, Open(rate_per_second), self.workload, self.open_seconds)
