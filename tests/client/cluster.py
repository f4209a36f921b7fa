"""A small cluster that speaks the client's protocol: sessions answer once, one node leads, the store is a dict.

It has no consensus and no disk; whoever leads has everything. Tests say what goes wrong: who leads, who is down,
and with `mood` what a node answers instead of doing its work.
"""

from collections.abc import Callable

from libelli.core.calls import (
    Call,
    CancelWatch,
    Changes,
    ClientHello,
    Collection,
    Done,
    GetStatus,
    GroupStatus,
    KeepAlive,
    KeptAlive,
    NodeStatus,
    OpenSession,
    Read,
    Refusal,
    Reply,
    SessionOpened,
    Watch,
    Watching,
    Welcome,
    Write,
    calls_decoder,
    client_hello_decoder,
)
from libelli.core.codec import Decoder, encode
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION, NodeId, SessionId
from libelli.core.members import Member
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    Answer,
    Command,
    Failed,
    KeyValue,
    LeaseDone,
    LeaseGrant,
    Put,
    PutDone,
    Range,
    RangeDone,
    WatchEvent,
)

commands_decoder: Decoder[list[Command]] = Decoder(list[Command], name="commands")


class Silence:
    """Instead of a reply: the call is done, and nobody hears of it."""


class Deafness:
    """Instead of a reply: the call is neither done nor answered."""


Mood = Callable[[int, Call], Reply | Silence | Deafness | None]


def member(node: int) -> Member:
    return Member(NodeId(node), f"n{node}", client_address=f"host{node}:1")


class FakeCluster:
    """Attributes:
    leader: who leads; 0 nobody.
    applied: every put, in order.
    cut_off: nodes that hear of no leader.
    frames: (session, sequence) of every Write that arrived, in order.
    """

    def __init__(self, *, nodes: int = 3, leader: int = 1, name: str = "c" * 32) -> None:
        self.name = name
        self.members = tuple(member(node) for node in range(1, nodes + 1))
        self.leader = leader
        self.mood: Mood = lambda _node, _call: None
        self.applied: list[Put] = []
        self.frames: list[tuple[int, int]] = []
        self.sessions: dict[int, dict[int, bytes]] = {}
        self.opened = 0
        self.items: dict[bytes, KeyValue] = {}
        self.history: list[WatchEvent] = []
        self.revision = 1
        self.compact_revision = 0
        self.calls: list[tuple[int, Call]] = []
        self.cut_off: set[int] = set()
        self.watches: dict[tuple[int, int], Watch] = {}

    def welcome(self, node: int, body: bytes) -> bytes:
        """Greets a client."""
        hello: ClientHello = client_hello_decoder.decode(body)
        if hello.cluster and hello.cluster != self.name:
            refusal = Welcome(self.name, NodeId(node), 0, code=Code.INVALID, message=f"this is {self.name}")
            return encode(refusal)
        collections = (Collection(DEFAULT_COLLECTION, "strong", NodeId(self.leader)),)
        return encode(Welcome(self.name, NodeId(node), 1, self.members, collections))

    def take(self, node: int, connection: int, body: bytes) -> list[Reply]:
        """Does what one frame asks of a node."""
        replies: list[Reply] = []
        for call in calls_decoder.decode(body):
            self.calls.append((node, call))
            answer = self.mood(node, call)
            if isinstance(answer, Deafness):
                continue
            if isinstance(answer, Silence):
                self.reply(node, connection, call)
                continue
            replies += [answer] if answer is not None else self.reply(node, connection, call)
        return replies

    def reply(self, node: int, connection: int, call: Call) -> list[Reply]:
        match call:
            case GetStatus(number):
                return [self.status(node, number)]
            case CancelWatch(number, watch):
                self.watches.pop((connection, watch), None)
                return [Done(number, encode([]))]
            case _ if node != self.leader:
                code = Code.NOT_LEADER if self.leader else Code.NO_LEADER
                return [Refusal(call.call, code, f"node {self.leader} leads", NodeId(self.leader))]
            case OpenSession(number):
                self.opened += 1
                session = SessionId(self.opened)
                self.sessions[session] = {}
                return [SessionOpened(number, session)]
            case Write():
                return [self.write(call)]
            case Read(number, _, _, commands):
                return [Done(number, encode([self.run(command) for command in commands_decoder.decode(commands)]))]
            case KeepAlive(number, _, lease):
                return [KeptAlive(number, 60 if lease else 0)]
            case Watch():
                return self.watch(connection, call)
        return [Refusal(call.call, Code.UNSUPPORTED, f"{type(call).__name__} is beyond this cluster")]

    def write(self, call: Write) -> Reply:
        self.frames.append((call.session, call.sequence))
        session = self.sessions.get(call.session)
        if session is None:
            return Refusal(call.call, Code.SESSION_EXPIRED, f"session {call.session} has expired")
        if call.sequence not in session:
            if call.sequence != len(session) + 1:
                return Refusal(call.call, Code.OUT_OF_ORDER, f"frame {len(session) + 1} comes first")
            commands = commands_decoder.decode(call.commands)
            session[call.sequence] = encode([self.run(command) for command in commands])
        return Done(call.call, session[call.sequence])

    def run(self, command: Command) -> Answer:
        match command:
            case Put(key, value):
                self.applied.append(command)
                self.revision += 1
                old = self.items.get(key)
                created, version = (old.create_revision, old.version + 1) if old else (self.revision, 1)
                self.items[key] = KeyValue(key, value, created, self.revision, version)
                self.history.append(WatchEvent(self.items[key]))
                return PutDone(self.revision)
            case Range(key, end, limit):
                keys = [each for each in sorted(self.items) if each == key or (key <= each and covers(end, each))]
                found = [self.items[each] for each in keys]
                shown = found[: limit or None]
                return RangeDone(self.revision, len(found), len(shown) < len(found), tuple(shown))
            case LeaseGrant(lease, ttl_s):
                return LeaseDone(self.revision, lease or 7, ttl_s)
        return Failed(Code.UNSUPPORTED, f"{type(command).__name__} is beyond this cluster")

    def watch(self, connection: int, call: Watch) -> list[Reply]:
        if call.start_revision and call.start_revision < self.compact_revision:
            message = f"history begins at {self.compact_revision}"
            return [Refusal(call.call, Code.COMPACTED, message, compact_revision=self.compact_revision)]
        self.watches[connection, call.call] = call
        start = call.start_revision or self.revision + 1
        return [Watching(call.call, self.revision), *self.changes(call, since=start)]

    def changes(self, watch: Watch, *, since: int) -> list[Reply]:
        events = [event for event in self.history if event.item.mod_revision >= since]
        return [Changes(watch.call, self.revision, encode(events))] if events else []

    def status(self, node: int, call: int) -> NodeStatus:
        role = "leader" if node == self.leader else "follower"
        numbers = (1, 1, 1, 1, 0, self.revision, self.compact_revision, 0)
        leader = NodeId(0 if node in self.cut_off else self.leader)
        group = GroupStatus(1, DEFAULT_COLLECTION, role, 1, leader, *numbers, self.members, ())
        return NodeStatus(call, NodeId(node), f"n{node}", "", self.name, 0, "fake", 0, (group,))


def covers(end: bytes, key: bytes) -> bool:
    return end == FROM_KEY or key < end
