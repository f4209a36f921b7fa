"""The state machine: each frame once, in order, with the first answers again; all of it in every checkpoint."""

import pytest
from msgspec import msgpack

from libelli.core.codec import encode
from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code, InvariantError
from libelli.core.ids import Index, NodeId, SessionId, Term
from libelli.core.limits import SESSION_IDLE_MS_MAX
from libelli.core.members import Configuration, Member
from libelli.host.machine import Machine, Outcome
from libelli.host.stamps import FrameEntry, SessionEntry, stamp
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import Answer, Command, Failed, Put, PutDone

FOUNDING = Configuration((Member(NodeId(1), "a"), Member(NodeId(4), "d")))


class Place:
    """A machine over a checkpoint, fed entry by entry."""

    def __init__(self) -> None:
        self.checkpoint = MemoryCheckpoint()
        self.machine = Machine(self.checkpoint, founding=FOUNDING)

    def apply(self, data: bytes = b"", kind: EntryKind = EntryKind.COMMAND) -> Outcome:
        return self.machine.apply(Index(self.machine.applied + 1), Entry(Term(3), kind, data))

    def open(self, time_ms: int = 0) -> SessionId:
        return self.apply(stamp(SessionEntry(time_ms))).session

    def frame(
        self, session: int, sequence: int, *commands: Command, acked: int = 0, time_ms: int = 0, no_space: bool = False
    ) -> Outcome:
        return self.apply(stamp(FrameEntry(time_ms, no_space, session, sequence, acked, encode(commands))))

    def restart(self, *, is_flushed: bool = True) -> None:
        if is_flushed:
            self.checkpoint.write(self.machine.freeze())
        self.machine = Machine(self.checkpoint, founding=FOUNDING)


def answers(outcome: Outcome) -> list[Answer]:
    return msgpack.decode(outcome.answers, type=list[Answer])


def test_a_repeated_frame_changes_nothing_and_gets_the_first_answers() -> None:
    place = Place()
    session = place.open()
    first = place.frame(session, 1, Put(b"k", b"v"))
    revision = place.machine.store.revision
    assert place.frame(session, 1, Put(b"k", b"other")) == first
    assert place.machine.store.revision == revision


def test_a_frame_that_comes_too_early_is_refused_and_changes_nothing() -> None:
    place = Place()
    session = place.open()
    outcome = place.frame(session, 2, Put(b"k", b"v"))
    assert outcome.code is Code.OUT_OF_ORDER
    assert "frame 2 came before frame 1" in outcome.message
    assert place.machine.store.revision == 1
    assert place.frame(session, 1, Put(b"k", b"v")).code is Code.OK


def test_a_frame_of_an_unknown_session_may_have_happened() -> None:
    assert Place().frame(99, 1, Put(b"k", b"v")).code is Code.SESSION_EXPIRED


def test_a_frame_whose_answers_the_client_said_it_has_is_not_applied_again() -> None:
    place = Place()
    session = place.open()
    place.frame(session, 1, Put(b"k", b"1"))
    place.frame(session, 2, Put(b"k", b"2"), acked=1)
    outcome = place.frame(session, 1, Put(b"k", b"again"))
    assert (outcome.code, place.machine.store.revision) == (Code.SESSION_EXPIRED, 3)


def test_a_silent_session_expires_by_the_clock_of_the_group() -> None:
    place = Place()
    old = place.open(0)
    place.open(SESSION_IDLE_MS_MAX + 1)
    assert place.frame(old, 1, Put(b"k", b"v")).code is Code.SESSION_EXPIRED


def test_what_was_flushed_is_there_after_a_restart_and_nothing_else() -> None:
    place = Place()
    session = place.open(5)
    first = place.frame(session, 1, Put(b"k", b"1"), time_ms=70)
    place.restart()
    machine = place.machine
    assert (machine.applied, machine.applied_term, machine.clock_ms) == (2, 3, 70)
    assert place.frame(session, 1, Put(b"k", b"again")) == first
    place.frame(session, 2, Put(b"k", b"2"))
    place.restart(is_flushed=False)
    assert (place.machine.applied, place.machine.store.revision) == (2, 2)
    assert answers(place.frame(session, 2, Put(b"k", b"2"))) == [PutDone(3)]


def test_the_clock_never_goes_back() -> None:
    place = Place()
    session = place.open(100)
    place.frame(session, 1, Put(b"k", b"v"), time_ms=40)
    assert place.machine.clock_ms == 100


def test_members_and_the_highest_number_are_kept() -> None:
    place = Place()
    assert (place.machine.configuration, place.machine.highest_node) == (FOUNDING, 4)
    larger = FOUNDING.with_learner(Member(NodeId(9), "i"))
    place.apply(larger.encode(), EntryKind.CONFIGURATION)
    place.apply(FOUNDING.encode(), EntryKind.CONFIGURATION)
    place.restart()
    assert (place.machine.configuration, place.machine.highest_node) == (FOUNDING, 9)


def test_what_needs_room_is_refused_when_the_leader_said_so() -> None:
    place = Place()
    session = place.open()
    (answer,) = answers(place.frame(session, 1, Put(b"k", b"v"), no_space=True))
    assert isinstance(answer, Failed)
    assert answer.code is Code.NO_SPACE


def test_an_entry_of_the_leader_itself_has_no_session() -> None:
    place = Place()
    assert answers(place.frame(0, 0, Put(b"k", b"v"))) == [PutDone(2)]


def test_entries_are_applied_in_order_and_each_once() -> None:
    place = Place()
    place.apply(kind=EntryKind.NOOP)
    with pytest.raises(InvariantError, match="entry 1 was to be applied after entry 1"):
        place.machine.apply(Index(1), Entry(Term(1)))
    with pytest.raises(InvariantError, match="entry 3 was to be applied after entry 1"):
        place.machine.apply(Index(3), Entry(Term(1)))


@pytest.mark.parametrize("data", [b"\xff", stamp(FrameEntry(0, False, 0, 0, 0, b"\xff"))])
def test_a_committed_entry_that_cannot_be_read_stops_the_replica(data: bytes) -> None:
    with pytest.raises(InvariantError, match="upgrade this node"):
        Place().apply(data)


def test_two_machines_with_other_restarts_hold_the_same() -> None:
    one, other = Place(), Place()
    for place in (one, other):
        session = place.open()
        for sequence in range(1, 30):
            place.frame(session, sequence, Put(b"k%d" % (sequence % 5), b"v"), acked=sequence - 2)
            if place is other and sequence % 7 == 0:
                place.restart()
        place.restart()
    tables = [[(table, *row) for table in range(16) for row in place.checkpoint.scan(table)] for place in (one, other)]
    assert tables[0] == tables[1]
