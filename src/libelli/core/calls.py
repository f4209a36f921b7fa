"""What clients and nodes say to each other on a native session.

A session is one stream of frames (`codec.frame`). The first frame of each side is a `ClientHello` or a
`Welcome`; every later body is a MessagePack array of calls (client) or replies (node), many in one frame::

    client                                             node (the leader of the collection's group)
      ClientHello ───────────────────────────────────►
      ◄─────────────────────────────────── Welcome          who leads, where everybody is
      [OpenSession(call 1)] ─────────────────────────►
      ◄───────────────────── [SessionOpened(call 1, session)]
      [Write(2, session, sequence 1, …), Write(3, …)] ►      pipelined; one Write is one log entry
      [Read(4, …)] ──────────────────────────────────►
      ◄───────────────── [Done(2, answers), Done(4, answers)]   in any order

`commands` and `answers` travel as bytes: an encoded list of commands, encoded once by the client and decoded
only where it is applied; the answers likewise. A `Write` repeated with its session and sequence, on any
connection and to any leader, applies once and gets the first answer again (Ongaro §6.3).
"""

from enum import IntEnum

from msgspec import Struct

from libelli.core.codec import Decoder
from libelli.core.errors import Code
from libelli.core.ids import NodeId, Sequence, SessionId
from libelli.core.members import Member
from libelli.core.versions import OLDEST_WIRE_VERSION, WIRE_VERSION


class Consistency(IntEnum):
    """What a read promises."""

    LINEARIZABLE = 0
    """Nothing older than what was true when the read began."""
    SERIALIZABLE = 1
    """A state that was true at some time; answered by any node at once, also without a leader."""


class ClientHello(Struct, frozen=True, array_like=True):
    """A client's first frame. `cluster` is empty when it does not know which one it will meet."""

    cluster: str = ""
    oldest_wire: int = OLDEST_WIRE_VERSION
    newest_wire: int = WIRE_VERSION
    software: str = ""


class Collection(Struct, frozen=True, array_like=True):
    """A collection as this node knows it, and who leads its group (0: unknown)."""

    name: str
    consistency: str
    leader: NodeId


class Welcome(Struct, frozen=True, array_like=True):
    """A node's first frame; `code` other than OK: the session ends here and `message` says why."""

    cluster: str
    node: NodeId
    wire: int
    members: tuple[Member, ...] = ()
    collections: tuple[Collection, ...] = ()
    code: Code = Code.OK
    message: str = ""


# Calls. `call` is the client's number for the call on this connection; its reply carries it.


class OpenSession(Struct, frozen=True, array_like=True, tag=1):
    """Registers a session in the collection's group; answered by `SessionOpened`."""

    call: int
    collection: str


class Write(Struct, frozen=True, array_like=True, tag=2):
    """Commands that change something, applied in order; answered by `Done`.

    Attributes:
        session: from `SessionOpened`.
        sequence: of this frame in its session: 1, 2, 3, …
        acked: answers to all sequences up to here have arrived: the node may forget them.
        commands: an encoded list of commands.
    """

    call: int
    collection: str
    session: SessionId
    sequence: Sequence
    acked: int
    commands: bytes


class Read(Struct, frozen=True, array_like=True, tag=3):
    """Commands that only read; answered by `Done`."""

    call: int
    collection: str
    consistency: Consistency
    commands: bytes


class Watch(Struct, frozen=True, array_like=True, tag=4):
    """Wants every change of a key range from `start_revision` on (0: from now).

    Answered by `Watching`, then `Changes` with this call's number until `CancelWatch`, or by `Refusal`.
    """

    call: int
    collection: str
    key: bytes
    end: bytes = b""
    start_revision: int = 0
    previous: bool = False
    no_puts: bool = False
    no_deletes: bool = False
    progress: bool = False


class CancelWatch(Struct, frozen=True, array_like=True, tag=5):
    """Ends the watch that was opened by call `watch`; answered by `Done` with empty answers."""

    call: int
    watch: int


class KeepAlive(Struct, frozen=True, array_like=True, tag=6):
    """Begins a lease's time anew; answered by `KeptAlive`."""

    call: int
    collection: str
    lease: int


class GetStatus(Struct, frozen=True, array_like=True, tag=7):
    """Asks this node about itself; answered by `NodeStatus`, whoever leads."""

    call: int


class ChangeMember(Struct, frozen=True, array_like=True, tag=8):
    """`action` is add, promote, remove or transfer; answered by `Done` with empty answers.

    `member.node` 0 lets the leader choose a number for an added member; its answer is then an encoded Member.
    """

    call: int
    action: str
    member: Member


class ReadSnapshot(Struct, frozen=True, array_like=True, tag=9):
    """The next chunk of a consistent copy of everything; answered by `SnapshotPart`.

    `transfer` 0 begins one; later calls name it and the cursor of the part before.
    """

    call: int
    transfer: int = 0
    cursor: bytes = b""


class ReadDigest(Struct, frozen=True, array_like=True, tag=10):
    """Asks this node for a hash over its items at a revision; answered by `Digest`.

    Attributes:
        revision: 0: the newest that this node has.
        start: the first key.
        keys: at most so many keys.
    """

    call: int
    collection: str
    revision: int
    start: bytes = b""
    keys: int = 1000


Call = (
    OpenSession | Write | Read | Watch | CancelWatch | KeepAlive | GetStatus | ChangeMember | ReadSnapshot | ReadDigest
)


# Replies.


class SessionOpened(Struct, frozen=True, array_like=True, tag=1):
    """Answers `OpenSession`."""

    call: int
    session: SessionId


class Done(Struct, frozen=True, array_like=True, tag=2):
    """The call was carried out; `answers` is an encoded list, one for each command."""

    call: int
    answers: bytes


class Refusal(Struct, frozen=True, array_like=True, tag=3):
    """The call as a whole ended with `code`, which says whether it may have happened.

    Attributes:
        leader: whom to ask instead (0: unknown).
        compact_revision: for a watch that starts too far back: the first revision that can be watched.
    """

    call: int
    code: Code
    message: str
    leader: NodeId = NodeId(0)
    compact_revision: int = 0


class Watching(Struct, frozen=True, array_like=True, tag=4):
    """Answers `Watch`; changes follow. `revision` is the store's when the watch began."""

    call: int
    revision: int


class Changes(Struct, frozen=True, array_like=True, tag=5):
    """Changes for a watch, whole revisions, in order; without events it only says how far the watch is.

    Attributes:
        call: of the `Watch`.
        revision: every change up to here has been sent.
        events: an encoded list of the store's watch events.
    """

    call: int
    revision: int
    events: bytes


class KeptAlive(Struct, frozen=True, array_like=True, tag=6):
    """Answers `KeepAlive`; `ttl_s` 0: the lease is not there."""

    call: int
    ttl_s: int


class GroupStatus(Struct, frozen=True, array_like=True):
    """One replica of a group, as its node sees it.

    Attributes:
        lag: entries that the leader has and this replica has not applied (-1: unknown).
        size_bytes: keys, values and history.
    """

    group: int
    collection: str
    role: str
    term: int
    leader: NodeId
    commit: int
    applied: int
    first_index: int
    last_index: int
    lag: int
    revision: int
    compact_revision: int
    size_bytes: int
    voters: tuple[Member, ...]
    learners: tuple[Member, ...]


class NodeStatus(Struct, frozen=True, array_like=True, tag=7):
    """Answers `GetStatus`.

    Attributes:
        process: the operating system's process id.
        alarms: what an operator should look at, one line each.
    """

    call: int
    node: NodeId
    name: str
    region: str
    cluster: str
    process: int
    version: str
    uptime_ms: int
    groups: tuple[GroupStatus, ...]
    alarms: tuple[str, ...] = ()


class SnapshotPart(Struct, frozen=True, array_like=True, tag=8):
    """Answers `ReadSnapshot`; an empty `cursor` marks the last part. `data` parts joined are the file."""

    call: int
    transfer: int
    cursor: bytes
    data: bytes


class Digest(Struct, frozen=True, array_like=True, tag=9):
    """Answers `ReadDigest`; `following` is the first key that was not counted (empty: there is none)."""

    call: int
    revision: int
    digest: bytes
    keys: int
    following: bytes = b""


Reply = SessionOpened | Done | Refusal | Watching | Changes | KeptAlive | NodeStatus | SnapshotPart | Digest

client_hello_decoder: Decoder[ClientHello] = Decoder(ClientHello, name="client hello")
welcome_decoder: Decoder[Welcome] = Decoder(Welcome, name="welcome")
calls_decoder: Decoder[list[Call]] = Decoder(list[Call], name="calls")
replies_decoder: Decoder[list[Reply]] = Decoder(list[Reply], name="replies")
