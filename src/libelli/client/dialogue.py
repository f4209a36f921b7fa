"""A client's side of the conversation with a cluster, as a pure state machine.

::

                submit · ask · watch                  connected · lost · received
                       │                                         │
                       ▼                                         ▼
      ┌─ WriteLine  a session: frames, window, sequences     Directory  addresses, members, leaders
      ├─ ReadLine   batches that may be repeated                 │
      ├─ Question   single calls                             Connection  greeting, calls that wait, signs of life
      └─ WatchLine  resumes by itself                            │
                       │                                         │
                       └───────── step(now_ms) ──────────────────┘
                                      │
                                      ▼
      Connect · Disconnect · Send · WakeAt · Complete · WatchBegan · WatchChanged · WatchEnded

The life of a write::

    submit ──► waits ──► in a frame, on the wire ──► Done ─────────────────────────► its answer
                 │              │      ▲   │
                 │              │      │   ├─ NOT_LEADER, OVERLOADED …   same sequence again, elsewhere or later
                 │              │      └───┼─ LEADER_CHANGED, lost       the same, and from now on *uncertain*
                 │              │          └─ SESSION_EXPIRED            certain: new session; else MayHaveHappened
                 │              └─ too late: MayHaveHappened
                 └─ too late: DidNotHappen

Inputs only queue; everything happens in `step`, so all commands submitted since the last step share frames.
Writes of a collection are applied in the order of their submission. Reads wait for no write, so a caller that
wants to see its own write waits for the answer first.

Like every pure part it knows no clock and no dice: time comes with `step`, a seeded generator is handed in.
The simulator runs the same object as `AsyncClient`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from libelli.client.admission import admit, only_reads
from libelli.client.desk import Desk, Line
from libelli.client.directory import Directory
from libelli.client.effects import ClientEffect, WakeAt
from libelli.client.options import DialogueOptions
from libelli.client.questions import Question, Whom
from libelli.client.queues import NEVER_MS, CommandQueue
from libelli.client.reads import ReadLine
from libelli.client.watches import Control, WatchLine
from libelli.client.writes import WriteLine
from libelli.core.calls import Call, ClientHello, Consistency, NodeStatus, Watch, replies_decoder
from libelli.core.errors import CallError, Code, CodecError, Overloaded, Unavailable
from libelli.core.members import Member
from libelli.stores.mvcc.commands import Command, Put, Range

if TYPE_CHECKING:
    from random import Random

    from libelli.client.connection import Connection


class Dialogue:
    """One client: any number of callers, one session for each collection that is written.

    Args:
        endpoints: `host:port` of nodes to begin with, at least one.
        random: for the order of endpoints and for jitter.
        cluster: the id that nodes must have; empty takes that of the first node met.
        options: times and limits.
        software: what this client calls itself.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        random: Random,
        cluster: str = "",
        options: DialogueOptions | None = None,
        software: str = "",
    ) -> None:
        self._options = options or DialogueOptions()
        self._desk = Desk(random=random, options=self._options)
        hello = ClientHello(cluster=cluster, software=software)
        self._directory = Directory(self._desk, endpoints=endpoints, hello=hello)
        self._inputs: list[Callable[[], None]] = []
        self._writes: dict[str, WriteLine] = {}
        self._reads: dict[tuple[str, Consistency, bool], ReadLine] = {}
        self._questions: list[Question] = []
        self._watches: list[WatchLine] = []
        self._woken_ms = NEVER_MS
        self._closed: CallError | None = None

    # -- what is known ------------------------------------------------------------------------------------

    @property
    def cluster(self) -> str:
        """The cluster's id, empty until a node was met."""
        return self._directory.cluster

    @property
    def members(self) -> tuple[Member, ...]:
        """The members of the cluster, by number; empty until a node was met."""
        return tuple(self._directory.members.values())

    # -- the world speaks ---------------------------------------------------------------------------------

    def connected(self, connection: int, *, peer: str = "") -> None:
        """The stream is open; `peer` is the name in the node's certificate, empty in plain text."""
        self._inputs.append(lambda: self._directory.on_connected(connection, peer))

    def lost(self, connection: int, reason: str, *, hopeless: bool = False) -> None:
        """The stream has ended or could not be made; `hopeless`: it never will (a refused certificate)."""
        self._inputs.append(lambda: self._directory.on_lost(connection, reason, hopeless=hopeless))

    def received(self, connection: int, body: bytes) -> None:
        """The body of one frame has arrived."""
        self._inputs.append(lambda: self._on_body(connection, body))

    # -- callers speak ------------------------------------------------------------------------------------

    def submit(
        self,
        command: Command,
        waiter: Any,
        *,
        collection: str,
        timeout_ms: int,
        consistency: Consistency = Consistency.LINEARIZABLE,
    ) -> None:
        """Queues a command; its outcome comes with a `Complete`.

        Args:
            command: of a strong collection.
            waiter: anything but None; handed back with the outcome.
            collection: its name.
            timeout_ms: counted from the next step.
            consistency: for a command that only reads.

        Raises:
            Refused: the command is over a limit.
            Overloaded: too many commands wait already.
            Unavailable: the dialogue is closed.
        """
        if type(command) is Put:
            queue = self._write_line(collection).queue
        elif only_reads(command):
            queue = self._read_line(collection, consistency, command).queue
        else:
            queue = self._write_line(collection).queue
        size = admit(command)
        options = self._options
        if len(queue) >= options.pending_commands_max or queue.bytes + size > options.pending_bytes_max:
            raise self._overloaded(queue)
        if self._closed is not None:
            raise self._closed
        queue.add(command, waiter, timeout_ms=timeout_ms, size_bytes=size)

    def ask(
        self,
        build: Callable[[int], Call],
        waiter: Any,
        *,
        whom: Whom,
        timeout_ms: int,
        repeatable: bool,
    ) -> None:
        """Queues a single call; its outcome is a `Told` or a `CallError`.

        Args:
            build: makes the call of its number.
            waiter: anything but None; handed back with the outcome.
            whom: the node to ask.
            timeout_ms: counted from the next step.
            repeatable: asking twice does no more than asking once.
        """

        def start() -> None:
            deadline_ms = self._desk.now_ms + timeout_ms
            question = Question(
                self._desk,
                self._directory,
                build=build,
                whom=whom,
                waiter=waiter,
                deadline_ms=deadline_ms,
                repeatable=repeatable,
            )
            self._questions.append(question)

        self._inputs.append(start)

    def watch(self, request: Watch, watcher: Any, *, timeout_ms: int) -> Callable[[Control], None]:
        """Opens a watch; what it sees comes with `WatchBegan`, `WatchChanged` and `WatchEnded`.

        Args:
            request: what to watch; `call` is ignored.
            watcher: handed back with everything.
            timeout_ms: for the first opening; afterwards it reconnects for as long as it takes.

        Returns:
            What pauses, resumes and cancels it.
        """
        lines: list[WatchLine] = []

        def start() -> None:
            deadline_ms = self._desk.now_ms + timeout_ms
            line = WatchLine(self._desk, self._directory, request=request, watcher=watcher, deadline_ms=deadline_ms)
            lines.append(line)
            self._watches.append(line)

        def steer(control: Control) -> None:
            self._inputs.append(lambda: lines[0].control(control))

        self._inputs.append(start)
        return steer

    def close(self) -> None:
        """Ends everything with the next step; nothing is accepted afterwards."""
        self._closed = Unavailable("the client is closed: open another one", code=Code.NOT_CONNECTED)

    # -- time ---------------------------------------------------------------------------------------------

    def step(self, now_ms: int) -> list[ClientEffect]:
        """Does all that is due.

        Args:
            now_ms: never less than at the last step.

        Returns:
            What the world must do, in order.
        """
        desk = self._desk
        desk.now_ms, desk.wake_ms = now_ms, NEVER_MS
        inputs, self._inputs = self._inputs, []
        for each in inputs:
            each()
        for queue in self._queues():
            queue.admit(now_ms)
        self._directory.watch_over()
        self._expire()
        error = self._closed or self._directory.take_hopeless()
        if error is not None:
            self._end_all(error)
        self._dispatch()
        self._directory.send_all()
        if self._closed is not None:
            self._directory.close("the client is closed")
        return self._take_effects()

    def _take_effects(self) -> list[ClientEffect]:
        desk = self._desk
        is_over = desk.wake_ms <= desk.now_ms  # the world has forgotten a wake-up that is over
        if desk.wake_ms < NEVER_MS and (is_over or desk.wake_ms != self._woken_ms):
            desk.effects.append(WakeAt(desk.wake_ms))
        self._woken_ms = desk.wake_ms
        effects, desk.effects = desk.effects, []
        return effects

    def _expire(self) -> None:
        for line in self._lines():
            line.expire()

    def _dispatch(self) -> None:
        for line in self._lines():
            line.dispatch()
        if self._questions:
            self._questions = [question for question in self._questions if not question.ended]
        if self._watches:
            self._watches = [watch for watch in self._watches if not watch.ended]

    def _end_all(self, error: CallError) -> None:
        for line in self._lines():
            line.end(error)

    def _on_body(self, number: int, body: bytes) -> None:
        connection = self._directory.find(number)
        if connection is None:
            return
        connection.heard_ms = self._desk.now_ms
        try:
            if connection.ready:
                self._on_replies(connection, body)
            else:
                self._directory.on_welcome(connection, body)
        except CodecError as error:
            self._directory.drop(connection, f"what it sends cannot be read: {error}")

    def _on_replies(self, connection: Connection, body: bytes) -> None:
        for reply in replies_decoder.decode(body):
            if type(reply) is NodeStatus:
                self._directory.learn_status(reply)
                for watch in self._watches:
                    watch.on_status(reply, connection)
            connection.dispatch(reply)

    # -- lines --------------------------------------------------------------------------------------------

    def _lines(self) -> list[Line]:
        return [*self._writes.values(), *self._reads.values(), *self._questions, *self._watches]

    def _queues(self) -> list[CommandQueue]:
        writes = [line.queue for line in self._writes.values()]
        return [*writes, *(line.queue for line in self._reads.values())]

    def _write_line(self, collection: str) -> WriteLine:
        line = self._writes.get(collection)
        if line is None:
            line = self._writes[collection] = WriteLine(self._desk, self._directory, collection=collection)
        return line

    def _read_line(self, collection: str, consistency: Consistency, command: Command) -> ReadLine:
        # large answers have their own frames, so that they do not hold up small ones
        wide = type(command) is not Range or bool(command.end)
        key = (collection, consistency, wide)
        line = self._reads.get(key)
        if line is None:
            line = self._reads[key] = ReadLine(
                self._desk, self._directory, collection=collection, consistency=consistency
            )
        return line

    def _overloaded(self, queue: CommandQueue) -> CallError:
        options = self._options
        return Overloaded(
            f"{len(queue):,} commands of {queue.bytes:,} bytes wait to be sent; the limits are"
            f" {options.pending_commands_max:,} and {options.pending_bytes_max:,}: wait for answers first",
            code=Code.OVERLOADED,
        )
