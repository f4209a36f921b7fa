"""The state of one strong collection: etcd's model over ordered tables.

::

    apply ─► validity ─► transactions ─► operations ─┬─► ranges ─► lookups ─► Engine
                                                     └─► leases ─► writer  ─► Engine
    events, take_changes ─► history          scrub ─► freeing            digest ─► comparison

All state is in the engine: a store made over recovered tables goes on where the tables are.

Source: etcd's API guarantees and interface (rules B1 … G5).
Differs: freeing compacted history is done in steps, whenever there is time; no answer shows how far it is.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from libelli.core import CallError, Code, Overloaded, Refused
from libelli.core.limits import RANGE_ANSWER_SIZE_MAX
from libelli.stores.engine import Engine
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    CompactDone,
    DeleteDone,
    DeleteRange,
    Failed,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Put,
    PutDone,
    Range,
    RangeDone,
    Transaction,
    TransactionDone,
)
from libelli.stores.mvcc.digests import Digest, digest_at
from libelli.stores.mvcc.history import Changes, History, Page
from libelli.stores.mvcc.leases import Leases
from libelli.stores.mvcc.lookups import Lookups
from libelli.stores.mvcc.operations import Operations
from libelli.stores.mvcc.puts import Puts
from libelli.stores.mvcc.ranges import Ranges
from libelli.stores.mvcc.scrub import Scrub
from libelli.stores.mvcc.totals import load_totals, save_totals
from libelli.stores.mvcc.transactions import Transactions
from libelli.stores.mvcc.validity import check_command, needs_space, only_reads
from libelli.stores.mvcc.writer import Writer


class Store:
    """A strong collection.

    Args:
        engine: where its tables are; nobody else writes them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._totals = totals = load_totals(engine)
        self._writer = Writer(engine, totals)
        self._lookups = Lookups(engine)
        self._puts = Puts(engine, totals, self._writer)
        self._ranges = Ranges(self._lookups, self._writer, totals)
        self._leases = Leases(engine, totals, self._writer, self._ranges)
        self._operations = Operations(self._lookups, self._ranges, self._leases, self._writer)
        self._transactions = Transactions(self._lookups, self._operations, self._writer)
        self._history = History(engine, self._lookups, totals)
        self._scrub = Scrub(engine, totals)
        self._run: dict[type, Callable[[Any], Answer]] = {
            Put: self._put,
            Range: self._range,
            DeleteRange: self._delete,
            Transaction: self._transaction,
            Compact: self._compact,
            LeaseGrant: self._leases.grant,
            LeaseRevoke: self._leases.revoke,
            LeaseRead: self._leases.read,
        }

    @property
    def revision(self) -> int:
        """The revision of the last change; 1 when there was none (B1)."""
        return self._totals.revision

    @property
    def compact_revision(self) -> int:
        """The oldest revision that can be read; -1 when nothing was compacted yet."""
        return self._totals.compact_revision

    @property
    def size_bytes(self) -> int:
        """Keys, values and history, as far as they are not freed."""
        return self._totals.size_bytes

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, commands: Sequence[Command], *, no_space: bool = False) -> list[Answer]:
        """Carries out commands in order; one that is refused changes nothing and stops nobody.

        Args:
            commands: of one frame.
            no_space: the quota is reached: puts and grants are refused (H2).
        """
        self._ranges.left_bytes = RANGE_ANSWER_SIZE_MAX
        if no_space:
            answers: list[Answer] = [
                _no_space() if needs_space(command) else self._answer(command) for command in commands
            ]
        else:
            answers = []
            while len(answers) < len(commands):
                answers += self._puts.run(commands, len(answers)) or [self._answer(commands[len(answers)])]
        save_totals(self._engine, self._totals)
        return answers

    def read(self, commands: Sequence[Command]) -> list[Answer]:
        """Answers commands that change nothing; others are refused."""
        self._ranges.left_bytes = RANGE_ANSWER_SIZE_MAX
        return [
            self._answer(command) if type(command) is Range or only_reads(command) else _not_a_read(command)
            for command in commands
        ]

    def _answer(self, command: Command) -> Answer:
        kind = type(command)
        left_bytes = self._ranges.left_bytes
        try:
            check_command(command)
            return self._run[kind](command)
        except CallError as error:
            self._ranges.left_bytes = left_bytes
            return Failed(error.code, str(error))

    def _put(self, command: Put) -> PutDone:
        self._operations.check(command)
        answer = self._operations.put(command)
        self._writer.close()
        return answer

    def _range(self, command: Range) -> RangeDone:
        if command.revision > 0:
            self._ranges.check_revision(command.revision)
        return self._ranges.answer(command)

    def _delete(self, command: DeleteRange) -> DeleteDone:
        self._operations.check(command)
        answer = self._operations.delete(command)
        self._writer.close()
        return answer

    def _transaction(self, command: Transaction) -> TransactionDone:
        plan = self._transactions.plan(command)
        self._transactions.check(plan)
        answer = self._transactions.run(plan)
        self._writer.close()
        return answer

    def _compact(self, command: Compact) -> CompactDone:
        """Forgets history (E1)."""
        totals = self._totals
        if command.revision <= totals.compact_revision:
            message = f"revision {command.revision} is compacted already, up to {totals.compact_revision}"
            raise Refused(message, code=Code.COMPACTED)
        if command.revision > totals.revision:
            message = f"revision {command.revision} does not exist yet; the newest is {totals.revision}: compact less"
            raise Refused(message, code=Code.FUTURE_REVISION)
        totals.compact_revision = command.revision
        return CompactDone(totals.revision)

    # ── watching ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def watching(self) -> bool:
        """Whether changes are kept for `take_changes`; whoever sets it must take them."""
        return self._writer.seen is not None

    @watching.setter
    def watching(self, watching: bool) -> None:
        if watching is not self.watching:
            self._writer.seen = [] if watching else None

    def take_changes(self) -> Changes:
        """Returns what was changed since it was last asked for, or since `watching` was set; each change once."""
        seen = self._writer.seen
        if not seen:
            return []
        self._writer.seen = []
        return self._history.changes(seen)

    def events(self, start_revision: int, *, key: bytes, end: bytes = b"", bytes_max: int) -> Page:
        """Returns the changes of some keys from a revision on (F2).

        Args:
            start_revision: the first one wanted.
            key: the key, or the first of a range.
            end: see `commands`.
            bytes_max: history that is read; a revision that was begun is read to its end.

        Raises:
            CallError: COMPACTED, when the history there is gone: it begins at `compact_revision` (F5).
        """
        return self._history.events(start_revision, key=key, end=end, bytes_max=bytes_max)

    # ── leases ────────────────────────────────────────────────────────────────────────────────────────────

    def leases(self) -> Iterable[tuple[int, int]]:
        """Yields each lease with its granted time in seconds."""
        return iter(self._leases)

    def take_lease_changes(self) -> list[tuple[int, int]]:
        """Returns (lease, seconds) of each granted, (lease, 0) of each revoked one since it was last asked for."""
        changes, self._leases.changes = self._leases.changes, []
        return changes

    # ── housekeeping ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def has_scrubs(self) -> bool:
        """Whether compacted history waits to be freed."""
        return self._scrub.is_needed

    def scrub(self, count: int) -> bool:
        """Frees compacted history, looking at up to `count` records; returns whether there is more to do."""
        if self._scrub.is_needed:
            self._scrub.step(count)
            save_totals(self._engine, self._totals)
        return self._scrub.is_needed

    def digest(self, revision: int, *, start_key: bytes = b"", keys_max: int) -> Digest:
        """Returns the hash of up to `keys_max` keys at `revision`, the first key behind them, and their number.

        Raises:
            CallError: COMPACTED or FUTURE_REVISION.
        """
        self._ranges.check_revision(revision)
        is_past = 0 < revision < self._totals.revision
        return digest_at(self._lookups, revision if is_past else None, start_key=start_key, keys_max=keys_max)


def _no_space() -> Failed:
    error = Overloaded("the quota is reached: delete keys or compact, or raise the quota", code=Code.NO_SPACE)
    return Failed(error.code, str(error))


def _not_a_read(command: Command) -> Failed:
    return Failed(Code.INVALID, f"a {type(command).__name__} that changes something is no read: write it")
