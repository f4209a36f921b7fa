"""A strong collection in the dumbest way: every revision is a whole copy of all keys, nothing is ever freed.

A command works on copies and is thrown away as a whole when it is refused, so nothing needs to be checked first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from libelli.core import Code
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    CompactDone,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteDone,
    DeleteRange,
    Failed,
    KeyValue,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    LeaseState,
    Operation,
    Put,
    PutDone,
    Range,
    RangeDone,
    SortOrder,
    SortTarget,
    Transaction,
    TransactionDone,
    WatchEvent,
)

Keys = dict[bytes, KeyValue]


class RefusedByModel(Exception):  # noqa: N818 - the outcome of a command, not an error of the model
    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def covers(key: bytes, end: bytes, name: bytes) -> bool:
    if not end:
        return name == key
    return name >= key and (end == b"\x00" or name < end)


@dataclass
class Model:
    keys: Keys = field(default_factory=dict)
    revision: int = 1
    compacted: int = -1
    leases: dict[int, int] = field(default_factory=dict)
    last_lease: int = 0
    past: dict[int, Keys] = field(default_factory=lambda: {0: {}, 1: {}})
    events: dict[int, list[WatchEvent]] = field(default_factory=dict)
    changes: list[WatchEvent] = field(default_factory=list)
    """Those of the command that is being carried out."""

    def apply(self, commands: Sequence[Command], *, no_space: bool = False) -> list[Answer]:
        return [self._apply(command, no_space) for command in commands]

    def _apply(self, command: Command, no_space: bool) -> Answer:
        if no_space and takes_space(command):
            return Failed(Code.NO_SPACE, "")
        if not makes_sense(command):
            return Failed(Code.INVALID, "")
        trial = replace(self, keys=dict(self.keys), leases=dict(self.leases), changes=[])
        try:
            answer = trial._run(command)
        except RefusedByModel as refusal:
            return Failed(refusal.code, "")
        if trial.changes:
            trial.revision += 1
            trial.past[trial.revision] = dict(trial.keys)
            trial.events[trial.revision] = trial.changes
        self.__dict__.update(trial.__dict__)
        return answer

    @property
    def now(self) -> int:
        return self.revision + 1 if self.changes else self.revision

    def _run(self, command: Command) -> Answer:
        match command:
            case Transaction():
                for branch in (command.success, command.failure):
                    written(branch)
                return self._transaction(self._decide(command))
            case Compact(revision):
                if revision <= self.compacted:
                    raise RefusedByModel(Code.COMPACTED)
                if revision > self.revision:
                    raise RefusedByModel(Code.FUTURE_REVISION)
                self.compacted = revision
                return CompactDone(self.revision)
            case LeaseGrant(lease, ttl_s):
                return self._grant(lease, ttl_s)
            case LeaseRevoke(lease):
                if self.leases.pop(lease, None) is None:
                    raise RefusedByModel(Code.LEASE_NOT_FOUND)
                for key in sorted(key for key, item in self.keys.items() if item.lease == lease):
                    self._delete(key)
                return LeaseDone(self.now, lease, 0)
            case LeaseRead(lease, keys):
                chosen = sorted(self.leases, key=lambda each: each % 2**64) if lease == 0 else [lease]
                states = [self._state(each, keys) for each in chosen if each in self.leases]
                return LeaseReadDone(self.revision, tuple(states))
            case _:
                return self._operate(command)

    def _grant(self, lease: int, ttl_s: int) -> LeaseDone:
        if ttl_s > 9_000_000_000:
            raise RefusedByModel(Code.TTL_TOO_LARGE)
        while lease == 0:
            self.last_lease += 1
            if self.last_lease not in self.leases:
                lease = self.last_lease
        if lease in self.leases:
            raise RefusedByModel(Code.LEASE_EXISTS)
        self.leases[lease] = max(ttl_s, 1)
        return LeaseDone(self.revision, lease, self.leases[lease])

    def _state(self, lease: int, keys: bool) -> LeaseState:
        attached = sorted(key for key, item in self.keys.items() if item.lease == lease)
        return LeaseState(lease, self.leases[lease], tuple(attached) if keys else ())

    # ── operations ────────────────────────────────────────────────────────────────────────────────────────

    def _decide(self, transaction: Transaction) -> tuple[bool, list[object]]:
        succeeded = all(self._holds(compare) for compare in transaction.compares)
        branch = transaction.success if succeeded else transaction.failure
        return succeeded, [self._decide(each) if isinstance(each, Transaction) else each for each in branch]

    def _transaction(self, decided: tuple[bool, list[object]]) -> TransactionDone:
        succeeded, steps = decided
        answers = [self._transaction(step) if isinstance(step, tuple) else self._operate(step) for step in steps]  # type: ignore[arg-type]
        return TransactionDone(self.now, succeeded, tuple(answers))

    def _operate(self, operation: Operation) -> Answer:
        match operation:
            case Put():
                return self._put(operation)
            case Range():
                return self._range(operation)
            case DeleteRange(key, end, previous):
                gone = [self.keys[name] for name in sorted(self.keys) if covers(key, end, name)]
                for item in gone:
                    self._delete(item.key)
                return DeleteDone(self.now, len(gone), tuple(gone) if previous else ())
            case _:
                raise AssertionError(operation)

    def _put(self, put: Put) -> PutDone:
        old = self.keys.get(put.key)
        if put.lease and put.lease not in self.leases:
            raise RefusedByModel(Code.LEASE_NOT_FOUND)
        if old is None and (put.keep_value or put.keep_lease):
            raise RefusedByModel(Code.KEY_NOT_FOUND)
        revision = self.revision + 1
        create, version = (old.create_revision, old.version) if old else (revision, 0)
        value = old.value if old and put.keep_value else put.value
        lease = old.lease if old and put.keep_lease else put.lease
        self.keys[put.key] = KeyValue(put.key, value, create, revision, version + 1, lease)
        self.changes.append(WatchEvent(self.keys[put.key], old))
        return PutDone(revision, old if put.previous else None)

    def _delete(self, key: bytes) -> None:
        old = self.keys.pop(key)
        self.changes.append(WatchEvent(KeyValue(key, b"", 0, self.revision + 1, 0), old))

    def _range(self, command: Range) -> RangeDone:
        if command.revision > self.revision:
            raise RefusedByModel(Code.FUTURE_REVISION)
        if 0 < command.revision < self.compacted:
            raise RefusedByModel(Code.COMPACTED)
        keys = self.past[command.revision] if command.revision > 0 else self.keys
        items = [keys[name] for name in sorted(keys) if covers(command.key, command.end, name)]
        if command.count_only:
            return RangeDone(self.now, len(items), False, ())
        found = sorted(
            (item for item in items if wanted(command, item)),
            key=lambda item: sort_value(command.target, item),
            reverse=command.order is SortOrder.DESCEND,
        )
        kept = found[: command.limit] if command.limit > 0 else found
        if command.keys_only:
            kept = [KeyValue(i.key, b"", i.create_revision, i.mod_revision, i.version, i.lease) for i in kept]
        return RangeDone(self.now, len(items), len(kept) < len(found), tuple(kept))

    def _holds(self, compare: Compare) -> bool:
        found = [item for name, item in self.keys.items() if covers(compare.key, compare.end, name)]
        if not found and compare.target is CompareTarget.VALUE:
            return False
        return all(holds(compare, item) for item in found or [KeyValue(b"", b"", 0, 0, 0)])

    # ── watching ──────────────────────────────────────────────────────────────────────────────────────────

    def history(self, start: int, key: bytes, end: bytes) -> list[tuple[int, list[WatchEvent]]]:
        found = []
        for revision in range(max(start, 2), self.revision + 1):
            events = [event for event in self.events[revision] if covers(key, end, event.item.key)]
            if revision <= self.compacted:
                events = [WatchEvent(event.item) for event in events]
            if events:
                found.append((revision, events))
        return found


def makes_sense(command: Operation | Command) -> bool:
    if isinstance(command, Transaction):
        return all(makes_sense(each) for each in (*command.success, *command.failure))
    if isinstance(command, Put):
        return not (command.keep_value and command.value) and not (command.keep_lease and command.lease)
    return True


def takes_space(command: Operation | Command) -> bool:
    if isinstance(command, Transaction):
        return any(takes_space(each) for each in (*command.success, *command.failure))
    return isinstance(command, Put | LeaseGrant)


def wanted(command: Range, item: KeyValue) -> bool:
    return (
        (not command.min_mod_revision or item.mod_revision >= command.min_mod_revision)
        and (not command.max_mod_revision or item.mod_revision <= command.max_mod_revision)
        and (not command.min_create_revision or item.create_revision >= command.min_create_revision)
        and (not command.max_create_revision or item.create_revision <= command.max_create_revision)
    )


def sort_value(target: SortTarget, item: KeyValue) -> int | bytes:
    values = (item.key, item.version, item.create_revision, item.mod_revision, item.value)
    return values[target]


def holds(compare: Compare, item: KeyValue) -> bool:
    numbers = (item.version, item.create_revision, item.mod_revision, 0, item.lease)
    left: int | bytes = item.value if compare.target is CompareTarget.VALUE else numbers[compare.target]
    right: int | bytes = compare.value if compare.target is CompareTarget.VALUE else compare.number
    match compare.result:
        case CompareResult.EQUAL:
            return left == right
        case CompareResult.NOT_EQUAL:
            return left != right
        case CompareResult.GREATER:
            return left > right  # type: ignore[operator]
        case _:
            return left < right  # type: ignore[operator]


Written = list[tuple[str, bytes, bytes]]


def written(branch: tuple[Operation, ...]) -> Written:
    """All that a branch may write; every two parts that may both run are compared."""
    parts = [written_by(operation) for operation in branch]
    for at, part in enumerate(parts):
        for other in parts[at + 1 :]:
            if any(collide(one, two) for one in part for two in other):
                raise RefusedByModel(Code.DUPLICATE_KEY)
    return [each for part in parts for each in part]


def written_by(operation: Operation) -> Written:
    match operation:
        case Put(key):
            return [("put", key, b"")]
        case DeleteRange(key, end):
            return [("delete", key, end)]
        case Transaction():
            return written(operation.success) + written(operation.failure)
        case _:
            return []


def collide(one: tuple[str, bytes, bytes], two: tuple[str, bytes, bytes]) -> bool:
    if one[0] == two[0] == "put":
        return one[1] == two[1]
    if one[0] == two[0] == "delete":
        return False
    put, delete = (one, two) if one[0] == "put" else (two, one)
    return covers(delete[1], delete[2], put[1])
