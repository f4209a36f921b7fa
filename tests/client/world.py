"""Virtual time and streams for one dialogue and a fake cluster: every frame takes a millisecond each way."""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from libelli.client.dialogue import Dialogue
from libelli.client.effects import (
    ClientEffect,
    Complete,
    Connect,
    Disconnect,
    Send,
    WakeAt,
    WatchBegan,
    WatchChanged,
    WatchEnded,
)
from libelli.client.options import DialogueOptions
from libelli.core.codec import encode
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.stores.mvcc.commands import Command, Put
from tests.client.cluster import FakeCluster

DELAY_MS = 1
LIMIT_MS = 60_000


class World:
    """Attributes:
    outcomes: of each waiter.
    watched: what watchers were told, in order.
    down: nodes that cannot be reached.
    black_holes: nodes of which nothing is heard when they are dialled.
    dialled: addresses in the order in which they were dialled.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        *,
        endpoints: tuple[str, ...] = ("host1:1", "host2:1", "host3:1"),
        options: DialogueOptions | None = None,
        name: str = "",
        seed: int = 1,
    ) -> None:
        self.cluster = cluster
        self.dialogue = Dialogue(endpoints=endpoints, random=Random(seed), cluster=name, options=options)
        self.now_ms = 1_000
        self.outcomes: dict[Any, Any] = {}
        self.watched: list[Any] = []
        self.down: set[int] = set()
        self.black_holes: set[int] = set()
        self.dialled: list[str] = []
        self.peers: dict[int, str] = {}
        self._order = count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._streams: dict[int, tuple[int, bool]] = {}

    # -- callers ----------------------------------------------------------------------------------------------

    def put(self, name: str, *, timeout_ms: int = 5_000) -> None:
        """Puts key `name`; its outcome is found under the same name."""
        self.submit(Put(name.encode(), b"v"), name, timeout_ms=timeout_ms)

    def submit(self, command: Command, waiter: Any, *, timeout_ms: int = 5_000, **more: Any) -> None:
        self.dialogue.submit(command, waiter, collection=DEFAULT_COLLECTION, timeout_ms=timeout_ms, **more)
        self.after(0, self.step)

    def watch(self, request: Any, watcher: Any, *, timeout_ms: int = 5_000) -> Callable[[Any], None]:
        steer = self.dialogue.watch(request, watcher, timeout_ms=timeout_ms)
        self.after(0, self.step)

        def steer_and_step(control: Any) -> None:
            steer(control)
            self.after(0, self.step)

        return steer_and_step

    # -- time -------------------------------------------------------------------------------------------------

    def after(self, delay_ms: int, do: Callable[[], None]) -> None:
        heappush(self._events, (self.now_ms + delay_ms, next(self._order), do))

    def run(self, condition: Callable[[], bool], *, limit_ms: int = LIMIT_MS) -> int:
        """Lets time pass until `condition` holds; returns how much it took, in milliseconds."""
        began_ms = self.now_ms
        while not condition():
            assert self._events, f"nothing more happens; outcomes: {self.outcomes}"
            assert self.now_ms - began_ms <= limit_ms, f"not within {limit_ms} ms; outcomes: {self.outcomes}"
            self._next()
        return self.now_ms - began_ms

    def run_for(self, duration_ms: int) -> None:
        """Lets a span of time pass."""
        until_ms = self.now_ms + duration_ms
        while self._events and self._events[0][0] <= until_ms:
            self._next()
        self.now_ms = until_ms

    def outcome(self, waiter: Any) -> Any:
        """Waits for the outcome of a call."""
        self.run(lambda: waiter in self.outcomes)
        return self.outcomes[waiter]

    def _next(self) -> None:
        at_ms, _, do = heappop(self._events)
        self.now_ms = max(self.now_ms, at_ms)
        do()

    # -- streams ----------------------------------------------------------------------------------------------

    def cut(self, node: int, reason: str = "reset by peer") -> None:
        """Ends all streams to a node; what it has not answered is lost."""
        for number, (other, _) in list(self._streams.items()):
            if other == node:
                del self._streams[number]
                self.dialogue.lost(number, reason)
        self.after(0, self.step)

    def kill(self, node: int) -> None:
        """Ends a node for good, and its leadership."""
        self.down.add(node)
        self.cut(node)
        if self.cluster.leader == node:
            self.cluster.leader = 0

    def publish(self) -> None:
        """Tells all watchers of what was put last."""
        for (connection, call), watch in list(self.cluster.watches.items()):
            replies = self.cluster.changes(watch, since=self.cluster.revision)
            assert watch.call == call
            self.after(DELAY_MS, partial(self._deliver, connection, encode(replies)))

    def inject(self, node: int, body: bytes) -> None:
        """A node says something of its own accord."""
        for number, (other, _) in list(self._streams.items()):
            if other == node:
                self.after(DELAY_MS, partial(self._deliver, number, body))

    def step(self) -> None:
        for effect in self.dialogue.step(self.now_ms):
            self._carry_out(effect)

    def _carry_out(self, effect: ClientEffect) -> None:
        match effect:
            case Complete(waiters, outcomes):
                for waiter, outcome in zip(waiters, outcomes, strict=True):
                    assert waiter not in self.outcomes, f"{waiter} was answered twice"
                    self.outcomes[waiter] = outcome
            case Connect(connection, address):
                self.dialled.append(address)
                self.after(DELAY_MS, lambda: self._dial(connection, address))
            case Disconnect(connection):
                self._streams.pop(connection, None)
            case Send(connection, body):
                self.after(DELAY_MS, lambda: self._arrive(connection, body))
            case WakeAt(at_ms):
                self.after(max(0, at_ms - self.now_ms), self.step)
            case WatchBegan() | WatchChanged() | WatchEnded():
                self.watched.append(effect)

    def _dial(self, connection: int, address: str) -> None:
        node = int(address.removeprefix("host").split(":")[0])
        if node in self.black_holes:
            return
        if node in self.down:
            self.dialogue.lost(connection, "connection refused")
        else:
            self._streams[connection] = (node, False)
            self.dialogue.connected(connection, peer=self.peers.get(node, ""))
        self.step()

    def _arrive(self, connection: int, body: bytes) -> None:
        if connection not in self._streams:
            return
        node, greeted = self._streams[connection]
        if not greeted:
            self._streams[connection] = (node, True)
            answer = self.cluster.welcome(node, body)
        else:
            replies = self.cluster.take(node, connection, body)
            if not replies:
                return
            answer = encode(replies)
        self.after(DELAY_MS, lambda: self._deliver(connection, answer))

    def _deliver(self, connection: int, body: bytes) -> None:
        if connection in self._streams:
            self.dialogue.received(connection, body)
            self.step()
