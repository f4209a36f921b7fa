"""What one cell of the benchmark asks for, and what came out of it.

*Closed loop*: a fixed number of commands is in flight; each answer starts the next command. It shows the most
that a store can do, and how long each command takes then.

*Open loop*: commands start at fixed times, whatever the store does. Latency counts from the intended start, so
a store that stalls pays for all that had to wait behind the stall (no coordinated omission).
"""

from typing import Literal

import msgspec

from libelli.lab.bench.workload import Workload
from libelli.lab.histogram import Histogram

Operation = Literal["put", "get"]
"""`put` writes one key; `get` reads one, linearizably."""


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """Keep `in_flight` commands under way."""

    in_flight: int

    def split(self, parts: int) -> "list[Closed]":
        """Returns the shares of `parts` generators; some may have nothing to do."""
        return [Closed(self.in_flight // parts + (part < self.in_flight % parts)) for part in range(parts)]


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Start a command every 1/rate_per_second, answered or not; `offset` (0 … 1) shifts the whole schedule."""

    rate_per_second: float
    offset: float = 0.0

    def split(self, parts: int) -> "list[Open]":
        """Returns the shares of `parts` generators, whose schedules interleave evenly."""
        return [Open(self.rate_per_second / parts, part / parts) for part in range(parts)]


Pace = Closed | Open


class Load(msgspec.Struct, frozen=True):
    """One cell: what to do, how, and for how long.

    Args:
        warm_up_seconds: the same load before counting starts.
        drain_seconds: how long answers are awaited after the last command.
    """

    operation: Operation
    pace: Pace
    workload: Workload
    seconds: float
    warm_up_seconds: float = 0.5
    drain_seconds: float = 10.0


class Measured(msgspec.Struct):
    """What came out of one cell.

    `completed` and the histograms (nanoseconds) cover the counted window; `acknowledged`, `failed` and
    `unanswered` cover the whole cell with its warm-up and drain, so that they can be compared with the store's
    own count.
    """

    seconds: float
    completed: int = 0
    acknowledged: int = 0
    failed: int = 0
    unanswered: int = 0
    latency: list[list[int]] = []
    lag: list[list[int]] = []
    generator_cpu_seconds: float = 0.0
    servers_cpu_seconds: float = 0.0
    reasons: dict[str, int] = {}

    @property
    def per_second(self) -> float:
        """Commands completed each second of the window."""
        return self.completed / self.seconds

    @property
    def complaints(self) -> list[str]:
        """Returns what forbids to trust the figures, if anything."""
        found = [f"{count} failed: {reason}" for reason, count in sorted(self.reasons.items())]
        if self.unanswered:
            found.append(f"{self.unanswered} unanswered")
        if not self.completed:
            found.append("nothing completed")
        return found

    def latency_ms(self, share: float) -> float:
        """Returns a quantile of the latencies; nan if nothing completed."""
        return Histogram.decode(self.latency).quantile(share) / 1e6 if self.latency else float("nan")

    def lag_ms(self, share: float) -> float:
        """Returns a quantile of how late the generator itself started commands (open loop only)."""
        return Histogram.decode(self.lag).quantile(share) / 1e6 if self.lag else 0.0


def combined(parts: list[Measured]) -> Measured:
    """Returns one result for generators that ran side by side, each with its share of one cell."""
    reasons: dict[str, int] = {}
    for part in parts:
        for reason, count in part.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return Measured(
        seconds=parts[0].seconds,
        completed=sum(part.completed for part in parts),
        acknowledged=sum(part.acknowledged for part in parts),
        failed=sum(part.failed for part in parts),
        unanswered=sum(part.unanswered for part in parts),
        latency=Histogram.merged(Histogram.decode(part.latency) for part in parts).encode(),
        lag=Histogram.merged(Histogram.decode(part.lag) for part in parts).encode(),
        generator_cpu_seconds=sum(part.generator_cpu_seconds for part in parts),
        servers_cpu_seconds=sum(part.servers_cpu_seconds for part in parts),
        reasons=reasons,
    )
