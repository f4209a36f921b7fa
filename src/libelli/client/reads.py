"""The reads of one collection at one consistency: batches that may be sent as often as needed.

How many commands go into one frame, and how many frames are under way, follows from how large the answers were:
a frame of 4,096 small gets is fine, one of 4,096 gets of 1 MiB is not. The estimate rises at once and falls by
half with each frame. Where the answers to a frame have no room for all, the rest is asked again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from libelli.client.frames import ANSWERS_SIZE_AIM, COMMANDS_SIZE_MAX, answers_decoder
from libelli.client.outcomes import Verdict, never_sent, read_refused, unanswered_read, verdict_of
from libelli.client.queues import NEVER_MS, Batch, CommandQueue
from libelli.core.calls import Consistency, Done, Read, Refusal
from libelli.core.codec import encode
from libelli.core.errors import Code, CodecError
from libelli.core.limits import FRAME_COMMANDS_MAX, KIB, MIB
from libelli.stores.mvcc.commands import Answer, Failed

if TYPE_CHECKING:
    from libelli.client.connection import Connection
    from libelli.client.desk import Desk
    from libelli.client.directory import Directory
    from libelli.core.errors import CallError

ANSWERS_SIZE_MAX = 16 * MIB
"""What the answers to all frames under way should not exceed."""
FRAMES_MAX = 8
"""Frames under way; as the answers to each may grow to 8 MiB without a warning, not more."""
ANSWER_SIZE_FIRST = 256 * KIB
"""What the answer to one command is taken for before any is known."""


class ReadFrame:
    """A batch on its way; answers come back to it."""

    __slots__ = ("batch", "line")

    def __init__(self, line: ReadLine, batch: Batch) -> None:
        self.line = line
        self.batch = batch

    def on_reply(self, reply: Any, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_done(self, reply, connection)

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_refusal(self, refusal, connection)

    def on_lost(self, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_lost(self)


class ReadLine:
    """Reads that are alike in what they promise.

    Attributes:
        queue: what was never sent.
    """

    def __init__(self, desk: Desk, directory: Directory, *, collection: str, consistency: Consistency) -> None:
        self._desk = desk
        self._directory = directory
        self._collection = collection
        self._consistency = consistency
        self.queue = CommandQueue()
        self._again: deque[Batch] = deque()
        self._sent: dict[ReadFrame, None] = {}
        self._answer_size = ANSWER_SIZE_FIRST
        self._first_deadline_ms = NEVER_MS

    def dispatch(self) -> None:
        """Sends what can be sent now."""
        while (self._again or self.queue) and self._has_room():
            connection = self._connection()
            if connection is None:
                return
            if self._again:
                batch = self._again.popleft()
            else:
                count_max = max(1, min(FRAME_COMMANDS_MAX, ANSWERS_SIZE_AIM // self._answer_size))
                batch = self.queue.take(count_max=count_max, size_max=COMMANDS_SIZE_MAX)
            self._send(batch, connection)

    def _has_room(self) -> bool:
        """Returns whether one more frame may be under way."""
        expected = sum(len(frame.batch.commands) for frame in self._sent) * self._answer_size
        return len(self._sent) < FRAMES_MAX and expected < ANSWERS_SIZE_MAX

    def on_done(self, frame: ReadFrame, reply: Any, connection: Connection) -> None:
        """The first commands of a frame, or all, are answered."""
        if not isinstance(reply, Done):
            raise CodecError(f"{type(reply).__name__} in answer to Read")
        answers, batch = answers_decoder.decode(reply.answers), frame.batch
        if not 0 < len(answers) <= len(batch.commands):
            raise CodecError(f"{len(answers)} answers to {len(batch.commands)} commands")
        del self._sent[frame]
        del answers[_count_of_room(answers) :]
        self._answer_size = max(len(reply.answers) // len(answers) + 1, self._answer_size // 2)
        if len(answers) < len(batch.commands):
            self._again.append(batch.split(len(answers)))
        self._desk.complete(*batch.settle(answers))
        if self._consistency is Consistency.LINEARIZABLE:
            self._directory.on_success(self._collection, connection)

    def on_refusal(self, frame: ReadFrame, refusal: Refusal, connection: Connection) -> None:
        """A frame was not carried out."""
        del self._sent[frame]
        if verdict_of(refusal.code) in (Verdict.FINAL, Verdict.SESSION):
            self._desk.fail(frame.batch.release(), read_refused(refusal.code, refusal.message))
            return
        self._again.append(frame.batch)
        self._directory.on_refusal(self._collection, connection, refusal)

    def on_lost(self, frame: ReadFrame) -> None:
        """The connection went before the answer came."""
        del self._sent[frame]
        self._again.append(frame.batch)

    def expire(self) -> None:
        """Ends the calls whose time is over."""
        now_ms = self._desk.now_ms
        late = self.queue.give_up(now_ms)
        if late:
            code, reason = self._directory.why_waiting(self._collection)
            self._desk.fail(late, never_sent(code, reason))
        if self._first_deadline_ms <= now_ms:
            self._expire_sent()
        self._desk.wake(min(self._first_deadline_ms, self.queue.first_deadline_ms))

    def end(self, error: CallError) -> None:
        """Ends everything."""
        for batch in (*self._again, *(frame.batch for frame in self._sent)):
            self._desk.fail(batch.release(), error)
        self._desk.fail(self.queue.release(), error)
        self._again.clear()
        self._sent.clear()

    def _expire_sent(self) -> None:
        error = unanswered_read(f"no answer in time (collection {self._collection!r})")
        batches = [*self._again, *(frame.batch for frame in self._sent)]
        for batch in batches:
            self._desk.fail(batch.give_up(self._desk.now_ms), error)
        self._again = deque(batch for batch in self._again if batch.awaited)
        self._first_deadline_ms = min((batch.first_deadline_ms for batch in batches), default=NEVER_MS)

    def _connection(self) -> Connection | None:
        if self._consistency is Consistency.LINEARIZABLE:
            return self._directory.leader(self._collection)
        return self._directory.anybody(self._collection)

    def _send(self, batch: Batch, connection: Connection) -> None:
        frame = ReadFrame(self, batch)
        self._sent[frame] = None
        self._first_deadline_ms = min(self._first_deadline_ms, batch.first_deadline_ms)
        collection, consistency, commands = self._collection, self._consistency, encode(batch.commands)
        connection.call(frame, lambda call: Read(call, collection, consistency, commands), now_ms=self._desk.now_ms)


def _count_of_room(answers: list[Answer]) -> int:
    """Returns how many answers there was room for: the first one has all the room that a frame can have."""
    for position, answer in enumerate(answers):
        if position and type(answer) is Failed and answer.code is Code.TOO_LARGE:
            return position
    return len(answers)
