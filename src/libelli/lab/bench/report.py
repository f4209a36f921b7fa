"""The tables that a run of the benchmark prints.

Ratios compare the medians over all rounds; the range beside a ratio is that of the single rounds.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from rich.console import Group
from rich.table import Table
from rich.text import Text

from libelli.lab.bench.plan import Cell
from libelli.lab.bench.runner import Footprint, Observation

OURS = "libelli"


class Summary:
    """The observations of a run by cell and target."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._found: dict[tuple[Cell, str], list[Observation]] = {}
        for each in observations:
            self._found.setdefault((each.cell, each.target), []).append(each)
        self.targets = list(dict.fromkeys(each.target for each in observations))
        self.cells = sorted(
            {each.cell for each in observations},
            key=lambda cell: (cell.operation != "put", cell.in_flight == 0, cell.generators, cell.in_flight),
        )

    def of(self, cell: Cell, target: str) -> list[Observation]:
        """Returns what was observed, a round each."""
        return self._found.get((cell, target), [])

    def rate(self, cell: Cell, target: str) -> float:
        """Returns the median of commands a second; nan when nothing was measured."""
        return median(each.measured.per_second for each in self.of(cell, target)) if self.of(cell, target) else math.nan

    def latency_ms(self, cell: Cell, target: str, share: float) -> float:
        """Returns the median over the rounds of a quantile; nan when nothing was measured."""
        found = self.of(cell, target)
        return median(each.measured.latency_ms(share) for each in found) if found else math.nan

    def ratios(self, cell: Cell, target: str) -> list[float]:
        """Returns ours over theirs in each round: commands a second, or for the open loop p99."""
        theirs = {each.round: each for each in self.of(cell, target)}
        return [_ratio(cell, ours, theirs[ours.round]) for ours in self.of(cell, OURS) if ours.round in theirs]


def _ratio(cell: Cell, ours: Observation, theirs: Observation) -> float:
    if cell.in_flight:
        return ours.measured.per_second / theirs.measured.per_second if theirs.measured.completed else math.nan
    return ours.measured.latency_ms(0.99) / theirs.measured.latency_ms(0.99)


def tables(observations: Sequence[Observation], footprints: Sequence[Footprint], notes: Sequence[str]) -> Group:
    """Returns all that a reader gets to see at the end."""
    summary = Summary(observations)
    parts = [_rates(summary), _latencies(summary), _processors(summary), _footprints(footprints)]
    lines = [f"  {note}" for note in notes] + [f"! {complaint}" for complaint in _complaints(observations)]
    return Group(*parts, Text("\n".join(lines)))


def _rates(summary: Summary) -> Table:
    rivals = [target for target in summary.targets if target != OURS]
    table = Table(title="commands a second, closed loop (median of rounds)", title_justify="left")
    table.add_column("cell")
    for target in summary.targets:
        table.add_column(target, justify="right")
    for rival in rivals if OURS in summary.targets else ():
        table.add_column(f"{OURS} / {rival}", justify="right")
    for cell in summary.cells:
        if cell.in_flight:
            rates = [_count(summary.rate(cell, target)) for target in summary.targets]
            ratios = [_spread(summary.ratios(cell, rival)) for rival in rivals if OURS in summary.targets]
            table.add_row(cell.name, *rates, *ratios)
    return table


def _latencies(summary: Summary) -> Table:
    table = Table(title="latency in ms: p50 / p99 (median of rounds)", title_justify="left")
    table.add_column("cell")
    for target in summary.targets:
        table.add_column(target, justify="right")
    for cell in summary.cells:
        table.add_row(_with_rate(summary, cell), *(_quantiles(summary, cell, target) for target in summary.targets))
    return table


def _with_rate(summary: Summary, cell: Cell) -> str:
    if cell.in_flight:
        return cell.name
    rates = [each.rate_per_second for target in summary.targets for each in summary.of(cell, target)]
    return f"{cell.name} at {rates[0]:,.0f}/s"


def _quantiles(summary: Summary, cell: Cell, target: str) -> str:
    found = summary.of(cell, target)
    if not found:
        return "–"
    text = f"{summary.latency_ms(cell, target, 0.5):,.2f} / {summary.latency_ms(cell, target, 0.99):,.2f}"
    if cell.in_flight:
        return text
    lag_ms = median(each.measured.lag_ms(0.99) for each in found)
    # A generator that starts its commands late measures itself.
    return text if lag_ms < summary.latency_ms(cell, target, 0.99) / 2 else f"{text} (generator late: {lag_ms:,.1f})"


def _processors(summary: Summary) -> Table:
    table = Table(
        title="processor seconds a second: generator + servers; others: servers of the other stores",
        title_justify="left",
    )
    table.add_column("cell")
    for target in summary.targets:
        table.add_column(target, justify="right")
    for cell in summary.cells:
        table.add_row(cell.name, *(_processor(summary.of(cell, target)) for target in summary.targets))
    return table


def _processor(found: Sequence[Observation]) -> str:
    if not found:
        return "–"
    seconds = found[0].measured.seconds
    generator = median(each.measured.generator_cpu_seconds for each in found) / seconds
    servers = median(each.measured.servers_cpu_seconds for each in found) / seconds
    others = median(each.others_cpu_seconds for each in found) / seconds
    return f"{generator:.2f} + {servers:.2f} (others {others:.2f})"


def _footprints(footprints: Sequence[Footprint]) -> Table:
    table = Table(title="at the end of the run, largest server", title_justify="left")
    for heading in ("store", "anonymous memory", "resident memory", "restart of one server"):
        table.add_column(heading, justify="left" if heading == "store" else "right")
    for each in footprints:
        restart = "–" if math.isnan(each.restart_seconds) else f"{each.restart_seconds:.1f} s"
        table.add_row(each.target, _mib(each.anonymous_bytes), _mib(each.resident_bytes), restart)
    return table


def _complaints(observations: Sequence[Observation]) -> Iterator[str]:
    for each in observations:
        for complaint in each.complaints:
            yield f"{each.target}, {each.cell.name}, round {each.round + 1}: {complaint}"


def _count(rate: float) -> str:
    return "–" if math.isnan(rate) else f"{rate:,.0f}"


def _spread(ratios: Sequence[float]) -> str:
    if not ratios:
        return "–"
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.0f} MiB"
