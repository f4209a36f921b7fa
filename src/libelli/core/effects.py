"""Effects: all that a replica may ever want. Values only; the world carries them out, in the order given.

The loop that every world runs::

    effects = replica.step(event)
    for effect in effects:
        match effect:
            case Persist(ticket, records, then):   # write, sync, and only then:
                ...                                #   carry out `then`, step(Persisted(ticket, …))
            case Send(dest, payload): ...          # try; it may be lost, repeated, late
            case SetTimer(name, after_ms): ...
            case Commit(first_index, entries, waiters): ...   # apply in order, answer, step(Applied(…))
            ...

A message type whose class attribute `promises_durability` is true may stand only in a `then`; the world stops
on one that is sent outside it.
"""

from typing import Any

from msgspec import Struct

from libelli.core.entries import Entry, Record
from libelli.core.errors import Code
from libelli.core.ids import Index, NodeId, Term, Ticket, Waiter


class Send(Struct, frozen=True):
    """Try to deliver `payload` to the same group's replica on node `dest`."""

    dest: NodeId
    payload: Any


class Persist(Struct, frozen=True):
    """Make `records` durable, in order and after all earlier ones, before any effect in `then`.

    Answered by `Persisted`. Many may share one sync. An empty `records` still waits for all earlier ones.

    Attributes:
        ticket: grows with every Persist.
        records: for the log.
        then: what may leave once they are durable: mostly messages that promise it.
        term: the term of the last entry in `records` (0: none).
        last_index: the index of the last entry in `records` (0: none).
    """

    ticket: Ticket
    records: tuple[Record, ...]
    then: tuple[Send, ...]
    term: Term
    last_index: Index


class SetTimer(Struct, frozen=True):
    """Deliver `Timer(name)` once, `after_ms` from now; replaces the timer of that name."""

    name: str
    after_ms: int


class CancelTimer(Struct, frozen=True):
    """Never deliver the timer of that name, unless it is set again."""

    name: str


class Commit(Struct, frozen=True):
    """Apply `entries` from `first_index` on to the store, in order, each index once; answer `Applied`.

    Attributes:
        first_index: of the first entry; always one more than the last index committed before.
        entries: all committed.
        waiters: for each entry who waits for its answer (0: nobody).
    """

    first_index: Index
    entries: tuple[Entry, ...]
    waiters: tuple[Waiter, ...]


class Read(Struct, frozen=True):
    """Answer `waiters` from the store as soon as `index` is applied."""

    waiters: tuple[Waiter, ...]
    index: Index


class Load(Struct, frozen=True):
    """Bring back entries `first_index` … `last_index` from the log; answered by `Loaded`.

    At most `size_max` bytes of data, but at least one entry.
    """

    first_index: Index
    last_index: Index
    size_max: int


class InstallSnapshot(Struct, frozen=True):
    """Fetch a snapshot that reaches at least `index` from node `source`, replace the store by it durably.

    Answered by `SnapshotInstalled`. The transfer is paced by the fetching side, one chunk at a time.
    """

    source: NodeId
    index: Index


class AgainLater(Struct, frozen=True):
    """Deliver `Again(name)` soon, after what already waits: long work is cut into bounded steps."""

    name: str


class Reply(Struct, frozen=True):
    """Answer `waiter` with what needs no store.

    Attributes:
        waiter: of the request.
        code: OK, or why it was not taken, or that its outcome is unknown.
        message: one line for people; empty for OK.
        leader: whom to ask instead (0: unknown).
    """

    waiter: Waiter
    code: Code
    message: str = ""
    leader: NodeId = NodeId(0)


class Observe(Struct, frozen=True):
    """One record for the trace: something happened that the world cannot derive by itself."""

    kind: str
    fields: dict[str, Any]


Effect = Send | Persist | SetTimer | CancelTimer | Commit | Read | Load | InstallSnapshot | AgainLater | Reply | Observe
