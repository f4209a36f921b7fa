"""Which configuration is in force, and when a learner may vote.

A configuration is in force as soon as it stands in the log (§4.1), committed or not; an entry that is cut from
the log takes its configuration with it::

    log     start │  1   2   C3  4   C5  6        in force: C5
            C0    │                               cut after 4: C3;  cut after 2: C0

Source: D. Ongaro (2014), chapter 4.
"""

from libelli.core.errors import InvariantError
from libelli.core.ids import Index
from libelli.core.members import Configuration


class Configurations:
    """The configuration at the start of the log, and those that stand in it.

    Args:
        index: where the log begins.
        configuration: in force there.
    """

    __slots__ = ("_stack",)

    def __init__(self, *, index: Index, configuration: Configuration) -> None:
        self._stack = [(index, configuration)]

    @property
    def latest(self) -> Configuration:
        """The one in force."""
        return self._stack[-1][1]

    @property
    def latest_index(self) -> Index:
        """Where the one in force stands (or the start of the log)."""
        return self._stack[-1][0]

    @property
    def previous(self) -> Configuration | None:
        """The one before, if the log still knows it."""
        return self._stack[-2][1] if len(self._stack) > 1 else None

    def append(self, *, index: Index, configuration: Configuration) -> None:
        """A configuration stands at `index` of the log."""
        if index <= self.latest_index:
            raise InvariantError(f"a configuration at {index} behind one at {self.latest_index}")
        self._stack.append((index, configuration))

    def truncate(self, last: int) -> bool:
        """The log was cut after `last`; returns whether another configuration is in force now."""
        before = len(self._stack)
        while self._stack[-1][0] > last and len(self._stack) > 1:
            self._stack.pop()
        return len(self._stack) != before

    def compact(self, index: Index) -> Configuration:
        """The log begins after `index` now; returns the configuration in force there."""
        while len(self._stack) > 1 and self._stack[1][0] <= index:
            del self._stack[0]
        configuration = self._stack[0][1]
        self._stack[0] = (index, configuration)
        return configuration


class CatchUp:
    """Measures whether a learner keeps pace (§4.2.1).

    A round ends once the learner has all that the leader had when the round began. It is ready when its last
    round was shorter than an election timeout: then waiting for it delays the group no longer than a lost leader
    would.

    Args:
        tick: now.
        target: the leader's last index.
        timeout_ticks: an election timeout.
    """

    __slots__ = ("_began_tick", "_is_fast", "_target", "_timeout_ticks")

    def __init__(self, *, tick: int, target: int, timeout_ticks: int) -> None:
        self._began_tick = tick
        self._target = target
        self._timeout_ticks = timeout_ticks
        self._is_fast = False

    def advance(self, *, match: int, last_index: int, tick: int) -> None:
        """The learner has the log up to `match`, the leader up to `last_index`."""
        if match >= self._target:
            self._is_fast = tick - self._began_tick < self._timeout_ticks
            self._began_tick = tick
            self._target = last_index

    def is_ready(self, *, match: int, last_index: int, tick: int) -> bool:
        """Whether it may vote now."""
        in_time = match >= last_index or tick - self._began_tick < self._timeout_ticks
        return self._is_fast and in_time
