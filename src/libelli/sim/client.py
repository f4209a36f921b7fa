"""A simulated client: the same `Dialogue` as a live one, with streams and time of the simulated world."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
from libelli.client.questions import AtLeader, AtNode, Told
from libelli.core.calls import Call, Consistency, Watch
from libelli.core.errors import CallError
from libelli.core.ids import DEFAULT_COLLECTION, NodeId
from libelli.sim.history import History, Operation
from libelli.sim.kernel import MS, Alarm, Kernel
from libelli.sim.trace import Trace
from libelli.stores.mvcc.commands import Command, WatchEvent

if TYPE_CHECKING:
    from random import Random

    from libelli.sim.network import End, Network

TIMEOUT_MS_DEFAULT = 5_000

Then = Callable[[Operation], object]


class Watching:
    """What a watch has seen so far.

    Attributes:
        began: the revisions at which it began, once for each connection.
        events: all changes, in order.
        revision: all changes up to here have come.
        error: why it ended.
    """

    def __init__(self) -> None:
        self.began: list[int] = []
        self.events: list[WatchEvent] = []
        self.revision = 0
        self.error: CallError | None = None


class SimulatedClient:
    """One client of a world.

    Args:
        name: also the host where it is.
        kernel: for time.
        network: to the nodes.
        endpoints: addresses of nodes to begin with.
        random: for its dice.
        history: takes its operations.
        trace: takes what happens.
        options: of the dialogue.
    """

    def __init__(
        self,
        name: str,
        kernel: Kernel,
        network: "Network",
        *,
        endpoints: Sequence[str],
        random: "Random",
        history: History,
        trace: Trace,
        options: DialogueOptions | None = None,
    ) -> None:
        self.name = name
        self.dialogue = Dialogue(endpoints=endpoints, random=random, options=options)
        self._kernel = kernel
        self._network = network
        self._history = history
        self._trace = trace
        self._turn = Alarm(kernel, self._step)
        self._wake_us = 0
        self._ends: dict[int, End | None] = {}

    # ── callers ───────────────────────────────────────────────────────────────────────────────────────────

    def submit(
        self,
        command: Command,
        *,
        then: Then | None = None,
        timeout_ms: int = TIMEOUT_MS_DEFAULT,
        consistency: Consistency = Consistency.LINEARIZABLE,
    ) -> Operation:
        """Sends a command; `then` is called when it has ended."""
        operation = self._history.invoke(self.name, command, now_us=self._kernel.now_us)
        try:
            self.dialogue.submit(
                command,
                (operation, then),
                collection=DEFAULT_COLLECTION,
                timeout_ms=timeout_ms,
                consistency=consistency,
            )
        except CallError as error:
            self._end(operation, error, then)
        self._turn.advance(self._kernel.now_us)
        return operation

    def ask(
        self,
        build: Callable[[int], Call],
        *,
        node: NodeId | None = None,
        timeout_ms: int = TIMEOUT_MS_DEFAULT,
        is_repeatable: bool = True,
    ) -> Operation:
        """Asks a node, or the leader, anything else; the operation's answer is the reply."""
        operation = self._history.invoke(self.name, build(0), now_us=self._kernel.now_us)
        whom = AtLeader(DEFAULT_COLLECTION) if node is None else AtNode(node)
        self.dialogue.ask(build, (operation, None), whom=whom, timeout_ms=timeout_ms, repeatable=is_repeatable)
        self._turn.advance(self._kernel.now_us)
        return operation

    def watch(
        self, key: bytes, end: bytes = b"", *, start_revision: int = 0, timeout_ms: int = TIMEOUT_MS_DEFAULT
    ) -> Watching:
        """Opens a watch."""
        watching = Watching()
        request = Watch(0, DEFAULT_COLLECTION, key, end, start_revision)
        self.dialogue.watch(request, watching, timeout_ms=timeout_ms)
        self._turn.advance(self._kernel.now_us)
        return watching

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self) -> None:
        for effect in self.dialogue.step(self._kernel.now_ms):
            self._carry_out(effect)
        if self._wake_us > self._kernel.now_us:
            self._turn.advance(self._wake_us)

    def _carry_out(self, effect: ClientEffect) -> None:
        match effect:
            case Send(connection, body):
                self._trace.fold(body)
                if (end := self._ends.get(connection)) is not None:
                    end.send(body)
            case Complete(waiters, outcomes):
                for (operation, then), outcome in zip(waiters, outcomes, strict=True):
                    self._end(operation, outcome, then)
            case Connect(connection, address):
                self._connect(connection, address)
            case Disconnect(connection, reason):
                if (end := self._ends.pop(connection, None)) is not None:
                    end.close(reason)
            case WakeAt(at_ms):
                self._wake_us = max(at_ms * MS, self._kernel.now_us + 1)
            case WatchBegan(watcher, revision):
                watcher.began.append(revision)
            case WatchChanged(watcher, revision, events):
                watcher.revision = revision
                watcher.events += events
            case WatchEnded(watcher, error):
                watcher.error = error

    def _end(self, operation: Operation, outcome: Any, then: Then | None) -> None:
        answer = outcome.reply if isinstance(outcome, Told) else outcome
        self._history.end(operation, answer, now_us=self._kernel.now_us)
        said = str(answer) if isinstance(answer, CallError) else type(answer).__name__
        self._trace.note(self.name, "operation", number=operation.number, outcome=operation.outcome, said=said)
        if then is not None:
            then(operation)

    # ── streams ───────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, connection: int, address: str) -> None:
        self._ends[connection] = None
        self._network.dial(
            address,
            host=self.name,
            is_unruly=False,
            connected=lambda end: self._connected(connection, end),
            refused=lambda reason: self._lost(connection, reason),
        )

    def _connected(self, connection: int, end: "End") -> None:
        if connection not in self._ends:
            end.close("given up")
            return
        self._ends[connection] = end
        end.on_body = lambda body: self._received(connection, body)
        end.on_lost = lambda reason: self._lost(connection, reason)
        self.dialogue.connected(connection)
        self._turn.advance(self._kernel.now_us)

    def _received(self, connection: int, body: bytes) -> None:
        self.dialogue.received(connection, body)
        self._turn.advance(self._kernel.now_us)

    def _lost(self, connection: int, reason: str) -> None:
        if connection in self._ends:
            del self._ends[connection]
            self.dialogue.lost(connection, reason)
            self._turn.advance(self._kernel.now_us)
