"""Clients that keep a world busy: each asks for one thing after the other, with values that are unique."""

from collections.abc import Sequence

from libelli.core.calls import Consistency
from libelli.sim.client import SimulatedClient
from libelli.sim.history import Operation
from libelli.sim.kernel import MS
from libelli.sim.world import World
from libelli.stores.mvcc.commands import (
    Command,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseDone,
    LeaseGrant,
    Put,
    Range,
    RangeDone,
    Transaction,
)


class Load:
    """One client in a closed loop, with `depth` operations under way.

    Args:
        world: where it is.
        keys: what it reads and writes.
        reads: share of reads, half of them serializable.
        deletes: share of deletions.
        pause_us: between an answer and the next question.
        timeout_ms: of each operation.
        size: of values, at least.
    """

    def __init__(
        self,
        world: World,
        *,
        keys: Sequence[bytes] = (b"a", b"b", b"c"),
        depth: int = 3,
        reads: float = 0.3,
        deletes: float = 0.05,
        pause_us: int = 2 * MS,
        timeout_ms: int = 3_000,
        size: int = 0,
        client: SimulatedClient | None = None,
    ) -> None:
        self.world = world
        self.client = client or world.client()
        self.keys = keys
        self.dice = world.dice(f"load {self.client.name}")
        self.reads = reads
        self.deletes = deletes
        self.pause_us = pause_us
        self.timeout_ms = timeout_ms
        self.size = size
        self.operations: list[Operation] = []
        self.is_over = False
        self._number = 0
        for _ in range(depth):
            self._next()

    def stop(self) -> None:
        """Asks for nothing more; what is under way ends."""
        self.is_over = True

    @property
    def done(self) -> int:
        """How many operations were carried out."""
        return sum(operation.is_done for operation in self.operations)

    @property
    def is_idle(self) -> bool:
        """Whether everything has ended."""
        return all(not operation.is_open for operation in self.operations)

    def value(self) -> bytes:
        """Returns a value that nobody else puts."""
        self._number += 1
        return f"{self.client.name}.{self._number}".encode().ljust(self.size, b".")

    def _next(self) -> None:
        if self.is_over:
            return
        key, choice = self.dice.choice(self.keys), self.dice.random()
        consistency = Consistency.LINEARIZABLE
        if choice < self.reads:
            command: Command = Range(key)
            if self.dice.random() < 0.5:
                consistency = Consistency.SERIALIZABLE
        elif choice < self.reads + self.deletes:
            command = DeleteRange(key)
        elif choice < self.reads + self.deletes + 0.1:
            compare = Compare(key, CompareTarget.VERSION, CompareResult.GREATER, self.dice.randint(0, 5))
            command = Transaction((compare,), (Put(key, self.value()),), ())
        else:
            command = Put(key, self.value())
        operation = self.client.submit(command, then=self._ended, timeout_ms=self.timeout_ms, consistency=consistency)
        if consistency is Consistency.SERIALIZABLE:
            operation.client += " serializable"
        self.operations.append(operation)

    def _ended(self, operation: Operation) -> None:
        self.world.kernel.after(self.pause_us, self._next)


class Counter:
    """Counts up one key by transactions that compare what was read; repeats nothing itself."""

    def __init__(self, world: World, key: bytes, *, client: SimulatedClient | None = None) -> None:
        self.world = world
        self.client = client or world.client()
        self.key = key
        self.certain = 0
        self.uncertain = 0
        self.is_over = False
        self._is_busy = False
        self._read()

    def stop(self) -> None:
        """Counts no further."""
        self.is_over = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self.is_over and not self._is_busy

    def _read(self) -> None:
        self._is_busy = not self.is_over
        if self._is_busy:
            self.client.submit(Range(self.key), then=self._count)

    def _count(self, read: Operation) -> None:
        if not isinstance(read.answer, RangeDone) or self.is_over:
            self._later()
            return
        items = read.answer.items
        value, revision = (count_of(items[0].value), items[0].mod_revision) if items else (0, 0)
        compare = Compare(self.key, CompareTarget.MOD, CompareResult.EQUAL, revision)
        unique = f"{value + 1} {self.client.name} {read.number}".encode()
        transaction = Transaction((compare,), (Put(self.key, unique),), ())
        self.client.submit(transaction, then=self._counted)

    def _counted(self, operation: Operation) -> None:
        if operation.is_done:
            self.certain += operation.answer.succeeded
        else:
            self.uncertain += operation.outcome == "may have happened"
        self._later()

    def _later(self) -> None:
        self._is_busy = False
        self.world.kernel.after(5 * MS, self._read)


def count_of(value: bytes | None) -> int:
    """Returns what a counter's value says."""
    return int(value.split()[0]) if value else 0


class Leases:
    """Grants one lease after another, with a key each, and renews none."""

    def __init__(self, world: World, *, ttl_s: int = 1, pause_us: int = 150 * MS) -> None:
        self.world = world
        self.client = world.client()
        self.ttl_s = ttl_s
        self.pause_us = pause_us
        self.granted_us: dict[bytes, int] = {}
        """For each key when its lease was asked for: no lease may end before its time counted from there."""
        self.is_over = False
        self._is_busy = False
        self._grant()

    def stop(self) -> None:
        """Grants no more."""
        self.is_over = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self.is_over and not self._is_busy

    def _grant(self) -> None:
        self._is_busy = not self.is_over
        if self._is_busy:
            self.client.submit(LeaseGrant(0, self.ttl_s), then=self._granted)

    def _granted(self, operation: Operation) -> None:
        if not isinstance(operation.answer, LeaseDone):
            self._later(operation)
            return
        key = b"lease %d" % operation.number
        self.granted_us[key] = operation.invoked_us
        self.client.submit(Put(key, key, lease=operation.answer.lease), then=self._later)

    def _later(self, _: Operation) -> None:
        self._is_busy = False
        self.world.kernel.after(self.pause_us, self._grant)


def stop_all(world: World, *loads: Load | Counter | Leases) -> None:
    """Stops loads and waits until all their operations have ended."""
    for load in loads:
        load.stop()
    world.run_until(lambda: all(load.is_idle for load in loads), "loads to end")
