"""Where everybody is: addresses, connections, members, and who leads which collection.

How the leader of a collection is found::

    hint (Welcome, Refusal.leader) ──► its node is connected ──────────────► ask it
         │                             not yet ──► connect ── hedge_ms over ─┐
         none ───────────────────────────────────────────────────────────────┤
                                                                             ▼
              the node that was asked longest ago is taken for the leader; its refusal names another, or nobody:
              then pause (back-off with jitter), connect to one more address, and ask the next
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libelli.client.connection import Connection, Stage
from libelli.client.desk import Desk
from libelli.client.effects import Connect, Disconnect, Send
from libelli.client.outcomes import Verdict, verdict_of
from libelli.client.places import Places
from libelli.client.queues import NEVER_MS
from libelli.core.calls import ClientHello, NodeStatus, Refusal, Welcome, welcome_decoder
from libelli.core.errors import CallError, Code, Refused, Unavailable
from libelli.core.ids import NO_NODE, NodeId
from libelli.core.members import Member
from libelli.core.versions import OLDEST_WIRE_VERSION, WIRE_VERSION


class Route:
    """Who leads a collection, as far as is known."""

    __slots__ = ("attempts", "leader", "not_before_ms", "problem")

    def __init__(self, leader: NodeId = NO_NODE) -> None:
        self.leader = leader
        self.attempts = 0
        """Refusals since the last success."""
        self.not_before_ms = 0
        self.problem = ""


class Directory:
    """Everything about nodes that one dialogue knows.

    Args:
        desk: of the dialogue.
        endpoints: `host:port` of nodes to begin with.
        hello: the greeting; its `cluster` may be empty, then the first node that answers decides.
    """

    def __init__(self, desk: Desk, *, endpoints: Sequence[str], hello: ClientHello) -> None:
        self._desk = desk
        self._hello = hello
        self.cluster = hello.cluster
        self.members: dict[NodeId, Member] = {}
        order = list(dict.fromkeys(endpoints))
        desk.random.shuffle(order)
        self._places = Places(order)
        self._routes: dict[str, Route] = {}
        self._connections: dict[int, Connection] = {}
        self._nodes: dict[NodeId, Connection] = {}
        self._numbers = 0
        self._next_connect_ms = 0

    # -- what happens to connections ------------------------------------------------------------------

    def find(self, number: int) -> Connection | None:
        """Returns a connection that is not lost."""
        return self._connections.get(number)

    def on_connected(self, number: int, peer: str) -> None:
        """The stream is open: greet."""
        connection = self._connections.get(number)
        if connection is not None:
            connection.peer = peer
            connection.heard_ms = self._desk.now_ms
            self._desk.effects.append(Send(number, connection.greet(self._hello)))

    def on_welcome(self, connection: Connection, body: bytes) -> None:
        """The node's greeting: take it, or leave.

        Raises:
            CodecError: it is no greeting.
        """
        welcome = welcome_decoder.decode(body)
        problem = self._why_leave(connection, welcome)
        if problem:
            hopeless = welcome.code is Code.OK or verdict_of(welcome.code) is Verdict.FINAL
            self.drop(connection, problem, hopeless=hopeless)
            return
        place = self._places.at(connection.address)
        place.succeeded(welcome.node)
        if welcome.node in self._nodes:  # known under two addresses
            self._desk.effects.append(Disconnect(connection.number, f"already connected to node {welcome.node}"))
            self._forget(connection)
            return
        self.cluster = welcome.cluster
        connection.stage, connection.node = Stage.READY, welcome.node
        self._nodes[welcome.node] = connection
        self.learn_members(welcome.members)
        for collection in welcome.collections:
            self._hint(self._route(collection.name), collection.leader)

    def on_lost(self, number: int, reason: str, *, hopeless: bool = False) -> None:
        """The connection, or the attempt to make it, has failed; those who wait are told."""
        connection = self._connections.get(number)
        if connection is not None:
            self._lose(connection, reason, hopeless=hopeless)

    def drop(self, connection: Connection, reason: str, *, hopeless: bool = False) -> None:
        """Ends a connection from this side; those who wait are told."""
        self._desk.effects.append(Disconnect(connection.number, reason))
        self._lose(connection, reason, hopeless=hopeless)

    def watch_over(self) -> None:
        """Gives up what takes too long, and asks silent nodes for a sign of life."""
        options, now_ms = self._desk.options, self._desk.now_ms
        for connection in list(self._connections.values()):
            if not connection.ready:
                limit_ms = connection.opened_ms + options.connect_timeout_ms
                if now_ms >= limit_ms:
                    self.drop(connection, f"no greeting within {options.connect_timeout_ms:,} ms")
                else:
                    self._desk.wake(limit_ms)
            elif not connection.idle:
                self._listen(connection)

    def send_all(self) -> None:
        """Sends the calls that were queued in this step."""
        for connection in self._connections.values():
            bodies = connection.take_bodies()
            self._desk.effects += [Send(connection.number, body) for body in bodies]
            listen_ms = connection.silent_since_ms() + self._desk.options.ping_after_ms
            if bodies and listen_ms > self._desk.now_ms:
                self._desk.wake(listen_ms)  # a watch has no deadline: without this nobody would miss its answer

    def close(self, reason: str) -> None:
        """Ends all connections; those who wait are told."""
        for connection in list(self._connections.values()):
            self.drop(connection, reason)

    # -- whom to ask ------------------------------------------------------------------------------------

    def leader(self, collection: str) -> Connection | None:
        """Returns whom to ask for what only the leader can do; None: not now, and something is being done."""
        route = self._route(collection)
        now_ms = self._desk.now_ms
        if route.not_before_ms > now_ms:
            self._desk.wake(route.not_before_ms)
            return None
        found = self._nodes.get(route.leader)
        if found is not None:
            return found
        if route.leader and self._reach(route.leader):
            return None
        if route.attempts or not self._nodes:
            self._widen()
        candidate = min(self._nodes.values(), key=lambda each: (each.asked_ms, each.number), default=None)
        if candidate is not None:
            candidate.asked_ms = now_ms
            route.leader = candidate.node
        return candidate

    def anybody(self, collection: str) -> Connection | None:
        """Returns a connected node, the leader rather than another."""
        found = self._nodes.get(self._route(collection).leader)
        if found is None:
            found = next(iter(self._nodes.values()), None)
        if found is None:
            self._widen()
        return found

    def node(self, node: NodeId) -> Connection | CallError | None:
        """Returns the connection to a node, None while it is being made, or why there is none."""
        found = self._nodes.get(node)
        if found is not None:
            return found
        member = self.members.get(node)
        if member is None:
            known = ", ".join(str(each) for each in sorted(self.members)) or "none"
            message = f"node {node} is no member of the cluster; members are {known}"
            return Refused(message, code=Code.MEMBER_NOT_FOUND)
        place = self._places.at(member.client_address)
        if place.connection is None and place.not_before_ms > self._desk.now_ms:
            message = f"node {node} ({member.name}) at {member.client_address}: {place.problem}"
            return Unavailable(message, code=Code.NOT_CONNECTED)
        if place.connection is None:
            self._connect(member.client_address)
        return None

    # -- what calls taught ------------------------------------------------------------------------------

    def on_success(self, collection: str, connection: Connection) -> None:
        """The node did what only the leader of the collection can do."""
        route = self._route(collection)
        route.leader, route.attempts = connection.node, 0

    def on_refusal(self, collection: str, connection: Connection, refusal: Refusal) -> None:
        """The node could not take a call: ask the leader it names, or pause."""
        route = self._route(collection)
        route.problem = f"node {connection.node} says: {refusal.message or refusal.code.name}"
        route.attempts += 1
        moved = refusal.leader not in (NO_NODE, connection.node)
        if moved:
            route.leader = refusal.leader
        elif refusal.code not in (Code.OVERLOADED, Code.OUT_OF_ORDER) and route.leader == connection.node:
            route.leader = NO_NODE
        at_once = refusal.code is Code.OUT_OF_ORDER or (moved and route.attempts <= 2)
        self._pause(route, at_once=at_once)

    def distrust(self, collection: str, connection: Connection) -> None:
        """The node has lost the others: ask it last."""
        route = self._route(collection)
        connection.asked_ms = self._desk.now_ms
        route.attempts += 1
        if route.leader == connection.node:
            route.leader = NO_NODE

    def learn_members(self, members: Iterable[Member]) -> None:
        """Takes the newest list of members over."""
        known = {member.node: member for member in members}
        if known:
            self.members = dict(sorted(known.items()))
            self._places.keep([member.client_address for member in known.values() if member.client_address])

    def learn_status(self, status: NodeStatus) -> None:
        """Takes over what a node says about its groups."""
        members = [member for group in status.groups for member in (*group.voters, *group.learners)]
        for group in status.groups:
            if group.leader:
                route = self._route(group.collection)
                if route.leader not in self._nodes:
                    self._hint(route, group.leader)
        self.learn_members(members)

    # -- what to say ------------------------------------------------------------------------------------

    def why_waiting(self, collection: str) -> tuple[Code, str]:
        """Returns why a call for the collection's leader is not sent."""
        if not self._nodes:
            return Code.NOT_CONNECTED, f"no node could be reached ({self._places.problems()})"
        route = self._route(collection)
        if route.leader in self._nodes and not route.attempts:
            return Code.OVERLOADED, "earlier frames still wait for their answers: submit less at a time"
        problem = route.problem or self._places.problems()
        return Code.NO_LEADER, f"no leader of collection {collection!r} was found ({problem})"

    def problems(self) -> str:
        """Returns what is wrong with each address, in one line."""
        return self._places.problems()

    def take_hopeless(self) -> CallError | None:
        """Returns the error when every address was tried and trying again cannot help; the next call tries again."""
        if self._nodes or not self._places.all_hopeless():
            return None
        error = Refused(f"no node will do: {self._places.problems()}", code=Code.DENIED)
        self._places.hope_again()
        return error

    # -- inside -----------------------------------------------------------------------------------------

    def _route(self, collection: str) -> Route:
        route = self._routes.get(collection)
        if route is None:
            route = self._routes[collection] = Route()
        return route

    def _hint(self, route: Route, leader: NodeId) -> None:
        if leader:
            route.leader = leader

    def _why_leave(self, connection: Connection, welcome: Welcome) -> str:
        if welcome.code is not Code.OK:
            return f"the node refuses: {welcome.message or welcome.code.name}"
        if self.cluster and welcome.cluster != self.cluster:
            return f"it belongs to cluster {welcome.cluster}, not to {self.cluster}: check the address"
        if not OLDEST_WIRE_VERSION <= welcome.wire <= WIRE_VERSION:
            return f"it speaks wire version {welcome.wire}, this client {OLDEST_WIRE_VERSION} to {WIRE_VERSION}"
        member = next((each for each in welcome.members if each.node == welcome.node), None)
        if connection.peer and member is not None and member.name != connection.peer:
            return f"it says it is {member.name}, and its certificate says {connection.peer}"
        return ""

    def _lose(self, connection: Connection, reason: str, *, hopeless: bool) -> None:
        was_ready, now_ms = connection.ready, self._desk.now_ms
        self._forget(connection)
        place = self._places.at(connection.address)
        place.failures += 1
        not_before_ms = now_ms + self._desk.back_off_ms(place.failures)
        place.failed(reason, hopeless=hopeless, not_before_ms=not_before_ms)
        self._next_connect_ms = now_ms
        for route in self._routes.values():
            if was_ready and route.leader == connection.node:
                route.leader, route.problem = NO_NODE, f"node {connection.node}: {reason}"
                route.attempts += 1
                self._pause(route)
        for handler in connection.drop():
            handler.on_lost(connection)

    def _forget(self, connection: Connection) -> None:
        del self._connections[connection.number]
        self._places.at(connection.address).connection = None
        if self._nodes.get(connection.node) is connection:
            del self._nodes[connection.node]

    def _listen(self, connection: Connection) -> None:
        options, now_ms = self._desk.options, self._desk.now_ms
        since_ms = connection.silent_since_ms()
        if now_ms - since_ms >= options.silent_ms:
            self.drop(connection, f"silent for {now_ms - since_ms:,} ms")
            return
        if now_ms - since_ms < options.ping_after_ms:
            connection.pinged = False
            self._desk.wake(since_ms + options.ping_after_ms)
            return
        if not connection.pinged:
            connection.ping(now_ms=now_ms)
        self._desk.wake(since_ms + options.silent_ms)

    def _pause(self, route: Route, *, at_once: bool = False) -> None:
        if not at_once:
            route.not_before_ms = self._desk.now_ms + self._desk.back_off_ms(route.attempts)

    def _reach(self, node: NodeId) -> bool:
        """Whether the way to a node that is not connected is worth waiting for."""
        member = self.members.get(node)
        if member is None or not member.client_address:
            return False
        place, now_ms = self._places.at(member.client_address), self._desk.now_ms
        if place.connection is None:
            if place.not_before_ms > now_ms:
                return False
            place.connection = self._connect(member.client_address)
        until_ms = place.connection.opened_ms + self._desk.options.hedge_ms
        self._desk.wake(until_ms if now_ms < until_ms else NEVER_MS)
        return now_ms < until_ms

    def _widen(self) -> None:
        """Connects to one more address, unless that was done a moment ago."""
        now_ms = self._desk.now_ms
        address, ready_ms = self._places.next_free(self._nodes, now_ms)
        ready_ms = max(self._next_connect_ms, ready_ms)
        if ready_ms <= now_ms:
            self._connect(address)
            self._next_connect_ms = ready_ms = now_ms + self._desk.options.hedge_ms
        self._desk.wake(ready_ms)

    def _connect(self, address: str) -> Connection:
        self._numbers += 1
        connection = Connection(self._numbers, address, now_ms=self._desk.now_ms)
        self._connections[connection.number] = connection
        self._places.take(address, connection)
        self._desk.effects.append(Connect(connection.number, address))
        self._desk.wake(self._desk.now_ms + self._desk.options.connect_timeout_ms)
        return connection
