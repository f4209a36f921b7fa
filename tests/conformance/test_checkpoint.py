"""Every checkpoint: order and bounds, deletes, lives, views and installations, keys of any length."""

import random

import pytest

from libelli.core.errors import StorageError
from libelli.host.chunks import Rows, read_chunk
from libelli.stores.engine import Checkpoint
from tests.conformance.kept import Kept
from tests.conformance.twin import Twin, assert_same

MIB = 1 << 20


@pytest.fixture
def checkpoint(kept: Kept) -> Checkpoint:
    return kept.open()


def put(table: int, *items: tuple[bytes, bytes | None]) -> list[Rows]:
    return [Rows(table, sorted(items))]


def keys_of(checkpoint: Checkpoint, table: int = 1, **bounds: object) -> list[bytes]:
    return [key for key, _ in checkpoint.scan(table, **bounds)]  # type: ignore[arg-type]


def test_a_scan_goes_from_start_up_to_before_end_in_the_order_of_bytes(checkpoint: Checkpoint) -> None:
    checkpoint.write(put(1, (b"b", b"2"), (b"a", b"1"), (b"\xff", b"4"), (b"ba", b"3")))
    assert list(checkpoint.scan(1)) == [(b"a", b"1"), (b"b", b"2"), (b"ba", b"3"), (b"\xff", b"4")]
    assert keys_of(checkpoint, start=b"b", end=b"\xff") == [b"b", b"ba"]
    assert keys_of(checkpoint, start=b"b", end=b"\xff", reverse=True) == [b"ba", b"b"]
    assert keys_of(checkpoint, start=b"b\0") == [b"ba", b"\xff"]
    assert keys_of(checkpoint, end=b"b\0", reverse=True) == [b"b", b"a"]
    assert keys_of(checkpoint, end=b"") == []
    assert keys_of(checkpoint, start=b"c", end=b"a") == []
    assert keys_of(checkpoint, start=b"c", end=b"a", reverse=True) == []


def test_tables_do_not_see_each_other(checkpoint: Checkpoint) -> None:
    for table in range(16):
        checkpoint.write(put(table, (b"", b"%d" % table), (b"\xff" * 600, b"last")))
    for table in range(16):
        assert list(checkpoint.scan(table)) == [(b"", b"%d" % table), (b"\xff" * 600, b"last")]
        assert list(checkpoint.scan(table, reverse=True))[-1] == (b"", b"%d" % table)


def test_an_empty_key_and_an_empty_value_are_a_key_and_a_value(checkpoint: Checkpoint) -> None:
    checkpoint.write(put(1, (b"", b""), (b"a", b"")))
    assert checkpoint.get(1, b"") == b""
    assert keys_of(checkpoint) == [b"", b"a"]
    assert keys_of(checkpoint, end=b"a") == [b""]
    checkpoint.write(put(1, (b"", None)))
    assert checkpoint.get(1, b"") is None
    assert keys_of(checkpoint, reverse=True) == [b"a"]


def test_deleting_what_is_not_there_changes_nothing(checkpoint: Checkpoint) -> None:
    checkpoint.write(put(1, (b"a", b"1"), (b"a" * 700, b"2")))
    checkpoint.write(put(1, (b"b", None), (b"a" * 699, None), (b"a" * 1700, None), (b"b" * 700, None)))
    assert keys_of(checkpoint) == [b"a", b"a" * 700]


def test_a_write_is_there_after_a_kill_and_after_a_close(kept: Kept) -> None:
    kept.open().write(put(1, (b"a", b"1"), (b"long" * 300, b"2")))
    kept.kill()
    checkpoint = kept.open()
    assert keys_of(checkpoint) == [b"a", b"long" * 300]
    checkpoint.write(put(1, (b"a", None)))
    kept.close()
    assert keys_of(kept.open()) == [b"long" * 300]


@pytest.mark.parametrize("size", [480, 499, 500, 501, 509, 510, 511, 512, 1000, 1001, 1500, 2000])
def test_keys_that_share_a_long_prefix_stand_in_order(checkpoint: Checkpoint, size: int) -> None:
    prefix = b"p" * size
    tails = [b"", b"\0", b"\0\0", b"\0" * 500, b"\0" * 501, b"\1", b"a", b"a" * 600, b"ab", b"\xff", b"\xff" * 600]
    keys = sorted([prefix + tail for tail in tails] + [prefix[:-1], prefix[:-1] + b"q", b"p" * 100])
    checkpoint.write(put(1, *((key, key[-8:]) for key in keys)))
    assert keys_of(checkpoint) == keys
    assert keys_of(checkpoint, reverse=True) == keys[::-1]
    for at, key in enumerate(keys):
        assert checkpoint.get(1, key) == key[-8:]
        assert keys_of(checkpoint, start=key) == keys[at:]
        assert keys_of(checkpoint, start=key + b"\0")[:1] in (keys[at + 1 : at + 2], [key + b"\0"])
        assert keys_of(checkpoint, end=key) == keys[:at]
        assert keys_of(checkpoint, start=keys[0], end=key, reverse=True) == keys[:at][::-1]


def test_a_bound_inside_one_long_prefix_says_nothing_about_another(checkpoint: Checkpoint) -> None:
    prefixes = [letter * size for letter in (b"p", b"q", b"r") for size in (500, 1000)]
    keys = sorted(prefix + tail for prefix in prefixes for tail in (b"\1", b"\2", b"\2" * 600))
    checkpoint.write(put(1, *((key, b"") for key in keys)))
    for start in keys:
        for end in keys:
            expected = [key for key in keys if start <= key < end]
            assert keys_of(checkpoint, start=start, end=end) == expected
            assert keys_of(checkpoint, start=start, end=end, reverse=True) == expected[::-1]


def test_long_keys_that_are_deleted_leave_nothing_in_the_way(checkpoint: Checkpoint) -> None:
    keys = [b"x" * size for size in range(490, 1520, 7)]
    checkpoint.write(put(1, *((key, b"1") for key in keys)))
    checkpoint.write(put(1, *((key, None) for key in keys[1:-1])))
    assert keys_of(checkpoint) == [keys[0], keys[-1]]
    checkpoint.write(put(1, (keys[0], None), (keys[-1], None)))
    assert keys_of(checkpoint) == []
    checkpoint.write(put(1, (keys[5], b"again")))
    assert list(checkpoint.scan(1)) == [(keys[5], b"again")]


def test_keys_and_values_of_a_mebibyte_work(checkpoint: Checkpoint) -> None:
    key, value = b"k" * MIB, random.Random(1).randbytes(MIB)
    checkpoint.write(put(1, (key, value), (key[:-1], b"shorter"), (key + b"!", b"longer")))
    assert checkpoint.get(1, key) == value
    assert keys_of(checkpoint) == [key[:-1], key, key + b"!"]
    assert keys_of(checkpoint, start=key, reverse=True) == [key + b"!", key]
    assert keys_of(checkpoint, end=key) == [key[:-1]]
    checkpoint.write(put(1, (key, None)))
    assert checkpoint.get(1, key) is None
    assert keys_of(checkpoint, reverse=True) == [key + b"!", key[:-1]]


def test_a_view_stays_as_it_was_taken(checkpoint: Checkpoint) -> None:
    checkpoint.write(put(1, (b"a", b"1"), (b"b", b"2")))
    view = checkpoint.view()
    checkpoint.write(put(1, (b"a", None), (b"c", b"3")))
    assert list(view.scan(1)) == [(b"a", b"1"), (b"b", b"2")]
    assert view.get(1, b"a") == b"1"
    assert keys_of(checkpoint) == [b"b", b"c"]
    view.close()
    view.close()
    with pytest.raises(StorageError, match="closed"):
        view.get(1, b"a")


def test_several_views_each_keep_their_own_moment(checkpoint: Checkpoint) -> None:
    views = []
    for number in range(5):
        checkpoint.write(put(1, (b"n", b"%d" % number)))
        views.append(checkpoint.view())
    assert [view.get(1, b"n") for view in views] == [b"0", b"1", b"2", b"3", b"4"]
    for view in views:
        view.close()


def test_an_installation_replaces_everything_at_its_end_and_not_before(kept: Kept) -> None:
    checkpoint = kept.open()
    checkpoint.write(put(1, (b"old", b"1")) + put(2, (b"old", b"1")))
    install = checkpoint.install()
    install.add(put(1, (b"a", b"1")))
    install.add(put(1, (b"b", b"2"), (b"c" * 900, b"3")) + put(3, (b"d", b"4")))
    checkpoint.write(put(1, (b"old", b"2")))
    assert keys_of(checkpoint) == [b"old"]
    install.finish()
    for life in range(2):
        assert keys_of(checkpoint, 1) == [b"a", b"b", b"c" * 900]
        assert keys_of(checkpoint, 2) == [b"%d" % before for before in range(life)]
        assert keys_of(checkpoint, 3) == [b"d"]
        checkpoint.write(put(2, (b"%d" % life, b"")))
        kept.kill()
        checkpoint = kept.open()


def test_views_keep_the_contents_that_an_installation_replaced(checkpoint: Checkpoint) -> None:
    checkpoint.write(put(1, (b"old", b"1")))
    view, other = checkpoint.view(), checkpoint.view()
    install = checkpoint.install()
    install.add(put(1, (b"new", b"1")))
    install.finish()
    other.close()
    assert list(view.scan(1)) == [(b"old", b"1")]
    assert keys_of(checkpoint) == [b"new"]
    view.close()
    assert keys_of(checkpoint) == [b"new"]


def test_an_abandoned_or_killed_installation_leaves_the_old_contents(kept: Kept) -> None:
    checkpoint = kept.open()
    checkpoint.write(put(1, (b"old", b"1")))
    abandoned = checkpoint.install()
    abandoned.add(put(1, (b"new", b"1")))
    abandoned.abandon()
    assert keys_of(checkpoint) == [b"old"]
    killed = checkpoint.install()
    killed.add(put(1, (b"new", b"1")))
    kept.kill()
    checkpoint = kept.open()
    assert keys_of(checkpoint) == [b"old"]
    install = checkpoint.install()
    install.add(put(1, (b"newest", b"1")))
    install.finish()
    assert keys_of(checkpoint) == [b"newest"]


def test_an_installation_that_ended_cannot_be_used(checkpoint: Checkpoint) -> None:
    finished, abandoned = checkpoint.install(), checkpoint.install()
    finished.finish()
    abandoned.abandon()
    for install in (finished, abandoned):
        with pytest.raises(StorageError, match="finished"):
            install.add(put(1, (b"a", b"1")))
        with pytest.raises(StorageError, match="finished"):
            install.finish()
        install.abandon()


def test_a_copy_chunk_by_chunk_has_the_same_rows(checkpoint: Checkpoint, kept: Kept, seed: int) -> None:
    dice = random.Random(seed)
    twin = Twin()
    for table in (1, 2, 9):
        keys = {b"k" * dice.choice((1, 400, 700, 1200)) + dice.randbytes(2) for _ in range(40)} | {b""}
        runs = put(table, *((key, dice.randbytes(100)) for key in keys))
        checkpoint.write(runs)
        twin.write(runs)
    view = checkpoint.view()
    install = checkpoint.install()
    cursor = b""
    while True:
        chunk = read_chunk(view, cursor=cursor, size_max=3000)
        install.add(chunk.runs)
        cursor = chunk.cursor
        if not cursor:
            break
    view.close()
    checkpoint.write(put(1, (b"of the old contents", b"")))
    install.finish()
    assert_same(checkpoint, twin, range(16))
