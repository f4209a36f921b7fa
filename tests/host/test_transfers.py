"""Snapshots in chunks: whatever is lost, repeated or late, the same rows arrive once and in order."""

import random

import pytest

from libelli.core.ids import Index, NodeId, Term
from libelli.core.members import Configuration, Member
from libelli.host.chunks import Rows, read_chunk
from libelli.host.machine import META, Position, position_items, read_position
from libelli.host.transfers import (
    ASK_AGAIN_MS,
    VIEW_IDLE_MS_MAX,
    VIEWS_MAX,
    FetchChunk,
    SnapshotChunk,
    SnapshotFetch,
    SnapshotGone,
    SnapshotSource,
)
from libelli.stores.memory import MemoryCheckpoint

NODE = NodeId(2)
CONFIGURATION = Configuration((Member(NodeId(1), "a"), Member(NODE, "b")))


def checkpoint_at(index: int, *, rows: int = 50) -> MemoryCheckpoint:
    checkpoint = MemoryCheckpoint()
    position = Position(Index(index), Term(3), 77, CONFIGURATION)
    checkpoint.write([Rows(1, [(b"key %03d" % number, b"v" * 100) for number in range(rows)])])
    checkpoint.write([Rows(META, position_items(position))])
    return checkpoint


def all_rows(checkpoint: MemoryCheckpoint) -> list[tuple[int, bytes, bytes]]:
    return [(table, key, value) for table in range(16) for key, value in checkpoint.scan(table)]


def test_a_position_is_read_back() -> None:
    position = read_position(checkpoint_at(9))
    assert position == Position(Index(9), Term(3), 77, CONFIGURATION)
    assert read_position(MemoryCheckpoint()).index == 0


@pytest.mark.parametrize("size_max", [1, 150, 1_000, 10**6])
def test_chunks_hold_every_row_once_in_order(size_max: int) -> None:
    checkpoint = checkpoint_at(9)
    found, cursor = [], b""
    while True:
        chunk = read_chunk(checkpoint, cursor=cursor, size_max=size_max)
        found += [(rows.table, key, value) for rows in chunk.runs for key, value in rows.items]
        cursor = chunk.cursor
        if not cursor:
            break
    assert found == all_rows(checkpoint)


def test_keys_that_begin_alike_are_not_taken_for_each_other_at_a_cut() -> None:
    keys = [b"", b"a", b"a\0", b"a\0\0", b"a\0b", b"a\xff", b"a\xff\xff", b"ab", b"b"]
    checkpoint = MemoryCheckpoint()
    checkpoint.write([Rows(3, [(key, b"") for key in keys]), Rows(4, [(b"", b"other table")])])
    found, cursor = [], b""
    while not found or cursor:
        chunk = read_chunk(checkpoint, cursor=cursor, size_max=1)
        found += [(rows.table, key) for rows in chunk.runs for key, _ in rows.items]
        cursor = chunk.cursor
    assert found == [(3, key) for key in sorted(keys)] + [(4, b"")]


def test_an_empty_checkpoint_is_one_empty_chunk() -> None:
    assert read_chunk(MemoryCheckpoint(), cursor=b"", size_max=1) == read_chunk(
        MemoryCheckpoint(), cursor=b"\x0f", size_max=1
    )


def test_a_view_does_not_change_while_it_is_copied() -> None:
    checkpoint = checkpoint_at(9)
    source = SnapshotSource(checkpoint)
    before = all_rows(checkpoint)
    first = source.serve(NODE, FetchChunk(1, b"", Index(5)), 0)
    assert isinstance(first, SnapshotChunk)
    checkpoint.write([Rows(1, [(b"key 001", None), (b"new", b"row")])])
    again = source.serve(NODE, FetchChunk(1, b"", Index(5)), 0)
    assert isinstance(again, SnapshotChunk)
    assert [(rows.table, key, value) for rows in again.runs for key, value in rows.items] == before


def test_a_checkpoint_that_does_not_reach_far_enough_is_not_served() -> None:
    source = SnapshotSource(checkpoint_at(9))
    assert source.serve(NODE, FetchChunk(1, b"", Index(10)), 0) is None
    assert source.oldest_index() is None


def test_what_an_open_view_needs_is_known_until_it_is_idle() -> None:
    source = SnapshotSource(checkpoint_at(9))
    source.serve(NODE, FetchChunk(1, b"", Index(9)), 0)
    source.close_idle(VIEW_IDLE_MS_MAX)
    assert source.oldest_index() == 9
    source.close_idle(VIEW_IDLE_MS_MAX + 1)
    assert source.oldest_index() is None
    assert source.serve(NODE, FetchChunk(1, b"\x01key", Index(9)), 0) == SnapshotGone(1)


def test_no_more_views_are_opened_than_allowed() -> None:
    source = SnapshotSource(checkpoint_at(9))
    answers = [source.serve(NODE, FetchChunk(number, b"", Index(9)), 0) for number in range(VIEWS_MAX + 1)]
    assert [answer is None for answer in answers] == [False] * VIEWS_MAX + [True]


class Fetching:
    """A fetch from a source over a bad network, stored as it comes."""

    def __init__(self, checkpoint: MemoryCheckpoint) -> None:
        self.source = SnapshotSource(checkpoint)
        self.sent: list[FetchChunk] = []
        self.fetch = SnapshotFetch(source=NodeId(1), index=Index(5), transfer=7, send=self.sent.append)
        self.stored: list[tuple[int, bytes, bytes | None]] = []
        self.now_ms = 0

    def take(self, chunk: SnapshotChunk) -> None:
        if self.fetch.take(chunk):
            self.stored += [(rows.table, key, value) for rows in chunk.runs for key, value in rows.items]
            if not self.fetch.is_complete:
                self.fetch.ask(self.now_ms)


def test_a_fetch_gets_every_row_once_though_messages_are_lost_repeated_and_late(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libelli.host.transfers.CHUNK_SIZE", 500)
    dice, checkpoint = random.Random(seed), checkpoint_at(9)
    fetching = Fetching(checkpoint)
    fetching.fetch.ask(0)
    answers: list[SnapshotChunk] = []
    for _ in range(2_000):
        if fetching.fetch.is_complete:
            break
        if fetching.sent and dice.random() < 0.8:
            answer = fetching.source.serve(NODE, fetching.sent.pop(0), fetching.now_ms)
            assert isinstance(answer, SnapshotChunk)
            answers += [answer] * dice.choice((0, 1, 1, 2))
        elif answers:
            fetching.take(dice.choice(answers))
        fetching.now_ms += dice.choice((0, ASK_AGAIN_MS))
        if fetching.fetch.is_overdue(fetching.now_ms):
            fetching.fetch.ask(fetching.now_ms)
    assert fetching.stored == all_rows(checkpoint)
    assert fetching.fetch.position == Position(Index(9), Term(3), 0, CONFIGURATION)


def test_nothing_is_asked_again_while_a_chunk_is_being_stored() -> None:
    fetching = Fetching(checkpoint_at(9))
    fetching.fetch.ask(0)
    answer = fetching.source.serve(NODE, fetching.sent.pop(), 0)
    assert isinstance(answer, SnapshotChunk)
    assert fetching.fetch.take(answer)
    assert not fetching.fetch.is_overdue(10 * ASK_AGAIN_MS)
    assert not fetching.fetch.take(answer)
