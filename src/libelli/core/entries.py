"""What a replicated log is made of, and the records that make it durable.

An entry's data is opaque to consensus: one client frame with the leader's stamp in front, encoded once; the
same bytes stand in the log, on the streams between nodes and in the hands of the state machine.
"""

from enum import IntEnum

from msgspec import Struct

from libelli.core.ids import Index, NodeId, Term
from libelli.core.members import Configuration


class EntryKind(IntEnum):
    """What an entry's data means."""

    NOOP = 0
    """Nothing: a new leader's first entry (Ongaro §6.4)."""
    COMMAND = 1
    """A stamped client frame, for the state machine."""
    CONFIGURATION = 2
    """An encoded `Configuration`, in force as soon as it stands in the log (Ongaro §4.1)."""


class Entry(Struct, frozen=True, array_like=True):
    """One entry; its index is its place in the log.

    Attributes:
        term: of the leader that made it.
        kind: what `data` means.
        data: opaque bytes.
    """

    term: Term
    kind: EntryKind = EntryKind.NOOP
    data: bytes = b""


class HardState(Struct, frozen=True, array_like=True, tag=1):
    """What a replica must remember before it speaks: its term, and its vote in it (0: none)."""

    term: Term = Term(0)
    voted_for: NodeId = NodeId(0)


class Entries(Struct, frozen=True, array_like=True, tag=2):
    """Entries from `first_index` on; whatever stood there or later in the log is gone."""

    first_index: Index
    entries: tuple[Entry, ...]


class LogStart(Struct, frozen=True, array_like=True, tag=3):
    """The log begins after `index`: all up to it is in the store, which is durable by itself.

    Attributes:
        index: the last index that the log lacks.
        term: the term of the entry that stood there.
        configuration: the one in force at `index`.
    """

    index: Index = Index(0)
    term: Term = Term(0)
    configuration: Configuration = Configuration(())


Record = HardState | Entries | LogStart
"""What `Persist` makes durable."""


class Recovered(Struct, frozen=True):
    """What a replica finds again when it starts; a fresh one gets its first configuration in `start`.

    Attributes:
        hard_state: the last one made durable.
        start: where the log begins.
        entries: all durable entries after `start.index`.
        applied: the store holds exactly what the log says up to here.
        applied_term: the term of the entry at `applied`.
        applied_configuration: the configuration in force at `applied`.
    """

    hard_state: HardState
    start: LogStart
    entries: tuple[Entry, ...]
    applied: Index
    applied_term: Term
    applied_configuration: Configuration
