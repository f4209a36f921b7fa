"""The writes of one collection: a session, its frames in flight, and what happens when they are not answered.

::

    queue ──► frame 7, 8, 9 … ──► on the wire ──► answered: the window moves (`acked`)
                  ▲                    │
                  │                    ├── refused, or the connection is lost: nothing more is sent until all
                  └── sent again ──────┘   frames on the wire have been settled; then from the oldest on, in order
                      same sequence

A frame is *uncertain* once some sending of it may have reached the log. What is not uncertain did not happen:
it can be taken back when its time is over, and moves to a new session when the old one has expired.

Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014, §6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libelli.client.frames import ANSWERS_SIZE_AIM, COMMANDS_SIZE_MAX, Opening, WriteFrame, answers_decoder
from libelli.client.outcomes import Verdict, never_sent, refused, unanswered_write, verdict_of
from libelli.client.queues import NEVER_MS, CommandQueue
from libelli.core.calls import Done, OpenSession, Refusal, SessionOpened, Write
from libelli.core.errors import CallError, Code, CodecError
from libelli.core.ids import NO_SESSION, Sequence, SessionId
from libelli.core.limits import FRAME_COMMANDS_MAX, SESSION_IDLE_MS_MAX

if TYPE_CHECKING:
    from libelli.client.connection import Connection
    from libelli.client.desk import Desk
    from libelli.client.directory import Directory


class WriteLine:
    """All writes of one collection, in the order of submission.

    Attributes:
        queue: what is not in a frame yet.
        opening: a session has been asked for.
    """

    def __init__(self, desk: Desk, directory: Directory, *, collection: str) -> None:
        self._desk = desk
        self._directory = directory
        self._collection = collection
        self.queue = CommandQueue()
        self.opening = False
        self._session: SessionId = NO_SESSION
        self._used_ms = 0
        self._next_sequence = 1
        self._frames: dict[int, WriteFrame] = {}
        """Not answered yet; in the order of their sequences."""
        self._connection: Connection | None = None
        """Where the frames on the wire are."""
        self._on_wire = 0
        self._bytes = 0
        self._answer_size = 1
        """About the largest that commands of late were answered with; those of one frame share what there is."""
        self._behind = False
        """Some frame must be sent again; nothing is sent before all on the wire are settled."""
        self._broken = False
        """The session is gone."""
        self._first_deadline_ms = NEVER_MS
        self._gather_until_ms = NEVER_MS

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self._frames and not self.queue

    # -- sending ------------------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Sends what can be sent now."""
        if self.idle or self.opening:
            return
        connection = self._directory.leader(self._collection)
        if connection is None:
            return
        if self._on_wire and (self._behind or self._broken or connection is not self._connection):
            return
        if self._broken or self._is_stale():
            self._leave_session()
        if self._session == NO_SESSION:
            self._open(connection)
            return
        self._connection = connection
        if self._behind:
            self._behind = False
            for frame in self._frames.values():
                self._send(frame, connection)
        self._send_new(connection)

    def _is_stale(self) -> bool:
        """Whether a session was silent for so long that the group may forget it any moment."""
        silent_ms = self._desk.now_ms - self._used_ms
        return self._session != NO_SESSION and not self._frames and silent_ms > SESSION_IDLE_MS_MAX // 2

    def _open(self, connection: Connection) -> None:
        if self.idle:  # leaving the old session has ended what there was
            return
        self.opening = True
        collection = self._collection
        connection.call(Opening(self), lambda call: OpenSession(call, collection), now_ms=self._desk.now_ms)

    def _send_new(self, connection: Connection) -> None:
        options = self._desk.options
        while self.queue:
            first = next(iter(self._frames), self._next_sequence)
            if self._next_sequence - first >= options.window_frames:
                return
            size = min(self.queue.bytes, COMMANDS_SIZE_MAX)
            if self._frames and self._bytes + size > options.window_bytes:
                return
            if len(self._frames) >= options.eager_frames and self._gathers():
                return
            self._gather_until_ms = NEVER_MS
            count_max = max(1, min(FRAME_COMMANDS_MAX, ANSWERS_SIZE_AIM // self._answer_size))
            batch = self.queue.take(count_max=count_max, size_max=COMMANDS_SIZE_MAX)
            frame = WriteFrame(self, batch, self._next_sequence)
            self._next_sequence += 1
            self._frames[frame.sequence] = frame
            self._bytes += batch.size_bytes
            self._first_deadline_ms = min(self._first_deadline_ms, batch.first_deadline_ms)
            self._send(frame, connection)

    def _gathers(self) -> bool:
        """Whether few commands should wait for more: a small frame costs a node as much as a large one."""
        if self.queue.bytes >= self._desk.options.gather_bytes:
            return False
        now_ms = self._desk.now_ms
        self._gather_until_ms = min(self._gather_until_ms, now_ms + self._desk.options.gather_ms)
        if self._gather_until_ms <= now_ms:
            return False
        self._desk.wake(self._gather_until_ms)
        return True

    def _send(self, frame: WriteFrame, connection: Connection) -> None:
        frame.on_wire = True
        self._on_wire += 1
        self._used_ms = self._desk.now_ms
        sequence, acked = Sequence(frame.sequence), next(iter(self._frames)) - 1
        collection, session, commands = self._collection, self._session, frame.commands()
        connection.call(
            frame,
            lambda call: Write(call, collection, session, sequence, acked, commands),
            now_ms=self._desk.now_ms,
        )

    # -- answers ------------------------------------------------------------------------------------------

    def on_opened(self, reply: Any, connection: Connection) -> None:
        """The group has registered a session."""
        if not isinstance(reply, SessionOpened) or reply.session <= NO_SESSION:
            raise CodecError(f"{reply} in answer to OpenSession")
        self.opening = False
        self._session, self._used_ms = reply.session, self._desk.now_ms
        self._directory.on_success(self._collection, connection)

    def on_not_opened(self, refusal: Refusal, connection: Connection) -> None:
        """No session, so nothing that waits has been sent."""
        self.opening = False
        if verdict_of(refusal.code) is not Verdict.FINAL:
            self._directory.on_refusal(self._collection, connection, refusal)
            return
        error = refused(refusal.code, refusal.message)
        for frame in list(self._frames.values()):
            self._fail(frame, error)
        self._desk.fail(self.queue.release(), error)

    def on_done(self, frame: WriteFrame, reply: Any, connection: Connection) -> None:
        """A frame was applied, now or before."""
        if not isinstance(reply, Done):
            raise CodecError(f"{type(reply).__name__} in answer to Write")
        batch = frame.batch
        if batch.awaited:
            answers = answers_decoder.decode(reply.answers)
            if len(answers) != len(batch.commands):
                raise CodecError(f"{len(answers)} answers to {len(batch.commands)} commands")
            self._desk.complete(*batch.settle(answers))
            if answers:
                self._answer_size = max(len(reply.answers) // len(answers) + 1, self._answer_size // 2)
        self._settle(frame)
        self._remove(frame)
        self._directory.on_success(self._collection, connection)

    def on_refusal(self, frame: WriteFrame, refusal: Refusal, connection: Connection) -> None:
        """A frame was not taken, or its fate is unknown to the node."""
        self._settle(frame)
        verdict = verdict_of(refusal.code)
        if verdict is Verdict.SESSION:
            self._broken = True
            if frame.uncertain:
                self._fail(frame, unanswered_write(refusal.message, code=Code.SESSION_EXPIRED))
            return
        frame.uncertain = frame.uncertain or verdict is Verdict.UNCERTAIN
        if verdict is not Verdict.FINAL:
            self._behind = True
            self._directory.on_refusal(self._collection, connection, refusal)
            return
        if frame.uncertain:
            error = unanswered_write(refusal.message, code=Code.LEADER_CHANGED)
        else:
            error = refused(refusal.code, refusal.message)
        self._desk.fail(frame.batch.release(), error)
        # its sequence stays empty, and later frames would wait for it for ever
        self._broken = True
        self._remove(frame)

    def on_lost(self, frame: WriteFrame) -> None:
        """The connection went before the answer came."""
        self._settle(frame)
        frame.uncertain = True
        self._behind = True

    # -- time ---------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Ends the calls whose time is over."""
        now_ms = self._desk.now_ms
        late = self.queue.give_up(now_ms)
        if late:
            self._desk.fail(late, self._never_sent())
        if self._first_deadline_ms <= now_ms:
            for frame in list(self._frames.values()):
                self._expire_frame(frame)
            deadlines = (frame.batch.first_deadline_ms for frame in self._frames.values())
            self._first_deadline_ms = min(deadlines, default=NEVER_MS)
        self._desk.wake(min(self._first_deadline_ms, self.queue.first_deadline_ms))

    def end(self, error: CallError) -> None:
        """Ends everything; `error` is for what was never sent."""
        self._desk.fail(self.queue.release(), error)
        for frame in list(self._frames.values()):
            certain = not (frame.on_wire or frame.uncertain)
            self._fail(frame, error if certain else unanswered_write(str(error), code=Code.CONNECTION_LOST))

    def _expire_frame(self, frame: WriteFrame) -> None:
        late = frame.batch.give_up(self._desk.now_ms)
        if not late:
            return
        if frame.on_wire or frame.uncertain:
            where = f"collection {self._collection!r}, frame {frame.sequence}"
            self._desk.fail(late, unanswered_write(f"no answer in time ({where})"))
            return
        self._desk.fail(late, self._never_sent())
        self._bytes -= frame.batch.size_bytes
        frame.batch.drop_unawaited()
        frame.encoded = b""
        self._bytes += frame.batch.size_bytes

    def _never_sent(self) -> CallError:
        code, reason = self._directory.why_waiting(self._collection)
        return never_sent(code, reason)

    # -- inside -------------------------------------------------------------------------------------------

    def _settle(self, frame: WriteFrame) -> None:
        if frame.on_wire:
            frame.on_wire = False
            self._on_wire -= 1

    def _remove(self, frame: WriteFrame) -> None:
        if self._frames.pop(frame.sequence, None) is not None:
            self._bytes -= frame.batch.size_bytes

    def _fail(self, frame: WriteFrame, error: CallError) -> None:
        self._desk.fail(frame.batch.release(), error)
        self._settle(frame)
        self._remove(frame)

    def _leave_session(self) -> None:
        """Lets a session go: what may have been applied in it is told so, the rest begins anew."""
        kept = []
        for frame in list(self._frames.values()):
            if frame.uncertain:
                message = "the session expired before an answer came"
                self._fail(frame, unanswered_write(message, code=Code.SESSION_EXPIRED))
            elif frame.batch.awaited and frame.batch.commands:
                kept.append(frame)
            else:
                self._remove(frame)
        for sequence, frame in enumerate(kept, start=1):
            frame.sequence = sequence
        self._frames = {frame.sequence: frame for frame in kept}
        self._next_sequence = len(kept) + 1
        self._session = NO_SESSION
        self._broken, self._behind = False, bool(kept)
