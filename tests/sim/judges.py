"""Judges of a run: what the replicas applied, and whether every client was told the truth.

::

    every step of every process ─► Ledger    revision ─► changes, the same at every replica
    history of the clients ──────► judge     each answer against the ledger, by its revision

The ledger is the order in which everything happened, so no search is needed: a revision places each operation,
and it remains to check that its answer is what stood there, and that places follow real time.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from msgspec import Struct

from libelli.core.calls import Consistency
from libelli.core.errors import CallError
from libelli.sim.history import History, Operation, Outcome
from libelli.sim.process import Process
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    DeleteDone,
    DeleteRange,
    Put,
    PutDone,
    Range,
    RangeDone,
    Transaction,
    TransactionDone,
)

ALL = b"\0"
PAGE_BYTES = 1 << 20


class Changed(Struct, frozen=True):
    """One change at a revision; version 0 is a deletion."""

    key: bytes
    value: bytes
    version: int
    lease: int


class Ledger:
    """The changes of every revision, as the first replica that had it applied them."""

    def __init__(self) -> None:
        self.changes: dict[int, tuple[Changed, ...]] = {}
        self._seen: dict[tuple[int, int], int] = {}
        self._leaders: dict[int, int] = {}

    def look(self, process: Process) -> None:
        """Looks at a process after its step."""
        group = process.node.group()
        if group.replica.role == "leader":
            known = self._leaders.setdefault(group.replica.term, process.member.node)
            assert known == process.member.node, f"nodes {known} and {process.member.node} lead in one term"
        store = group.machine.store
        life = (process.member.node, process.lives)
        seen = self._seen.get(life, 1)
        while seen < store.revision:
            start = max(seen, store.compact_revision) + 1
            if start > store.revision:
                seen = store.revision
                break
            page = store.events(start, key=ALL, end=FROM_KEY, bytes_max=PAGE_BYTES)
            for revision, events in page.changes:
                self._note(process, revision, [_changed(event.item) for event in events])
            seen = page.next_revision - 1
        self._seen[life] = seen

    def _note(self, process: Process, revision: int, changes: list[Changed]) -> None:
        known = self.changes.setdefault(revision, tuple(changes))
        assert known == tuple(changes), f"{process.member.name} applied {changes} at {revision}, others {known}"

    def revisions_of(self, value: bytes) -> list[int]:
        """The revisions at which a value was put."""
        return [
            revision
            for revision, changes in sorted(self.changes.items())
            for change in changes
            if change.version and change.value == value
        ]


def _changed(item: object) -> Changed:
    return Changed(item.key, item.value, item.version, item.lease)  # type: ignore[attr-defined]


class Registers:
    """What each key held at each revision."""

    def __init__(self, ledger: Ledger) -> None:
        self._revisions: dict[bytes, list[int]] = {}
        self._values: dict[bytes, list[bytes | None]] = {}
        self.puts: dict[bytes, list[int]] = {}
        for revision, changes in sorted(ledger.changes.items()):
            for change in changes:
                value = change.value if change.version else None
                self._revisions.setdefault(change.key, []).append(revision)
                self._values.setdefault(change.key, []).append(value)
                if value is not None:
                    self.puts.setdefault(value, []).append(revision)

    def at(self, key: bytes, revision: int) -> bytes | None:
        """The value of a key at a revision, or None."""
        place = bisect_right(self._revisions.get(key, []), revision)
        return self._values[key][place - 1] if place else None


def judge(history: History, ledger: Ledger) -> None:
    """Checks every operation; values that clients put must be unique in the run."""
    assert sorted(ledger.changes) == list(range(2, len(ledger.changes) + 2)), "a revision was never seen"
    registers = Registers(ledger)
    for operation in history.operations:
        _judge_write(operation, registers)
        _judge_read(operation, registers)
    _judge_time(history.operations)


def values_of(command: object) -> list[bytes]:
    """The values that a command may put."""
    match command:
        case Put(value=value):
            return [value]
        case Transaction(success=success):
            return [each.value for each in success if isinstance(each, Put)]
        case _:
            return []


def _judge_write(operation: Operation, registers: Registers) -> None:
    for value in values_of(operation.command):
        found = registers.puts.get(value, [])
        match operation:
            case Operation(outcome=Outcome.DONE, answer=PutDone(revision=revision)):
                assert found == [revision], f"acknowledged at {revision}, applied at {found}: {operation}"
            case Operation(outcome=Outcome.DONE, answer=TransactionDone(revision=revision, succeeded=True)):
                assert found == [revision], f"acknowledged at {revision}, applied at {found}: {operation}"
            case Operation(outcome=Outcome.DONE | Outcome.DID_NOT_HAPPEN):
                assert found == [], f"said not to have happened, but applied at {found}: {operation}"
            case _:
                assert len(found) <= 1, f"applied {len(found)} times, at {found}: {operation}"


def _judge_read(operation: Operation, registers: Registers) -> None:
    match operation:
        case Operation(command=Range(key=key, end=b""), answer=RangeDone(revision=revision, items=items)):
            value = items[0].value if items else None
            right = registers.at(key, revision)
            assert value == right, f"read {value!r} at {revision}, there was {right!r}: {operation}"
        case _:
            pass


def is_linearizable(operation: Operation) -> bool:
    """Whether real time binds the operation: serializable reads are marked by their clients' names."""
    return not operation.client.endswith(SERIALIZABLE)


SERIALIZABLE = f" {Consistency.SERIALIZABLE.name.lower()}"


def _judge_time(operations: Sequence[Operation]) -> None:
    """What began after something had been answered comes after it."""
    moments = []
    for operation in operations:
        if operation.outcome is Outcome.DONE and is_linearizable(operation) and hasattr(operation.answer, "revision"):
            moments.append((operation.invoked_us, 1, operation.number, operation))
            moments.append((operation.returned_us, 0, operation.number, operation))
    newest, floors = 1, dict[int, int]()
    for _, is_invoked, number, operation in sorted(moments, key=lambda moment: moment[:3]):
        revision = operation.answer.revision
        if is_invoked:
            floors[number] = newest
            continue
        least = floors[number] + (1 if wrote(operation) else 0)
        assert revision >= least, f"answered at {revision}, but {floors[number]} was known before: {operation}"
        newest = max(newest, revision)


def wrote(operation: Operation) -> bool:
    """Whether the operation made a revision of its own."""
    match operation.answer:
        case PutDone() | DeleteDone(deleted=1):
            return True
        case TransactionDone(succeeded=True):
            return bool(values_of(operation.command))
        case _:
            return False


def said(operations: Iterable[Operation]) -> list[str]:
    """Outcomes and answers in short, for messages of failing tests."""
    return [
        f"{each.outcome}: {each.answer}" if isinstance(each.answer, CallError) else str(each.outcome)
        for each in operations
    ]


__all__ = ["DeleteRange", "Ledger", "Registers", "judge", "said"]
