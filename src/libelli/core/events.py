"""Events: all that a replica may ever know.

Every event carries `now_ms`, the world's monotonic time in milliseconds. It only ever grows for one replica;
clocks of two nodes are never compared.
"""

from typing import Any

from msgspec import Struct

from libelli.core.entries import Entry
from libelli.core.ids import Index, NodeId, Term, Ticket, Waiter
from libelli.core.members import Configuration, Member


class Started(Struct, frozen=True):
    """The first event of every life of a replica."""

    now_ms: int


class Message(Struct, frozen=True):
    """`payload`, a decoded message of the replica's protocol, came from node `source`."""

    now_ms: int
    source: NodeId
    payload: Any


class Timer(Struct, frozen=True):
    """The timer `name`, set by `SetTimer`, is due."""

    now_ms: int
    name: str


class Propose(Struct, frozen=True):
    """A client wants `data` in the log."""

    waiter: Waiter
    data: bytes


class Query(Struct, frozen=True):
    """A client wants to read what is true now (linearizable)."""

    waiter: Waiter


class AddLearner(Struct, frozen=True):
    """An operator adds a member that follows without a vote."""

    waiter: Waiter
    member: Member


class PromoteLearner(Struct, frozen=True):
    """An operator gives a learner that has caught up its vote."""

    waiter: Waiter
    node: NodeId


class RemoveMember(Struct, frozen=True):
    """An operator removes a member."""

    waiter: Waiter
    node: NodeId


class TransferLeadership(Struct, frozen=True):
    """An operator wants `target` to lead; 0 means the one that is furthest."""

    waiter: Waiter
    target: NodeId


Request = Propose | Query | AddLearner | PromoteLearner | RemoveMember | TransferLeadership


class Requests(Struct, frozen=True):
    """What clients and operators asked for since the last step, in the order of arrival."""

    now_ms: int
    batch: tuple[Request, ...]


class Persisted(Struct, frozen=True):
    """The records of `Persist(ticket, …)` are durable, and so are those of all earlier tickets.

    Attributes:
        ticket: of the Persist.
        term: the term of the entry at `last_index` when it was written (0: it held no entries).
        last_index: the last index that it wrote (0: it held no entries).
    """

    now_ms: int
    ticket: Ticket
    term: Term
    last_index: Index


class Applied(Struct, frozen=True):
    """The store holds all entries up to `index`."""

    now_ms: int
    index: Index


class Checkpointed(Struct, frozen=True):
    """The store is durable by itself up to `index`: the log may forget what lies before it."""

    now_ms: int
    index: Index


class Loaded(Struct, frozen=True):
    """Answers `Load`: entries from `first_index` on, perhaps fewer than asked for; empty: gone."""

    now_ms: int
    first_index: Index
    entries: tuple[Entry, ...]


class SnapshotInstalled(Struct, frozen=True):
    """Answers `InstallSnapshot`.

    Attributes:
        index: the store now holds exactly the state at this index, durably (0: the transfer failed).
        term: the term of the entry at `index`.
        configuration: in force at `index`.
    """

    now_ms: int
    index: Index
    term: Term
    configuration: Configuration


class Again(Struct, frozen=True):
    """Answers the effect of the same name: go on with the work called `name`."""

    now_ms: int
    name: str


Event = Started | Message | Timer | Requests | Persisted | Applied | Checkpointed | Loaded | SnapshotInstalled | Again
