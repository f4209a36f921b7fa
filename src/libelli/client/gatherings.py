"""Many commands that are waited for together: one future for all, which is cheaper than one for each."""

from typing import Any

from libelli.core.errors import CallError
from libelli.stores.mvcc.commands import Answer

Outcome = Answer | CallError


class Gathering:
    """Collects the outcomes of `count` commands; when all are there `future` gets the list.

    Args:
        future: asyncio's.
        count: how many commands.
    """

    __slots__ = ("_future", "_left", "_outcomes")

    def __init__(self, future: Any, count: int) -> None:
        self._future = future
        self._outcomes: list[Any] = [None] * count
        self._left = count
        if not count:
            future.set_result([])

    def slot(self, position: int) -> "Slot":
        """Returns what stands for the future of one command."""
        return Slot(self, position)

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return bool(self._future.done())

    def take(self, position: int, outcome: Outcome) -> None:
        """One command has ended."""
        self._outcomes[position] = outcome
        self._left -= 1
        if not self._left and not self._future.done():
            self._future.set_result(self._outcomes)


class Slot:
    """The place of one command in a gathering, in the shape of a future."""

    __slots__ = ("_gathering", "_position")

    def __init__(self, gathering: Gathering, position: int) -> None:
        self._gathering = gathering
        self._position = position

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self._gathering.is_over

    def set_result(self, answer: Answer) -> None:
        """The command was answered."""
        self._gathering.take(self._position, answer)

    def set_exception(self, error: CallError) -> None:
        """The command failed."""
        self._gathering.take(self._position, error)
