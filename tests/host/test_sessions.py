"""Sessions: a frame is known by its number for as long as its client may repeat it, and after every reload."""

import random

from libelli.core.ids import Index, SessionId
from libelli.core.limits import SESSION_ANSWERS_SIZE_MAX, SESSION_FRAMES_MAX, SESSION_IDLE_MS_MAX
from libelli.host.sessions import EXPIRED_AT_ONCE_MAX, Sessions
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.overlay import Overlay


class Place:
    """Sessions over an overlay; indexes count up by themselves."""

    def __init__(self, *, sessions_max: int = 10) -> None:
        self.overlay = Overlay(MemoryCheckpoint())
        self.sessions = Sessions(self.overlay, sessions_max=sessions_max)
        self.sessions_max = sessions_max
        self.index = 0

    def next(self) -> Index:
        self.index += 1
        return Index(self.index)

    def open(self, *, time_ms: int = 0) -> SessionId:
        return self.sessions.open(index=self.next(), time_ms=time_ms)

    def record(self, session: SessionId, sequence: int, *, acked: int = 0, time_ms: int = 0) -> None:
        self.sessions.record(
            session, sequence, b"answer %d" % sequence, acked=acked, index=self.next(), time_ms=time_ms
        )

    def reloaded(self) -> Sessions:
        return Sessions(self.overlay, sessions_max=self.sessions_max)


def last_of(sessions: Sessions, session: SessionId) -> int:
    found = sessions.find(session)
    return -1 if found is None else found.last


def test_a_session_is_named_by_its_entry() -> None:
    place = Place()
    place.next()
    assert place.open() == 2


def test_the_first_answers_are_given_again() -> None:
    place = Place()
    session = place.open()
    place.record(session, 1)
    place.record(session, 2)
    assert [place.sessions.answers(session, sequence) for sequence in (1, 2, 3)] == [b"answer 1", b"answer 2", None]


def test_large_answers_are_not_kept_but_that_the_frame_was_applied_is() -> None:
    place = Place()
    session = place.open()
    for sequence, size in ((1, SESSION_ANSWERS_SIZE_MAX), (2, SESSION_ANSWERS_SIZE_MAX + 1)):
        place.sessions.record(session, sequence, b"a" * size, acked=0, index=place.next(), time_ms=0)
    for sessions in (place.sessions, place.reloaded()):
        assert sessions.answers(session, 1) == b"a" * SESSION_ANSWERS_SIZE_MAX
        assert sessions.answers(session, 2) is None
        assert last_of(sessions, session) == 2


def test_few_sessions_go_at_once() -> None:
    place = Place(sessions_max=1_000)
    old = [place.open() for _ in range(3 * EXPIRED_AT_ONCE_MAX)]
    place.open(time_ms=SESSION_IDLE_MS_MAX + 1)
    assert [place.sessions.find(session) is None for session in old].count(True) == EXPIRED_AT_ONCE_MAX
    for _ in range(2):
        place.open(time_ms=SESSION_IDLE_MS_MAX + 1)
    assert all(place.sessions.find(session) is None for session in old)


def test_answers_that_the_client_has_are_forgotten() -> None:
    place = Place()
    session = place.open()
    for sequence in (1, 2, 3):
        place.record(session, sequence, acked=sequence - 1)
    assert [place.sessions.answers(session, sequence) for sequence in (1, 2, 3)] == [None, None, b"answer 3"]


def test_the_newest_frame_is_remembered_whatever_the_client_claims_to_have() -> None:
    place = Place()
    session = place.open()
    place.record(session, 1, acked=99)
    assert place.sessions.answers(session, 1) == b"answer 1"
    assert last_of(place.reloaded(), session) == 1


def test_a_session_remembers_no_more_frames_than_its_window() -> None:
    place = Place()
    session = place.open()
    for sequence in range(1, SESSION_FRAMES_MAX + 3):
        place.record(session, sequence)
    remembered = [place.sessions.answers(session, sequence) is not None for sequence in range(1, 5)]
    assert remembered == [False, False, True, True]


def test_the_session_that_was_silent_for_longest_goes_first() -> None:
    place = Place(sessions_max=2)
    first, second = place.open(), place.open()
    place.record(first, 1)
    third = place.open()
    assert [last_of(place.sessions, each) for each in (first, second, third)] == [1, -1, 0]
    assert place.sessions.answers(second, 0) is None


def test_a_silent_session_expires_when_another_is_opened() -> None:
    place = Place()
    old = place.open(time_ms=0)
    young = place.open(time_ms=SESSION_IDLE_MS_MAX)
    assert last_of(place.sessions, old) == 0
    place.open(time_ms=SESSION_IDLE_MS_MAX + 1)
    assert last_of(place.sessions, old) == -1
    assert last_of(place.sessions, young) == 0


def test_reloaded_sessions_go_in_the_same_order(seed: int) -> None:
    dice, place = random.Random(seed), Place(sessions_max=6)
    sequences: dict[SessionId, int] = {}
    for _ in range(300):
        known = [each for each in sorted(sequences) if place.sessions.find(each) is not None]
        if dice.random() < 0.2 or not known:
            sequences[place.open()] = 0
        else:
            session = dice.choice(known)
            sequences[session] += 1
            place.record(session, sequences[session], acked=dice.randint(0, sequences[session]))
        if dice.random() < 0.2:
            place.sessions = place.reloaded()
        for each in sorted(sequences):
            found = place.sessions.find(each)
            assert found is None or found.last == sequences[each]
    assert len(place.sessions) == 6
