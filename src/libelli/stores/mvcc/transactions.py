"""Transactions: compares first, then the operations of one branch, all in one revision or not at all.

::

    plan    all compares, also nested ones, see the store as it is before       (D4)
    check   every operation that is going to run
    run     them in order; each sees what those before it have changed
"""

from collections.abc import Callable
from operator import eq, gt, lt, ne
from typing import Any, NamedTuple, Union

from libelli.stores.mvcc.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    Range,
    Transaction,
    TransactionDone,
)
from libelli.stores.mvcc.lookups import Found, Lookups
from libelli.stores.mvcc.operations import Operations
from libelli.stores.mvcc.tables import revision_of
from libelli.stores.mvcc.writer import Writer

_HOLDS: dict[CompareResult, Callable[[Any, Any], bool]] = {
    CompareResult.EQUAL: eq,
    CompareResult.GREATER: gt,
    CompareResult.LESS: lt,
    CompareResult.NOT_EQUAL: ne,
}
_NUMBERS: dict[CompareTarget, Callable[[Found], int]] = {
    CompareTarget.VERSION: lambda found: found[3],
    CompareTarget.CREATE: lambda found: found[2],
    CompareTarget.MOD: lambda found: revision_of(found[1]),
    CompareTarget.LEASE: lambda found: found[4],
}


class Plan(NamedTuple):
    """What a transaction is going to do."""

    succeeded: bool
    steps: tuple[Union[Put, Range, DeleteRange, "Plan"], ...]


class Transactions:
    """Carries out transactions on one store; the caller ends the revision."""

    def __init__(self, lookups: Lookups, operations: Operations, writer: Writer) -> None:
        self._lookups = lookups
        self._operations = operations
        self._writer = writer

    def plan(self, transaction: Transaction) -> Plan:
        """Returns which operations are going to run."""
        succeeded = all(self._holds(compare) for compare in transaction.compares)
        branch = transaction.success if succeeded else transaction.failure
        return Plan(succeeded, tuple(self.plan(each) if isinstance(each, Transaction) else each for each in branch))

    def check(self, plan: Plan) -> None:
        """Looks at what may be wrong, before anything is changed.

        Raises:
            Refused: one of the operations cannot be carried out.
        """
        for step in plan.steps:
            if isinstance(step, Plan):
                self.check(step)
            else:
                self._operations.check(step)

    def run(self, plan: Plan) -> TransactionDone:
        """Carries out a plan that was checked."""
        answers = tuple(self.run(step) if isinstance(step, Plan) else self._operations.run(step) for step in plan.steps)
        return TransactionDone(self._writer.revision, plan.succeeded, answers)

    def _holds(self, compare: Compare) -> bool:
        """Returns whether a compare is true of its key, or of every key of its range (D3)."""
        is_any = False
        for found in self._lookups.range(compare.key, compare.end):
            is_any = True
            if not self._holds_for(compare, found):
                return False
        if is_any:
            return True
        # a missing key has zero for every number, but no value that anything could be compared with
        return compare.target is not CompareTarget.VALUE and _HOLDS[compare.result](0, compare.number)

    def _holds_for(self, compare: Compare, found: Found) -> bool:
        holds = _HOLDS[compare.result]
        if compare.target is CompareTarget.VALUE:
            return holds(self._lookups.value(found), compare.value)
        return holds(_NUMBERS[compare.target](found), compare.number)
