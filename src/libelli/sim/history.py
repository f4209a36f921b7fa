"""What clients asked for and what they were told, for judges.

::

    invoked_us ──────────────────────── returned_us
        │     somewhere in between it happened     │         done
        │     it never happened                    │         did not happen
        │     it happened some time after invoked_us, or never     may have happened, or still open
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from libelli.core.errors import CallError, MayHaveHappened


class Outcome(StrEnum):
    """How an operation ended for its client."""

    OPEN = "open"
    DONE = "done"
    DID_NOT_HAPPEN = "did not happen"
    MAY_HAVE_HAPPENED = "may have happened"


class Operation(Struct):
    """One call of a client.

    Attributes:
        number: in the order of the invocations.
        client: who asked.
        command: what was asked for.
        invoked_us: when.
        returned_us: when the outcome came (-1: not yet).
        outcome: see there.
        answer: of the store when it is done, else the error.
    """

    number: int
    client: str
    command: Any
    invoked_us: int
    returned_us: int = -1
    outcome: Outcome = Outcome.OPEN
    answer: Any = None

    @property
    def is_open(self) -> bool:
        """Whether its client still waits."""
        return self.outcome is Outcome.OPEN

    @property
    def is_done(self) -> bool:
        """Whether it was carried out, as far as its client knows."""
        return self.outcome is Outcome.DONE


class History:
    """All operations of a run, in the order in which they were invoked."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def invoke(self, client: str, command: Any, *, now_us: int) -> Operation:
        """Notes that a client asks for something."""
        operation = Operation(len(self.operations), client, command, now_us)
        self.operations.append(operation)
        return operation

    @staticmethod
    def end(operation: Operation, answer: Any, *, now_us: int) -> None:
        """Notes what its client was told."""
        operation.returned_us = now_us
        operation.answer = answer
        if isinstance(answer, MayHaveHappened):
            operation.outcome = Outcome.MAY_HAVE_HAPPENED
        elif isinstance(answer, CallError):
            operation.outcome = Outcome.DID_NOT_HAPPEN
        else:
            operation.outcome = Outcome.DONE
