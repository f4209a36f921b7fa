"""The state machine of a strong collection: applies log entries to the store, each exactly once.

::

    entry ─► stamp ─► session ─► known frame?  yes: the first answers again
                                     no: store.apply(commands) ─► answers ─► remembered with the frame

All state is in one engine: the store's tables, the sessions, and what this module adds::

    META   "applied"         index u64 | term u64 | clock u64
           "configuration"   the one in force at "applied"
           "highest node"    the largest node number that was ever a member
"""

import struct
from collections.abc import Sequence

from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code, CodecError, InvariantError
from libelli.core.ids import Index, NodeId, SessionId, Term
from libelli.core.members import Configuration, decode_configuration
from libelli.host.sessions import Sessions
from libelli.host.stamps import FrameEntry, SessionEntry, decode_stamped
from libelli.stores.engine import Checkpoint, Reader, Run
from libelli.stores.mvcc.commands import Answer, Command
from libelli.stores.mvcc.store import Store
from libelli.stores.overlay import Overlay

META = 9
"""The table."""

_APPLIED = struct.Struct(">QQQ")

commands_decoder: Decoder[list[Command]] = Decoder(list[Command], name="commands")


class Outcome(Struct, frozen=True):
    """What became of an entry, for whoever waits for it.

    Attributes:
        code: OK: `answers` holds the encoded answers, or `session` the opened session.
        message: for a code other than OK.
    """

    code: Code = Code.OK
    message: str = ""
    answers: bytes = b""
    session: SessionId = SessionId(0)


NOTHING = Outcome()


class Position(Struct, frozen=True):
    """How far a checkpoint is.

    Attributes:
        index: of the last entry in it.
        term: of that entry.
        clock_ms: the group's clock there.
        configuration: in force there.
    """

    index: Index
    term: Term
    clock_ms: int
    configuration: Configuration


def read_position(reader: Reader) -> Position:
    """Returns how far the tables in `reader` are; an empty checkpoint is at 0."""
    applied = reader.get(META, b"applied")
    if applied is None:
        return Position(Index(0), Term(0), 0, Configuration(()))
    index, term, clock_ms = _APPLIED.unpack(applied)
    configuration = reader.get(META, b"configuration")
    return Position(index, term, clock_ms, decode_configuration(configuration or b""))


def position_items(position: Position) -> list[tuple[bytes, bytes]]:
    """Returns the items of the META table that say `position`, in key order."""
    applied = _APPLIED.pack(position.index, position.term, position.clock_ms)
    return [(b"applied", applied), (b"configuration", position.configuration.encode())]


class Machine:
    """Applies entries to one group's store.

    Args:
        checkpoint: the durable tables.
        founding: the configuration to begin with when the tables are empty.
    """

    def __init__(self, checkpoint: Checkpoint, *, founding: Configuration) -> None:
        self.overlay = Overlay(checkpoint)
        self._founding = founding
        self.reload()

    def reload(self) -> None:
        """Reads everything again from the tables, after they were replaced by a snapshot."""
        position = read_position(self.overlay)
        self.applied = position.index
        self.applied_term = position.term
        self.clock_ms = position.clock_ms
        self.configuration = position.configuration if position.index else self._founding
        highest = self.overlay.get(META, b"highest node")
        self.highest_node = NodeId(int(highest)) if highest else max(self.configuration.nodes, default=NodeId(0))
        self.sessions = Sessions(self.overlay)
        self.store = Store(self.overlay)

    def apply(self, index: Index, entry: Entry, commands: Sequence[Command] | None = None) -> Outcome:
        """Applies the entry at `index`, which must be the next one.

        Args:
            index: of the entry.
            entry: committed.
            commands: those of the entry, when they are decoded already.

        Raises:
            InvariantError: the entry is not the next, or cannot be read; the replica must stop.
        """
        if index != self.applied + 1:
            raise InvariantError(f"entry {index} was to be applied after entry {self.applied}")
        outcome = NOTHING
        if entry.kind is EntryKind.COMMAND:
            outcome = self._apply_stamped(index, entry.data, commands)
        elif entry.kind is EntryKind.CONFIGURATION:
            self._adopt(decode_configuration(entry.data))
        self.applied = index
        self.applied_term = entry.term
        return outcome

    def freeze(self) -> Sequence[Run]:
        """Returns everything since the last flush as one generation for the checkpoint."""
        position = Position(self.applied, self.applied_term, self.clock_ms, self.configuration)
        for key, value in position_items(position):
            self.overlay.put(META, key, value)
        self.overlay.put(META, b"highest node", b"%d" % self.highest_node)
        return self.overlay.freeze()

    def _adopt(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.highest_node = max((self.highest_node, *configuration.nodes))

    def _apply_stamped(self, index: Index, data: bytes, commands: Sequence[Command] | None) -> Outcome:
        stamped = decode_stamped(data)
        self.clock_ms = max(self.clock_ms, stamped.time_ms)
        if isinstance(stamped, SessionEntry):
            return Outcome(session=self.sessions.open(index=index, time_ms=self.clock_ms))
        if stamped.session == 0:
            return Outcome(answers=encode(self._run(stamped, commands)))
        return self._apply_frame(index, stamped, commands)

    def _apply_frame(self, index: Index, frame: FrameEntry, commands: Sequence[Command] | None) -> Outcome:
        session_id = SessionId(frame.session)
        session = self.sessions.find(session_id)
        if session is None:
            return Outcome(
                Code.SESSION_EXPIRED,
                f"session {session_id} has expired: frame {frame.sequence} may have been applied before",
            )
        if frame.sequence <= session.last:
            answers = self.sessions.answers(session_id, frame.sequence)
            if answers is None:
                return Outcome(Code.SESSION_EXPIRED, f"frame {frame.sequence} was applied, its answers are forgotten")
            return Outcome(answers=answers)
        if frame.sequence != session.last + 1:
            return Outcome(
                Code.OUT_OF_ORDER, f"frame {frame.sequence} came before frame {session.last + 1}: send that first"
            )
        answers = encode(self._run(frame, commands))
        self.sessions.record(session_id, frame.sequence, answers, acked=frame.acked, index=index, time_ms=self.clock_ms)
        return Outcome(answers=answers)

    def _run(self, frame: FrameEntry, commands: Sequence[Command] | None) -> list[Answer]:
        if commands is None:
            try:
                commands = commands_decoder.decode(frame.commands)
            except CodecError as error:
                raise InvariantError(f"committed commands cannot be read ({error}): upgrade this node") from error
        return self.store.apply(commands, no_space=frame.no_space)
