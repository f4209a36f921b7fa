"""What the parts of one dialogue share: the time of this step, the effects so far, the dice and the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from libelli.client.effects import ClientEffect, Complete
from libelli.client.queues import NEVER_MS

if TYPE_CHECKING:
    from random import Random

    from libelli.client.options import DialogueOptions
    from libelli.core.errors import CallError


class Line(Protocol):
    """A part of a dialogue that has calls to send and callers who wait."""

    def expire(self) -> None:
        """Ends the calls whose time is over."""

    def dispatch(self) -> None:
        """Sends what can be sent now."""

    def end(self, error: CallError) -> None:
        """Ends everything; `error` is for what was never sent."""


class Desk:
    """One for each dialogue; emptied by every step.

    Attributes:
        now_ms: the time of the running step.
        effects: what the world must do.
        wake_ms: when something is due next.
    """

    __slots__ = ("effects", "now_ms", "options", "random", "wake_ms")

    def __init__(self, *, random: Random, options: DialogueOptions) -> None:
        self.now_ms = 0
        self.effects: list[ClientEffect] = []
        self.wake_ms = NEVER_MS
        self.random = random
        self.options = options

    def wake(self, at_ms: int) -> None:
        """Asks for a step at `at_ms` at the latest."""
        self.wake_ms = min(self.wake_ms, at_ms)

    def complete(self, waiters: list[Any], outcomes: list[Any]) -> None:
        """Ends calls, each with its own outcome."""
        if waiters:
            self.effects.append(Complete(waiters, outcomes))

    def fail(self, waiters: list[Any], error: CallError) -> None:
        """Ends calls with the same error."""
        if waiters:
            self.effects.append(Complete(waiters, [error] * len(waiters)))

    def back_off_ms(self, attempts: int) -> int:
        """Returns a pause before try number `attempts` + 1: doubled each time, a random half taken off."""
        options = self.options
        longest = min(options.back_off_ms << min(attempts - 1, 16), options.back_off_max_ms)
        return max(1, round(self.random.uniform(0.5, 1.0) * longest))
