"""The client side of a node: connections, their calls, and what is refused before any replica sees it."""

from collections.abc import Callable

from libelli.core.calls import (
    Call,
    CancelWatch,
    ChangeMember,
    ClientHello,
    Collection,
    Digest,
    Done,
    GetStatus,
    KeepAlive,
    NodeStatus,
    OpenSession,
    Read,
    ReadDigest,
    ReadSnapshot,
    Refusal,
    Reply,
    Watch,
    Watching,
    Welcome,
    Write,
    calls_decoder,
    client_hello_decoder,
)
from libelli.core.codec import encode
from libelli.core.errors import CallError, Code, CodecError
from libelli.core.events import AddLearner, PromoteLearner, RemoveMember, Request, TransferLeadership
from libelli.core.ids import DEFAULT_COLLECTION, NodeId, Waiter
from libelli.core.limits import (
    CONNECTION_CALLS_MAX,
    FRAME_COMMANDS_MAX,
    FRAME_SIZE_MAX,
    MEMBER_NUMBERS_SKIPPED_MAX,
    MEMBER_TEXT_SIZE_MAX,
    TRANSACTION_OPERATIONS_MAX,
    WATCHERS_MAX,
)
from libelli.core.members import Configuration, Member
from libelli.core.versions import OLDEST_WIRE_VERSION, WIRE_VERSION, common_wire_version
from libelli.host.exports import Exports
from libelli.host.group import BEING_REPLACED, Group
from libelli.host.identity import Identity
from libelli.host.machine import commands_decoder
from libelli.host.outbox import Outbox
from libelli.host.waiters import ChangeWaiter, KeepAliveWaiter, ReadWaiter, WriteWaiter
from libelli.host.world import CloseClient, SendClient
from libelli.stores.mvcc.commands import Command, LeaseRead, Range, Transaction
from libelli.stores.mvcc.validity import nests_too_deep

READS = (Range, LeaseRead, Transaction)
DIGEST_KEYS_MAX = 10_000
CHANGES: dict[str, Callable[[Waiter, NodeId], Request]] = {
    "promote": PromoteLearner,
    "remove": RemoveMember,
    "transfer": TransferLeadership,
}


class Connection:
    """One client's connection."""

    __slots__ = ("identity", "is_full", "is_greeted", "waiting", "watches")

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.is_greeted = False
        self.is_full = False
        self.waiting = 0
        self.watches: dict[int, Group] = {}


class Doors:
    """All client connections of a node.

    Args:
        identity: the node's.
        outbox: where replies go.
        collections: the groups by their collections' names.
        exports: copies of everything.
        status: makes the node's status.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        outbox: Outbox,
        collections: dict[str, Group],
        exports: Exports,
        status: Callable[[int], NodeStatus],
    ) -> None:
        self._identity = identity
        self._outbox = outbox
        self._collections = collections
        self._exports = exports
        self._status = status
        self._connections: dict[int, Connection] = {}
        self.is_stopping = False
        self.calls = 0
        self.refused = 0
        """Calls that met a limit of this node."""

    def __len__(self) -> int:
        return len(self._connections)

    def open(self, connection: int, identity: str) -> None:
        """A client connected."""
        self._connections[connection] = Connection(identity)

    def close(self, connection: int) -> None:
        """A client is gone; its writes go on, its watches and copies end."""
        found = self._connections.pop(connection, None)
        if found is not None:
            for group in self._collections.values():
                group.watches.remove_all(connection)
            self._exports.forget(connection)

    def set_full(self, connection: int, *, is_full: bool) -> None:
        """A connection does not take more, or takes more again."""
        if (found := self._connections.get(connection)) is not None:
            found.is_full = is_full

    def is_full(self, connection: int) -> bool:
        """Returns whether a connection does not take more now."""
        found = self._connections.get(connection)
        return found is None or found.is_full

    def answer(self, connection: int, reply: Reply) -> None:
        """Ends a call."""
        found = self._connections.get(connection)
        if found is not None:
            found.waiting -= 1
            if type(reply) is Refusal:
                self.refused += Code.NO_SPACE <= reply.code < Code.NOT_LEADER
                self._exports.refused(connection, reply.call)
            self._outbox.reply(connection, reply)

    def post(self, connection: int, reply: Reply) -> None:
        """Sends what belongs to a call that was answered before."""
        if (found := self._connections.get(connection)) is not None:
            if isinstance(reply, Refusal):
                found.watches.pop(reply.call, None)  # a watch has ended by itself
            self._outbox.reply(connection, reply)

    def receive(self, connection: int, body: bytes, now_ms: int) -> None:
        """Takes a frame of a client."""
        found = self._connections.get(connection)
        if found is None:
            return
        try:
            if not found.is_greeted:
                self._greet(connection, found, client_hello_decoder.decode(body))
                return
            calls = calls_decoder.decode(body)
        except CodecError as error:
            self._outbox.add(CloseClient(connection, str(error)))
            self.close(connection)
            return
        for call in calls:
            self._take(connection, found, call, now_ms)

    # ── hello ─────────────────────────────────────────────────────────────────────────────────────────────

    def _greet(self, connection: int, found: Connection, hello: ClientHello) -> None:
        wire = common_wire_version(oldest=hello.oldest_wire, newest=hello.newest_wire)
        why = None
        if hello.cluster and hello.cluster != self._identity.cluster:
            why = f"this is cluster {self._identity.cluster}, not {hello.cluster}: check the address"
        elif wire is None:
            why = f"this node speaks wire versions {OLDEST_WIRE_VERSION} to {WIRE_VERSION}: upgrade the older side"
        welcome = self._welcome(wire or 0, why)
        self._outbox.add(SendClient(connection, encode(welcome)))
        if why is not None:
            self._outbox.add(CloseClient(connection, why))
            self.close(connection)
        found.is_greeted = True

    def _welcome(self, wire: int, why: str | None) -> Welcome:
        identity = self._identity
        if why is not None:
            return Welcome(identity.cluster, identity.node, wire, code=Code.INVALID, message=why)
        members: dict[NodeId, Member] = {}
        for group in self._collections.values():
            members |= {member.node: member for member in group.replica.configuration}
        collections = tuple(
            Collection(name, "strong", group.replica.leader) for name, group in sorted(self._collections.items())
        )
        ordered = tuple(members[node] for node in sorted(members))
        return Welcome(identity.cluster, identity.node, wire, ordered, collections)

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, connection: int, found: Connection, call: Call, now_ms: int) -> None:
        found.waiting += 1
        self.calls += 1
        if self.is_stopping and not isinstance(call, GetStatus):
            self._refuse(connection, call.call, Code.STOPPING, "this node is stopping: ask another")
        elif found.waiting > CONNECTION_CALLS_MAX:
            message = f"{CONNECTION_CALLS_MAX} calls of this connection wait already: read their answers first"
            self._refuse(connection, call.call, Code.OVERLOADED, message)
        else:
            self._dispatch(connection, found, call, now_ms)

    def _dispatch(self, connection: int, found: Connection, call: Call, now_ms: int) -> None:
        match call:
            case GetStatus(number):
                self.answer(connection, self._status(number))
            case CancelWatch(number, watch):
                if (group := found.watches.pop(watch, None)) is not None:
                    group.watches.remove(connection, watch)
                self.answer(connection, Done(number, encode([])))
            case ChangeMember():
                self._change_member(connection, call)
            case ReadSnapshot(_, 0):
                self._exports.begin(connection, call)
            case ReadSnapshot():
                self.answer(connection, self._exports.next(connection, call, now_ms))
            case _ if call.collection not in self._collections:
                known = ", ".join(sorted(self._collections))
                message = f"no collection {call.collection!r} is here; there are: {known}"
                self._refuse(connection, call.call, Code.UNKNOWN_COLLECTION, message)
            case _:
                self._pass_on(connection, found, call, self._collections[call.collection], now_ms)

    def _pass_on(
        self,
        connection: int,
        found: Connection,
        call: OpenSession | Write | Read | Watch | KeepAlive | ReadDigest,
        group: Group,
        now_ms: int,
    ) -> None:
        match call:
            case Write():
                self._write(connection, call, group, now_ms)
            case Read():
                commands = self._decode(connection, call.call, call.commands)
                if commands is not None:
                    self._read(connection, call, commands, group)
            case OpenSession(number):
                group.open_session(connection, number, now_ms)
            case Watch():
                self._watch(connection, found, call, group, now_ms)
            case KeepAlive():
                group.query(KeepAliveWaiter(connection, call))
            case ReadDigest():
                self._digest(connection, call, group)

    def _refuse(self, connection: int, call: int, code: Code, message: str) -> None:
        self.answer(connection, Refusal(call, code, message))

    def _decode(self, connection: int, call: int, data: bytes) -> list[Command] | None:
        """Returns a frame's commands; refuses the call when there are none to take."""
        if len(data) > FRAME_SIZE_MAX:
            message = f"a frame of {len(data)} bytes; the limit is {FRAME_SIZE_MAX}: send less at once"
            self._refuse(connection, call, Code.TOO_LARGE, message)
            return None
        try:
            commands = commands_decoder.decode(data)
        except CodecError as error:
            self._refuse(connection, call, Code.INVALID, f"the commands cannot be read: {error}")
            return None
        if len(commands) > FRAME_COMMANDS_MAX:
            message = f"{len(commands)} commands in a frame; the limit is {FRAME_COMMANDS_MAX}: send less at once"
            self._refuse(connection, call, Code.TOO_MANY_OPERATIONS, message)
            return None
        if any(type(command) is Transaction and nests_too_deep(command) for command in commands):
            message = f"transactions are nested more than {TRANSACTION_OPERATIONS_MAX} deep: nest less"
            self._refuse(connection, call, Code.TOO_MANY_OPERATIONS, message)
            return None
        return commands

    def _write(self, connection: int, call: Write, group: Group, now_ms: int) -> None:
        commands = self._decode(connection, call.call, call.commands)
        if commands is None:
            return
        if call.session <= 0 or call.sequence <= 0:
            message = f"session {call.session}, sequence {call.sequence}: open a session and count from 1"
            self._refuse(connection, call.call, Code.SESSION_UNKNOWN, message)
            return
        frame = (call.session, call.sequence, call.acked, call.commands)
        group.write(WriteWaiter(connection, call.call, commands), frame, now_ms)

    def _read(self, connection: int, call: Read, commands: list[Command], group: Group) -> None:
        if all(isinstance(command, READS) for command in commands):
            group.read(ReadWaiter(connection, call, commands))
        else:
            self._refuse(connection, call.call, Code.INVALID, "a read has a command that changes something: write it")

    def _watch(self, connection: int, found: Connection, call: Watch, group: Group, now_ms: int) -> None:
        store = group.machine.store
        if sum(len(other.watches) for other in self._collections.values()) >= WATCHERS_MAX:
            self._refuse(connection, call.call, Code.OVERLOADED, f"{WATCHERS_MAX} watchers are here already")
        elif call.call in found.watches:
            self._refuse(connection, call.call, Code.INVALID, f"call {call.call} is a watch already")
        elif call.start_revision and call.start_revision < store.compact_revision:
            message = f"history begins at revision {store.compact_revision}, not {call.start_revision}"
            compacted = Refusal(call.call, Code.COMPACTED, message, compact_revision=store.compact_revision)
            self.answer(connection, compacted)
        else:
            found.watches[call.call] = group
            self.answer(connection, Watching(call.call, store.revision))
            group.watches.add(connection, call, now_ms)

    def _digest(self, connection: int, call: ReadDigest, group: Group) -> None:
        if group.is_being_replaced:
            self._refuse(connection, call.call, Code.OVERLOADED, BEING_REPLACED)
            return
        store = group.machine.store
        revision = call.revision or store.revision
        try:
            digest, following, count = store.digest(
                revision, start_key=call.start, keys_max=max(1, min(call.keys, DIGEST_KEYS_MAX))
            )
        except CallError as error:
            self._refuse(connection, call.call, error.code, str(error))
            return
        self.answer(connection, Digest(call.call, revision, digest, count, following or b""))

    def _change_member(self, connection: int, call: ChangeMember) -> None:
        group, member = self._collections[DEFAULT_COLLECTION], call.member
        if call.action == "add":
            highest = max((group.machine.highest_node, *group.replica.configuration.nodes))
            why = _why_refuse_member(member, group.replica.configuration, highest)
            if why is not None:
                self._refuse(connection, call.call, *why)
                return
            node = member.node or NodeId(highest + 1)
            member = Member(
                node,
                member.name,
                member.region,
                member.peer_address,
                member.client_address,
                member.grpc_address,
            )
            waiter = group.wait(ChangeWaiter(connection, call.call, member))
            group.put_request(AddLearner(waiter, member))
            return
        change = CHANGES.get(call.action)
        if change is None:
            message = f"{call.action!r} is no change of members: add, {', '.join(CHANGES)}"
            self._refuse(connection, call.call, Code.INVALID, message)
        else:
            group.put_request(change(group.wait(ChangeWaiter(connection, call.call, None)), member.node))


def _why_refuse_member(member: Member, current: Configuration, highest: int) -> tuple[Code, str] | None:
    """Returns why `member` cannot be added, or None."""
    if not member.name or not member.peer_address:
        return Code.INVALID, "a new member needs a name and a peer address"
    texts = (member.name, member.region, member.peer_address, member.client_address, member.grpc_address)
    size = max(len(text.encode()) for text in texts)
    if size > MEMBER_TEXT_SIZE_MAX:
        return Code.TOO_LARGE, f"{size} bytes to describe a member; the limit is {MEMBER_TEXT_SIZE_MAX}: shorten it"
    for known in current:
        if member.name == known.name:
            return Code.MEMBER_EXISTS, f"{member.name!r} is node {known.node} already: choose another name"
        if member.peer_address == known.peer_address:
            return Code.MEMBER_EXISTS, f"{member.peer_address} is the address of {known.name!r} already"
    if member.node and member.node <= highest:
        return Code.MEMBER_EXISTS, f"number {member.node} was used before; leave it out to get the next"
    number_max = highest + 1 + MEMBER_NUMBERS_SKIPPED_MAX
    if member.node > number_max:
        return Code.INVALID, f"number {member.node}; the highest now is {number_max}: leave it out to get the next"
    return None
