"""Watchers: whole revisions, once, in order; whoever does not read is put behind and not buffered for."""

import random

from msgspec import msgpack

from libelli.core.calls import Changes, Refusal, Reply, Watch
from libelli.core.codec import encode
from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code
from libelli.core.ids import Index, Term
from libelli.core.members import Configuration
from libelli.host.machine import Machine
from libelli.host.stamps import FrameEntry, stamp
from libelli.host.watches import PAGES_MAX, PROGRESS_MS, Watches
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import FROM_KEY, Command, Compact, DeleteRange, Put, WatchEvent


class Place:
    """A machine whose changes are watched; connections are full or not."""

    def __init__(self) -> None:
        self.machine = Machine(MemoryCheckpoint(), founding=Configuration(()))
        self.full: set[int] = set()
        self.posted: list[tuple[int, Reply]] = []
        self.watches = Watches(
            self.machine,
            post=lambda connection, reply: self.posted.append((connection, reply)),
            is_full=lambda connection: connection in self.full,
        )

    def apply(self, *commands: Command) -> None:
        frame = FrameEntry(0, False, 0, 0, 0, encode(commands))
        self.machine.apply(Index(self.machine.applied + 1), Entry(Term(1), EntryKind.COMMAND, stamp(frame)))
        if self.machine.store.watching:
            self.watches.publish(self.machine.store.take_changes(), 0)

    def watch(self, call: int, key: bytes = b"k", end: bytes = b"", *, connection: int = 1, **more: object) -> None:
        self.watches.add(connection, Watch(call, "default", key, end, **more), 0)  # type: ignore[arg-type]

    def seen(self, call: int = 1) -> list[tuple[bytes, int]]:
        """Keys and revisions that a watcher has got."""
        return [
            (event.item.key, event.item.mod_revision)
            for _, reply in self.posted
            if isinstance(reply, Changes) and reply.call == call
            for event in msgpack.decode(reply.events, type=list[WatchEvent])
        ]


def test_a_watcher_gets_changes_of_its_keys_alone() -> None:
    place = Place()
    place.watch(1)
    place.watch(2, b"a", b"m")
    place.watch(3, b"l", FROM_KEY)
    place.apply(Put(b"a", b""), Put(b"k", b""), Put(b"z", b""))
    assert place.seen(1) == [(b"k", 3)]
    assert place.seen(2) == [(b"a", 2), (b"k", 3)]
    assert place.seen(3) == [(b"z", 4)]


def test_kinds_of_changes_can_be_left_out() -> None:
    place = Place()
    place.watch(1, no_deletes=True)
    place.watch(2, no_puts=True)
    place.apply(Put(b"k", b""), DeleteRange(b"k"))
    assert (place.seen(1), place.seen(2)) == ([(b"k", 2)], [(b"k", 3)])


def test_history_comes_first_and_then_what_is_new() -> None:
    place = Place()
    place.apply(Put(b"k", b"1"), Put(b"k", b"2"))
    place.watch(1, start_revision=2)
    assert place.watches.has_more
    place.watches.catch_up(0)
    assert not place.watches.has_more
    place.apply(Put(b"k", b"3"))
    assert place.seen() == [(b"k", 2), (b"k", 3), (b"k", 4)]


def test_a_watch_of_the_future_waits_for_it() -> None:
    place = Place()
    place.watch(1, start_revision=4)
    place.apply(Put(b"k", b""), Put(b"k", b""), Put(b"k", b""))
    assert place.seen() == [(b"k", 4)]


def test_a_connection_that_does_not_read_is_not_buffered_for_and_misses_nothing() -> None:
    place = Place()
    place.watch(1)
    place.full.add(1)
    for _ in range(5):
        place.apply(Put(b"k", b""))
        place.watches.catch_up(0)
    assert place.posted == []
    assert not place.watches.has_more
    place.full.clear()
    assert place.watches.has_more
    place.watches.catch_up(0)
    place.apply(Put(b"k", b""))
    assert place.seen() == [(b"k", revision) for revision in range(2, 8)]


def test_one_step_reads_a_bounded_number_of_pages() -> None:
    place = Place()
    place.apply(Put(b"k", b""))
    for call in range(1, PAGES_MAX + 3):
        place.watch(call, start_revision=2)
    place.watches.catch_up(0)
    assert sum(bool(place.seen(call)) for call in range(1, PAGES_MAX + 3)) == PAGES_MAX
    place.watches.catch_up(0)
    assert all(place.seen(call) == [(b"k", 2)] for call in range(1, PAGES_MAX + 3))


def test_whoever_is_behind_compacted_history_is_told_where_it_begins() -> None:
    place = Place()
    place.watch(1)
    place.full.add(1)
    place.apply(Put(b"k", b"1"), Put(b"k", b"2"), Put(b"k", b"3"), Compact(4))
    place.full.clear()
    place.watches.catch_up(0)
    ((_, refusal),) = place.posted
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.compact_revision) == (Code.COMPACTED, 4)
    assert len(place.watches) == 0


def test_an_idle_watcher_that_asked_for_it_hears_how_far_it_is() -> None:
    place = Place()
    place.watch(1, progress=True)
    place.watch(2)
    place.apply(Put(b"other", b""))
    place.watches.report_progress(PROGRESS_MS - 1)
    assert place.posted == []
    place.watches.report_progress(PROGRESS_MS)
    assert place.posted == [(1, Changes(1, 2, encode([])))]


def test_a_cancelled_watcher_hears_nothing_and_nothing_is_noted_for_nobody() -> None:
    place = Place()
    place.watch(1)
    place.watch(2, connection=9)
    assert place.watches.remove(1, 1)
    assert not place.watches.remove(1, 1)
    assert place.watches.remove_all(9) == 1
    assert not place.machine.store.watching
    place.apply(Put(b"k", b""))
    assert place.posted == []


def test_every_watcher_sees_every_change_once_whatever_the_connections_do(seed: int) -> None:
    dice, place = random.Random(seed), Place()
    starts: dict[int, int] = {}
    for step in range(300):
        choice = dice.random()
        if choice < 0.5:
            place.apply(*(Put(b"k", b"") for _ in range(dice.randint(1, 3))))
        elif choice < 0.6:
            starts[step] = dice.randint(2, place.machine.store.revision + 3)
            place.watch(step, connection=dice.randint(1, 3), start_revision=starts[step])
        elif choice < 0.8:
            place.full ^= {dice.randint(1, 3)}
        else:
            place.watches.catch_up(0)
    place.full.clear()
    while place.watches.has_more:
        place.watches.catch_up(0)
    last = place.machine.store.revision
    for call, start in starts.items():
        assert [revision for _, revision in place.seen(call)] == list(range(start, last + 1))
