"""Ranges: rules C1 to C4."""

import pytest

from libelli.core import Code
from libelli.core.limits import MIB, RANGE_ANSWER_SIZE_MAX
from libelli.stores.mvcc.commands import (
    DeleteRange,
    Failed,
    Put,
    Range,
    RangeDone,
    SortOrder,
    SortTarget,
    Transaction,
    TransactionDone,
)
from tests.stores.mvcc.cases import EVERYTHING, code, do, fresh, names, ranged, read, value

KEYS = (b"a", b"ab", b"abc", b"b", b"\xff")


@pytest.mark.parametrize(
    ("key", "end", "expected"),
    [
        (b"a", b"", [b"a"]),
        (b"aa", b"", []),
        (b"a", b"b", [b"a", b"ab", b"abc"]),
        (b"ab", b"ac", [b"ab", b"abc"]),
        (b"ab", b"\x00", [b"ab", b"abc", b"b", b"\xff"]),
        (b"\x00", b"\x00", list(KEYS)),
        (b"b", b"a", []),
        (b"b", b"b", []),
    ],
)
def test_a_range_is_one_key_or_up_to_its_end_or_from_a_key_on(key: bytes, end: bytes, expected: list[bytes]) -> None:
    """C1"""
    store = fresh(*KEYS)
    assert names(store, Range(key, end)) == expected
    assert names(store, Range(key, end, revision=store.revision - 1)) == [each for each in expected if each != b"\xff"]


@pytest.mark.parametrize("revision", [0, 6])
def test_a_limit_cuts_and_count_does_not(revision: int) -> None:
    """C2"""
    store = fresh(*KEYS, b"a")
    done = ranged(store, Range(b"a", b"c", limit=2, revision=revision))
    assert ([each.key for each in done.items], done.more, done.count) == ([b"a", b"ab"], True, 4)
    done = ranged(store, Range(b"a", b"c", limit=4, revision=revision))
    assert (len(done.items), done.more, done.count) == (4, False, 4)


def test_count_alone_has_no_items() -> None:
    """C2"""
    store = fresh(*KEYS)
    for command, count in ((Range(*EVERYTHING, count_only=True), 5), (Range(b"a", b"b", count_only=True, limit=1), 3)):
        assert ranged(store, command) == RangeDone(6, count, False, ())
    assert ranged(store, Range(*EVERYTHING, limit=1)).count == 5
    assert ranged(store, Range(*EVERYTHING, count_only=True, revision=3)).count == 2
    store.apply([DeleteRange(b"b"), DeleteRange(b"b"), Put(b"a", b"")])
    assert ranged(store, Range(*EVERYTHING, count_only=True)).count == 4
    assert ranged(store, Range(*EVERYTHING, limit=1)).count == 4


def test_keys_alone_have_empty_values_and_their_numbers() -> None:
    """C2"""
    store = fresh(b"a", b"a")
    for command in (Range(b"a", keys_only=True), Range(b"a", b"b", keys_only=True)):
        [found] = ranged(store, command).items
        assert (found.value, found.create_revision, found.mod_revision, found.version) == (b"", 2, 3, 2)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"min_mod_revision": 5}, [b"b", b"\xff", b"a"]),
        ({"max_mod_revision": 4}, [b"ab", b"abc"]),
        ({"min_create_revision": 4}, [b"abc", b"b", b"\xff"]),
        ({"max_create_revision": 2}, [b"a"]),
        ({"min_mod_revision": 4, "max_mod_revision": 5}, [b"abc", b"b"]),
    ],
)
def test_bounds_of_revisions_filter_before_the_limit(bounds: dict[str, int], expected: list[bytes]) -> None:
    """C3"""
    store = fresh(*KEYS, b"a")
    assert sorted(names(store, Range(*EVERYTHING, **bounds))) == sorted(expected)
    done = ranged(store, Range(*EVERYTHING, limit=1, **bounds))
    assert (done.count, done.more) == (5, len(expected) > 1)
    done = ranged(store, Range(b"b", **bounds))
    assert (len(done.items), done.count) == (int(b"b" in expected), 1)


@pytest.mark.parametrize(
    ("target", "ascending"),
    [
        (SortTarget.KEY, [b"a", b"b", b"c"]),
        (SortTarget.VERSION, [b"b", b"c", b"a"]),
        (SortTarget.CREATE, [b"c", b"a", b"b"]),
        (SortTarget.MOD, [b"c", b"b", b"a"]),
        (SortTarget.VALUE, [b"b", b"a", b"c"]),
    ],
)
def test_a_range_is_sorted_and_then_cut(target: SortTarget, ascending: list[bytes]) -> None:
    """C3"""
    store = fresh()
    puts = [(b"c", b"0"), (b"c", b"3"), (b"a", b"0"), (b"a", b"1"), (b"b", b"1"), (b"a", b"2")]
    store.apply([Put(key, text) for key, text in puts])
    for order in (SortOrder.NONE, SortOrder.ASCEND):
        assert names(store, Range(*EVERYTHING, target=target, order=order)) == ascending
    assert names(store, Range(*EVERYTHING, target=target, order=SortOrder.DESCEND)) == ascending[::-1]
    done = ranged(store, Range(*EVERYTHING, target=target, order=SortOrder.DESCEND, limit=2))
    assert ([each.key for each in done.items], done.more, done.count) == (ascending[:0:-1], True, 3)


def test_equals_stand_in_key_order_whichever_way_a_range_is_sorted() -> None:
    """C3"""
    store = fresh()
    store.apply([Put(b"a", b"long"), Put(b"b", b""), Put(b"c", b"mid"), Put(b"c", b"")])
    assert names(store, Range(*EVERYTHING, target=SortTarget.VERSION)) == [b"a", b"b", b"c"]
    assert names(store, Range(*EVERYTHING, target=SortTarget.VERSION, order=SortOrder.DESCEND)) == [b"c", b"a", b"b"]


def test_what_bounds_leave_out_of_a_sorted_range_is_not_more() -> None:
    """C3"""
    store = fresh(b"a", b"b", b"c")
    done = ranged(store, Range(*EVERYTHING, target=SortTarget.MOD, min_mod_revision=3))
    assert (len(done.items), done.more, done.count) == (2, False, 3)


def test_a_sort_with_a_limit_finds_the_first_of_many() -> None:
    store = fresh()
    store.apply([Put(b"%05d" % at, b"%05d" % (at * 7919 % 4099)) for at in range(4000)])
    done = ranged(store, Range(*EVERYTHING, target=SortTarget.VALUE, limit=3))
    assert [each.value for each in done.items] == sorted(b"%05d" % (at * 7919 % 4099) for at in range(4000))[:3]
    assert (done.more, done.count) == (True, 4000)


def test_the_past_is_as_it_was() -> None:
    """C4"""
    store = fresh(b"a", b"b")
    store.apply([Put(b"a", b"2"), DeleteRange(b"b"), Put(b"b", b"again"), Put(b"c", b"")])
    past = {revision: names(store, Range(*EVERYTHING, revision=revision)) for revision in range(1, 8)}
    assert past == {
        1: [],
        2: [b"a"],
        3: [b"a", b"b"],
        4: [b"a", b"b"],
        5: [b"a"],
        6: [b"a", b"b"],
        7: [b"a", b"b", b"c"],
    }
    assert (value(store, b"a", 3), value(store, b"a", 4)) == (b"a", b"2")
    assert (value(store, b"b", 4), value(store, b"b", 6)) == (b"b", b"again")
    assert names(store, Range(*EVERYTHING, revision=4, target=SortTarget.KEY, order=SortOrder.DESCEND)) == [b"b", b"a"]


def test_a_revision_that_is_not_there_yet_is_refused() -> None:
    """C4"""
    store = fresh(b"a")
    assert code(store, Range(b"a", revision=3)) is Code.FUTURE_REVISION
    assert code(store, Transaction(success=(Put(b"b", b""), Range(b"a", revision=3)))) is Code.FUTURE_REVISION
    assert ranged(store, Range(b"a", revision=-5)).count == 1


def test_an_answer_is_cut_where_it_grows_too_large() -> None:
    store = fresh()
    store.apply([Put(b"%02d" % at, bytes(MIB - 100)) for at in range(12)])
    done = ranged(store, Range(*EVERYTHING))
    assert (len(done.items), done.more, done.count) == (8, True, 12)
    done = ranged(store, Range(*EVERYTHING, target=SortTarget.MOD, order=SortOrder.DESCEND))
    assert ([each.key for each in done.items], done.more) == ([b"%02d" % at for at in range(11, 3, -1)], True)
    assert len(ranged(store, Range(*EVERYTHING, keys_only=True)).items) == 12


def test_the_answers_of_one_frame_share_their_room() -> None:
    store = fresh()
    store.apply([Put(b"%02d" % at, bytes(MIB - 100)) for at in range(12)])
    answers = store.read([Range(b"%02d" % at) for at in range(12)])
    assert [type(answer) for answer in answers] == [RangeDone] * 8 + [Failed] * 4
    assert (
        sum(len(answer.items[0].value) for answer in answers[:8] if isinstance(answer, RangeDone))
        <= RANGE_ANSWER_SIZE_MAX
    )
    assert isinstance(read(store, Range(b"11")), RangeDone)


def test_what_is_refused_takes_no_room_from_the_others_of_its_frame() -> None:
    store = fresh()
    large = [Put(b"%02d" % at, bytes(MIB - 100), previous=True) for at in range(8)]
    store.apply(large)
    refused, answered = store.apply([Transaction(success=(*large, Put(b"z", b"", lease=9))), Range(*EVERYTHING)])
    assert isinstance(refused, Failed)
    assert isinstance(answered, RangeDone)
    assert (refused.code, len(answered.items)) == (Code.LEASE_NOT_FOUND, 8)


def test_a_range_without_room_inside_a_transaction_says_that_there_is_more() -> None:
    store = fresh()
    store.apply([Put(b"%02d" % at, bytes(MIB - 100)) for at in range(12)])
    done = do(store, Transaction(success=(Range(*EVERYTHING), Put(b"z", b""), Range(b"00"))), TransactionDone)
    _, _, last = done.answers
    assert last == RangeDone(done.revision, 1, True, ())


def test_what_changes_something_is_no_read() -> None:
    store = fresh(b"a")
    for command in (Put(b"a", b""), DeleteRange(b"a"), Transaction(failure=(Transaction(success=(Put(b"a", b""),)),))):
        answer = read(store, command)
        assert isinstance(answer, Failed)
        assert answer.code is Code.INVALID
    assert store.revision == 2
    assert isinstance(read(store, Transaction(success=(Range(b"a"),))), TransactionDone)
