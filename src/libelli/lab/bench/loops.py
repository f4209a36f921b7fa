"""Closed and open loops, without a clock or an event loop of their own.

Whoever owns the time calls `turn` when `wake` was called (closed loop), or at `next_ns` (open loop)::

    ClosedLoop      completed ──▶ one more is free ──▶ wake ──▶ turn: start all that are free
    OpenLoop        turn: start all that are due by now, each with its intended start

Both count an answer as completed only if it falls into the window: the closed loop by the time of the answer,
the open loop by the intended start, so that an answer that comes late is not left out.
"""

from collections.abc import Callable, Sequence

import msgspec

from libelli.lab.bench.load import Closed, Load, Measured, Open
from libelli.lab.histogram import Histogram

OUTSTANDING_MAX = 200_000
"""An open loop stops starting commands when so many are unanswered: the store cannot bear the rate."""

Submit = Callable[[int, Sequence[int]], None]
Clock = Callable[[], int]


class Window(msgspec.Struct, frozen=True):
    """When commands start, are counted from, and end: nanoseconds of the monotonic clock."""

    begin_ns: int
    from_ns: int
    until_ns: int

    @classmethod
    def of(cls, load: Load, begin_ns: int) -> "Window":
        """Returns the window of a load that begins at `begin_ns`."""
        from_ns = begin_ns + round(load.warm_up_seconds * 1e9)
        return cls(begin_ns, from_ns, from_ns + round(load.seconds * 1e9))


class Tally:
    """Counts what happens to commands; the sink of a driver."""

    def __init__(self, window: Window, clock: Clock) -> None:
        self.window = window
        self.clock = clock
        self.latency = Histogram()
        self.lag = Histogram()
        self.acknowledged = 0
        self.submitted = 0
        self.counted = 0
        self.reasons: dict[str, int] = {}

    @property
    def outstanding(self) -> int:
        """How many commands have no answer yet."""
        return self.submitted - self.acknowledged - sum(self.reasons.values())

    def completed(self, started_ns: int, count: int = 1) -> None:
        """See `Sink`."""
        now_ns = self.clock()
        self.acknowledged += count
        if self.counts(started_ns, now_ns):
            self.counted += count
            self.latency.record(now_ns - started_ns, count)
        self.answered(count)

    def failed(self, started_ns: int, reason: str, count: int = 1) -> None:
        """See `Sink`."""
        self.reasons[reason] = self.reasons.get(reason, 0) + count

    def counts(self, started_ns: int, now_ns: int) -> bool:
        """Whether an answer falls into the window."""
        raise NotImplementedError

    def answered(self, count: int) -> None:
        """Called when `count` commands have completed."""

    def turn(self) -> None:
        """Starts what can be started now."""
        raise NotImplementedError

    @property
    def next_ns(self) -> int:
        """When `turn` wants to be called next, unless woken before."""
        return self.window.until_ns

    def measured(self) -> Measured:
        """Returns what was counted; call it after the drain."""
        return Measured(
            seconds=(self.window.until_ns - self.window.from_ns) / 1e9,
            completed=self.counted,
            acknowledged=self.acknowledged,
            failed=sum(self.reasons.values()),
            unanswered=self.outstanding,
            latency=self.latency.encode(),
            lag=self.lag.encode(),
            reasons=self.reasons,
        )


class ClosedLoop(Tally):
    """Keeps a number of commands in flight until the window ends.

    A command that fails leaves its place empty: a store that refuses everything is not hammered.

    Args:
        wake: called once when commands became free after `turn`; it arranges that `turn` is called soon.
    """

    def __init__(
        self,
        pace: Closed,
        *,
        window: Window,
        clock: Clock,
        submit: Submit,
        pick: Callable[[int], list[int]],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(window, clock)
        self._submit = submit
        self._pick = pick
        self._wake = wake
        self._free = pace.in_flight
        self._woken = False

    def counts(self, started_ns: int, now_ns: int) -> bool:
        return self.window.from_ns <= now_ns < self.window.until_ns

    def answered(self, count: int) -> None:
        self._free += count
        if not self._woken:
            self._woken = True
            self._wake()

    def turn(self) -> None:
        self._woken = False
        now_ns = self.clock()
        if now_ns >= self.window.until_ns or not self._free:
            return
        size, self._free = self._free, 0
        self.submitted += size
        self._submit(now_ns, self._pick(size))


class OpenLoop(Tally):
    """Starts commands at fixed times, whatever happened to those before."""

    def __init__(
        self,
        pace: Open,
        *,
        window: Window,
        clock: Clock,
        submit: Submit,
        pick: Callable[[int], list[int]],
    ) -> None:
        super().__init__(window, clock)
        self._submit = submit
        self._pick = pick
        self._interval_ns = 1e9 / pace.rate_per_second
        self._first_ns = window.begin_ns + pace.offset * self._interval_ns
        self._number = 0

    def counts(self, started_ns: int, now_ns: int) -> bool:
        return self.window.from_ns <= started_ns < self.window.until_ns

    @property
    def next_ns(self) -> int:
        return round(self._first_ns + self._number * self._interval_ns)

    def turn(self) -> None:
        now_ns = self.clock()
        due_ns = self.next_ns
        until_ns = min(now_ns + 1, self.window.until_ns)
        while due_ns < until_ns:
            self._start(due_ns, lag_ns=now_ns - due_ns)
            self._number += 1
            due_ns = self.next_ns

    def _start(self, due_ns: int, *, lag_ns: int) -> None:
        self.submitted += 1
        if self.outstanding > OUTSTANDING_MAX:
            self.failed(due_ns, f"not sent: {OUTSTANDING_MAX:,} commands unanswered, lower --open-loop-rate")
            return
        if due_ns >= self.window.from_ns:
            self.lag.record(lag_ns)
        self._submit(due_ns, self._pick(1))
