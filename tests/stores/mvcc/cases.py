"""What the tests of the store share: a fresh store, and short forms for asking it."""

from typing import TypeVar

from libelli.core import Code
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import Answer, Command, Failed, KeyValue, Put, Range, RangeDone
from libelli.stores.overlay import Overlay

EVERYTHING = (b"\x00", b"\x00")
REVISIONS = 3

A = TypeVar("A")


def fresh(*keys: bytes) -> Store:
    """A store in which each of `keys` was put once, with its own name as the value: revisions 2, 3, …"""
    store = Store(Overlay(MemoryCheckpoint()))
    store.apply([Put(key, key) for key in keys])
    return store


def do(store: Store, command: Command, kind: type[A]) -> A:
    """Carries out one command, which must be answered with `kind`."""
    [answer] = store.apply([command])
    assert isinstance(answer, kind), answer
    return answer


def code(store: Store, command: Command, *, no_space: bool = False) -> Code:
    """Carries out one command that must be refused, which must change nothing; returns why it was."""
    before = rows(store)
    [answer] = store.apply([command], no_space=no_space)
    assert isinstance(answer, Failed), answer
    assert rows(store) == before
    return answer.code


def read(store: Store, command: Command) -> Answer:
    [answer] = store.read([command])
    return answer


def ranged(store: Store, command: Range) -> RangeDone:
    answer = read(store, command)
    assert isinstance(answer, RangeDone), answer
    return answer


def names(store: Store, command: Range) -> list[bytes]:
    return [item.key for item in ranged(store, command).items]


def item(store: Store, key: bytes, revision: int = 0) -> KeyValue:
    [found] = ranged(store, Range(key, revision=revision)).items
    return found


def value(store: Store, key: bytes, revision: int = 0) -> bytes:
    return item(store, key, revision).value


def rows(store: Store) -> list[list[tuple[bytes, bytes]]]:
    """Everything in the tables."""
    return [list(store._engine.scan(table)) for table in range(1, 8)]


def record_count(store: Store) -> int:
    return len(list(store._engine.scan(REVISIONS)))


def scrub_all(store: Store, count: int = 100) -> None:
    while store.scrub(count):
        pass
