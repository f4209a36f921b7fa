"""Virtual time: a queue of things that will happen, and a clock that jumps from one to the next.

::

    (time, priority, number, action, arguments)      the smallest happens next
       │       │        └─ order of asking: equal times never depend on chance
       │       └─ at one time, arrivals come before what reacts to them
       └─ microseconds since the world began

Nothing here waits, and nothing looks at a real clock: a run is as long as its events are many.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from libelli.core.errors import ConfigurationError

MS = 1_000
"""Microseconds in a millisecond."""
SECOND = 1_000_000
"""Microseconds in a second."""

ARRIVAL = 0
"""Priority of what reaches a process."""
REACTION = 1
"""Priority of a process's own turn, after all that arrives at the same time."""

Action = Callable[..., object]


class Kernel:
    """The events of one world.

    Attributes:
        now_us: the time of the event that happens now.
        events: how many have happened.
    """

    __slots__ = ("_number", "_queue", "events", "now_us")

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, int, Action, tuple[Any, ...]]] = []
        self._number = 0
        self.now_us = 0
        self.events = 0

    @property
    def now_ms(self) -> int:
        """The time in whole milliseconds."""
        return self.now_us // MS

    def at(self, time_us: int, action: Action, *arguments: Any, priority: int = ARRIVAL) -> None:
        """Lets `action(*arguments)` happen at `time_us`.

        Raises:
            ConfigurationError: that time is over.
        """
        if time_us < self.now_us:
            raise ConfigurationError(f"{time_us} us is over, it is {self.now_us} us: name a later time")
        self._number += 1
        heappush(self._queue, (time_us, priority, self._number, action, arguments))

    def after(self, delay_us: int, action: Action, *arguments: Any, priority: int = ARRIVAL) -> None:
        """Lets `action(*arguments)` happen `delay_us` from now."""
        self.at(self.now_us + delay_us, action, *arguments, priority=priority)

    def step(self) -> bool:
        """Lets the next event happen; returns False when there is none."""
        if not self._queue:
            return False
        self.now_us, _, _, action, arguments = heappop(self._queue)
        self.events += 1
        action(*arguments)
        return True

    def run_to(self, time_us: int) -> None:
        """Lets everything happen that is due up to `time_us`, which is then the time."""
        queue = self._queue
        while queue and queue[0][0] <= time_us:
            self.now_us, _, _, action, arguments = heappop(queue)
            self.events += 1
            action(*arguments)
        self.now_us = max(self.now_us, time_us)

    def run_until(self, condition: Callable[[], bool], *, deadline_us: int) -> bool:
        """Lets events happen until `condition()` holds; returns whether it came to hold by `deadline_us`."""
        queue = self._queue
        while not condition():
            if not queue or queue[0][0] > deadline_us:
                self.now_us = max(self.now_us, deadline_us)
                return False
            self.step()
        return True


class Alarm:
    """One wake-up that can be set to another time; only the last setting counts.

    Args:
        kernel: whose time it is.
        action: what happens.
        priority: of the event.
    """

    __slots__ = ("_action", "_kernel", "_priority", "_queued_us", "due_us")

    def __init__(self, kernel: Kernel, action: Callable[[], object], *, priority: int = REACTION) -> None:
        self._kernel = kernel
        self._action = action
        self._priority = priority
        self._queued_us: int | None = None
        self.due_us: int | None = None
        """When it will go off, or None."""

    def set(self, time_us: int) -> None:
        """Goes off at `time_us` (now, if that is over), and at no other time."""
        self.due_us = max(time_us, self._kernel.now_us)
        if self._queued_us is None or self.due_us < self._queued_us:
            self._queue(self.due_us)

    def advance(self, time_us: int) -> None:
        """Goes off at `time_us` at the latest."""
        if self.due_us is None or time_us < self.due_us:
            self.set(time_us)

    def cancel(self) -> None:
        """Does not go off."""
        self.due_us = None

    def _queue(self, time_us: int) -> None:
        self._queued_us = time_us
        self._kernel.at(time_us, self._ring, time_us, priority=self._priority)

    def _ring(self, time_us: int) -> None:
        if time_us != self._queued_us:
            return  # an earlier one was queued since
        self._queued_us = None
        if self.due_us is None:
            return
        if self.due_us > time_us:
            self._queue(self.due_us)
            return
        self.due_us = None
        self._action()
