"""Client sessions: a repeated frame is applied once and answered as the first time.

Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014, §6.3.

Kept in the store's own tables, so that it is in every checkpoint and snapshot::

    SESSIONS   session u64 | sequence u64  ->  index u64 | time u64 | answers

The record of the newest frame is always there; older ones stay until the client has their answers. Large answers
(of transactions that read) are not kept, or clients could fill every replica with them: only that they were given.
Sessions that were silent for longest go first when there are too many, by the order of the log, so alike everywhere.
"""

import struct
from collections import OrderedDict

from libelli.core.ids import Index, SessionId
from libelli.core.limits import SESSION_ANSWERS_SIZE_MAX, SESSION_FRAMES_MAX, SESSION_IDLE_MS_MAX, SESSIONS_MAX
from libelli.stores.engine import Engine

SESSIONS = 8
"""The table."""

EXPIRED_AT_ONCE_MAX = 16
"""Sessions that go when one is opened; the next ones that are opened let the rest go."""

_KEY = struct.Struct(">QQ")
_VALUE = struct.Struct(">QQ")


class Session:
    """What is known of one session; the answers are in the table."""

    __slots__ = ("first", "index", "last", "time_ms")

    def __init__(self, *, index: Index, time_ms: int) -> None:
        self.first = 0
        """The oldest sequence that has a record."""
        self.last = 0
        """The newest sequence that was applied."""
        self.index = index
        """The log index of its newest frame."""
        self.time_ms = time_ms
        """The group's clock at its newest frame."""


class Sessions:
    """All sessions of a group, least recently used first."""

    def __init__(self, engine: Engine, *, sessions_max: int = SESSIONS_MAX) -> None:
        self._engine = engine
        self._sessions_max = sessions_max
        self._sessions: OrderedDict[SessionId, Session] = OrderedDict()
        self.load()

    def __len__(self) -> int:
        return len(self._sessions)

    def load(self) -> None:
        """Reads everything back from the table."""
        found: dict[SessionId, Session] = {}
        for key, value in self._engine.scan(SESSIONS):
            session_id, sequence = _KEY.unpack(key)
            index, time_ms = _VALUE.unpack_from(value)
            session = found.get(session_id)
            if session is None:
                session = found[session_id] = Session(index=index, time_ms=time_ms)
                session.first = sequence
            session.last, session.index, session.time_ms = sequence, index, time_ms
        ordered = sorted(found.items(), key=lambda item: item[1].index)
        self._sessions = OrderedDict(ordered)

    def open(self, *, index: Index, time_ms: int) -> SessionId:
        """Registers a session named by the index of its entry; lets the oldest ones go."""
        session_id = SessionId(index)
        self._sessions[session_id] = Session(index=index, time_ms=time_ms)
        self._engine.put(SESSIONS, _KEY.pack(session_id, 0), _VALUE.pack(index, time_ms))
        self._expire(time_ms)
        return session_id

    def find(self, session_id: SessionId) -> Session | None:
        """Returns the session, or None when it was never opened or has expired."""
        return self._sessions.get(session_id)

    def answers(self, session_id: SessionId, sequence: int) -> bytes | None:
        """Returns the answers to a frame that was applied before, or None when they are gone or were too large."""
        value = self._engine.get(SESSIONS, _KEY.pack(session_id, sequence))
        return None if value is None else value[_VALUE.size :] or None

    def record(
        self, session_id: SessionId, sequence: int, answers: bytes, *, acked: int, index: Index, time_ms: int
    ) -> None:
        """Remembers the answers to a new frame, and forgets those that the client has."""
        session = self._sessions[session_id]
        self._sessions.move_to_end(session_id)
        engine = self._engine
        kept = answers if len(answers) <= SESSION_ANSWERS_SIZE_MAX else b""
        engine.put(SESSIONS, _KEY.pack(session_id, sequence), _VALUE.pack(index, time_ms) + kept)
        session.last, session.index, session.time_ms = sequence, index, time_ms
        keep = min(max(acked + 1, sequence - SESSION_FRAMES_MAX + 1), sequence)
        while session.first < keep:
            engine.delete(SESSIONS, _KEY.pack(session_id, session.first))
            session.first += 1

    def _expire(self, time_ms: int) -> None:
        for _ in range(min(EXPIRED_AT_ONCE_MAX, len(self._sessions))):
            session_id, session = next(iter(self._sessions.items()))
            if len(self._sessions) <= self._sessions_max and time_ms - session.time_ms <= SESSION_IDLE_MS_MAX:
                return
            del self._sessions[session_id]
            for sequence in range(session.first, session.last + 1):
                self._engine.delete(SESSIONS, _KEY.pack(session_id, sequence))
