"""What is in the tables: chains with jumps, the same bytes from the same commands, and all that a store needs."""

import random
from collections.abc import Iterator

import pytest

from libelli.core import InvariantError
from libelli.stores.engine import Item
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import Command, Compact, DeleteRange, LeaseGrant, LeaseRevoke, Put, Range, Transaction
from libelli.stores.mvcc.tables import KEYS, NOWHERE, REVISIONS, first_pointer, revision_of, unpack_record
from libelli.stores.overlay import Overlay
from tests.stores.mvcc.cases import EVERYTHING, fresh, item, ranged, rows, scrub_all


class Counting:
    """An engine that counts what is asked of it."""

    def __init__(self) -> None:
        self.below = Overlay(MemoryCheckpoint())
        self.gets: list[int] = []

    def get(self, table: int, key: bytes) -> bytes | None:
        self.gets.append(table)
        return self.below.get(table, key)

    def put(self, table: int, key: bytes, value: bytes) -> None:
        self.below.put(table, key, value)

    def put_all(self, table: int, rows: dict[bytes, bytes]) -> None:
        self.below.put_all(table, rows)

    def delete(self, table: int, key: bytes) -> None:
        self.below.delete(table, key)

    def scan(
        self, table: int, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        return self.below.scan(table, start=start, end=end, reverse=reverse)


def jumps(count: int) -> list[int]:
    """Where the records of a key jump to, by the definition: joined blocks of one size, in lists of (size, newest)."""
    blocks: list[tuple[int, int]] = []
    found = []
    for record in range(1, count + 1):
        if len(blocks) > 1 and blocks[-1][0] == blocks[-2][0]:
            size = 2 * blocks.pop()[0] + 1
            blocks.pop()
        else:
            size = 1
        found.append(blocks[-1][1] if blocks else 0)
        blocks.append((size, record))
    return found


def test_a_record_that_joins_two_blocks_jumps_over_them() -> None:
    assert jumps(8) == [0, 1, 0, 3, 4, 3, 0, 7]
    store = fresh(*[b"a"] * 600)
    for at, wanted in enumerate(jumps(600), start=1):
        record = store._engine.get(REVISIONS, first_pointer(at + 1))
        assert record is not None
        previous, jump, *_ = unpack_record(record)
        for pointer, number in ((previous, at - 1), (jump, wanted)):
            assert pointer == (first_pointer(number + 1) if number else NOWHERE)


def test_the_past_of_a_hot_key_is_a_few_steps_away() -> None:
    engine = Counting()
    store = Store(engine)
    store.apply([Put(b"hot", b"%d" % at) for at in range(10_000)])
    for revision in (2, 3, 4, 777, 1810, 5000, 8191, 8192, 8193, 10_000):
        engine.gets.clear()
        assert item(store, b"hot", revision).value == b"%d" % (revision - 2)
        assert len(engine.gets) <= 39  # 3 log2(10 001) - 2 (Myers), the head, and the value


def test_a_put_looks_at_one_row() -> None:
    engine = Counting()
    store = Store(engine)
    store.apply([Put(b"a", b""), Put(b"b", b"")])
    assert engine.gets[1:] == [KEYS, KEYS]
    engine.gets.clear()
    store.apply([Put(b"a", b"")])
    assert engine.gets == [KEYS]


COMMANDS: list[list[Command]] = [
    [Put(b"a", b"1"), Put(b"b", b"2"), LeaseGrant(0, 10), Put(b"c", b"3", lease=1)],
    [Transaction(success=(DeleteRange(b"a"), Put(b"d", b"4", lease=1), Range(*EVERYTHING)))],
    [Put(b"a", b"again"), LeaseRevoke(1), LeaseGrant(0, 7), Put(b"b", b"", keep_value=True), Put(b"", b"")],
    [Compact(5), DeleteRange(b"b")],
]


def test_the_same_commands_leave_the_same_bytes() -> None:
    one, other = fresh(), fresh()
    for frame in COMMANDS:
        assert one.apply(frame) == other.apply(frame)
    assert rows(one) == rows(other)


def test_frames_cut_differently_leave_the_same_bytes() -> None:
    one, other = fresh(), fresh()
    for frame in COMMANDS:
        one.apply(frame)
        for command in frame:
            other.apply([command])
    assert rows(one) == rows(other)


def test_puts_in_a_row_leave_the_bytes_of_single_ones(seed: int) -> None:
    """The short way (`puts`) and the long one, which a put that asks for its previous value takes."""
    dice = random.Random(seed)
    row, single = fresh(b"a", b"leased"), fresh(b"a", b"leased")
    for store in (row, single):
        store.apply([LeaseGrant(5, 60), Put(b"leased", b"", lease=5), DeleteRange(b"a")])
        store.watching = True
    for _ in range(50):
        keys = [dice.choice((b"a", b"b", b"c", b"leased", b"", b"d" * dice.randrange(1, 9))) for _ in range(20)]
        puts = [Put(key, dice.randbytes(3)) for key in keys]
        revisions = [getattr(answer, "revision", answer) for answer in row.apply(puts)]
        for put, revision in zip(puts, revisions, strict=True):
            [answer] = single.apply([Put(put.key, put.value, previous=True)])
            assert getattr(answer, "revision", answer) == revision
    assert rows(row) == rows(single)
    assert row.take_changes() == single.take_changes()
    assert (row.size_bytes, row.revision) == (single.size_bytes, single.revision)


@pytest.mark.parametrize("steps", range(len(COMMANDS)))
def test_a_store_made_anew_goes_on_where_it_was(steps: int) -> None:
    checkpoint = MemoryCheckpoint()
    overlay = Overlay(checkpoint)
    store, whole = Store(overlay), fresh()
    for at, frame in enumerate(COMMANDS):
        if at == steps:
            checkpoint.write(overlay.freeze())
            overlay = Overlay(checkpoint)
            store = Store(overlay)
        assert store.apply(frame) == whole.apply(frame)
    assert rows(store) == rows(whole)
    assert (store.revision, store.compact_revision) == (whole.revision, whole.compact_revision)
    assert (store.size_bytes, list(store.leases())) == (whole.size_bytes, list(whole.leases()))
    assert store.has_scrubs


def test_freeing_goes_on_in_a_store_made_anew() -> None:
    store = fresh(*[b"a"] * 30)
    store.apply([Compact(31)])
    store.scrub(10)
    anew = Store(store._engine)
    assert anew.has_scrubs
    scrub_all(anew, 7)
    [(_, record)] = anew._engine.scan(REVISIONS)
    assert anew.size_bytes == len(record)


def test_digests_are_equal_where_the_data_is_and_different_where_it_is_not() -> None:
    one, other = fresh(b"a", b"b", b"c"), fresh(b"a", b"b", b"c")
    whole = one.digest(4, keys_max=10)
    assert whole == other.digest(4, keys_max=10)
    assert whole[1:] == (None, 3)
    one.apply([Put(b"b", b"x"), DeleteRange(b"c"), Compact(4)])
    scrub_all(one)
    assert one.digest(4, keys_max=10) == whole
    assert one.digest(6, keys_max=10)[0] != whole[0]


def test_digests_of_parts_cover_every_key_once() -> None:
    store = fresh(*[b"%d" % at for at in range(10)], b"0")
    for revision in (11, 12):
        parts, start, total = set(), b"", 0
        while True:
            digest, following, count = store.digest(revision, start_key=start, keys_max=3)
            parts.add(digest)
            total += count
            if following is None:
                break
            start = following
        assert (len(parts), total) == (4, 10)


@pytest.mark.parametrize("change", [{"value": b"x"}, {"lease": 5}, {"version": 2}])
def test_a_digest_sees_every_field(change: dict[str, object]) -> None:
    stores = [fresh(), fresh()]
    for store in stores:
        store.apply([LeaseGrant(5, 10)])
    stores[0].apply([Put(b"b", b"1"), Put(b"a", b"1")])
    if "version" in change:
        stores[1].apply([Put(b"a", b"1"), Put(b"a", b"1")])
    else:
        stores[1].apply([Put(b"b", b"1"), Put(b"a", change.get("value", b"1"), lease=change.get("lease", 0))])  # type: ignore[arg-type]
    assert [store.digest(3, start_key=b"a", keys_max=1)[2] for store in stores] == [1, 1]
    assert stores[0].digest(3, start_key=b"a", keys_max=1)[0] != stores[1].digest(3, start_key=b"a", keys_max=1)[0]


def test_a_missing_record_stops_the_replica() -> None:
    store = fresh(b"a")
    store._engine.delete(REVISIONS, first_pointer(2))
    with pytest.raises(InvariantError):
        store.read([Range(b"a")])


def test_every_revision_of_many_keys_is_found_again(seed: int) -> None:
    dice = random.Random(seed)
    store = fresh()
    past: dict[int, dict[bytes, bytes]] = {1: {}}
    for revision in range(2, 200):
        key = b"%d" % dice.randrange(6)
        now = dict(past[revision - 1])
        if key in now and dice.random() < 0.3:
            del now[key]
            store.apply([DeleteRange(key)])
        else:
            now[key] = b"%d" % revision
            store.apply([Put(key, now[key])])
        past[revision] = now
    for revision, keys in past.items():
        found = ranged(store, Range(*EVERYTHING, revision=revision)).items
        assert {each.key: each.value for each in found} == keys
        assert all(each.mod_revision == int(each.value) for each in found)


def test_pointers_sort_as_revisions_do() -> None:
    assert sorted(map(first_pointer, (256, 1, 255, 2**40))) == list(map(first_pointer, (1, 255, 256, 2**40)))
    assert revision_of(first_pointer(2**40)) == 2**40
