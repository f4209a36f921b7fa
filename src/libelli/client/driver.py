"""Runs a dialogue on an asyncio event loop: gives it time and streams, and ends the futures of its callers.

::

    callers ── submit, ask, watch ─► Dialogue ── step ─► effects ─┬─► streams: dial, send, close
                    ▲                   ▲                         ├─► timer
                    └── futures ────────┼─────────────────────────┤
                                        └── frames, lost ◄────────┘ (streams)

All that is submitted in one round of the loop goes into one step, and all answers that one read of a socket
brought end their futures in one go.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

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
from libelli.client.outcomes import refused
from libelli.client.questions import Told, Whom
from libelli.client.queues import NEVER_MS
from libelli.client.streams import NodeStream, dial, explain
from libelli.client.trust import Trust
from libelli.client.watches import Control
from libelli.core.calls import Call, Consistency, Watch
from libelli.core.errors import CallError, ConfigurationError
from libelli.stores.mvcc.commands import Command, Failed, WatchEvent

Steer = Callable[[Control], None]


class Watcher(Protocol):
    """Who is told what a watch sees."""

    def on_began(self, revision: int) -> None:
        """Every change after `revision` will be told."""

    def on_changed(self, revision: int, events: list[WatchEvent]) -> None:
        """The next changes; all up to `revision` have been told."""

    def on_ended(self, error: CallError) -> None:
        """Nothing more will be told."""


class Driver:
    """A dialogue's world. Everything is called on the loop's thread.

    Args:
        dialogue: not yet stepped.
        trust: for new connections.
        loop: the loop that runs.
    """

    def __init__(self, dialogue: Dialogue, *, trust: Trust, loop: asyncio.AbstractEventLoop) -> None:
        self.dialogue = dialogue
        self._trust = trust
        self._loop = loop
        self._streams: dict[int, NodeStream] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = NEVER_MS
        self._wake_ms = NEVER_MS

    def submit(
        self, command: Command, future: Any, *, collection: str, consistency: Consistency, timeout_ms: int
    ) -> None:
        """Queues a command; `future` (asyncio's or of concurrent.futures) gets its answer.

        Raises:
            CallError: it is not accepted.
        """
        self.dialogue.submit(command, future, collection=collection, consistency=consistency, timeout_ms=timeout_ms)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._step)

    def ask(
        self, build: Callable[[int], Call], *, whom: Whom, timeout_ms: int, repeatable: bool = True
    ) -> "asyncio.Future[Told]":
        """Queues a single call and returns the future of its `Told`."""
        future: asyncio.Future[Told] = self._loop.create_future()
        self.dialogue.ask(build, future, whom=whom, timeout_ms=timeout_ms, repeatable=repeatable)
        self._soon()
        return future

    def watch(self, request: Watch, watcher: Watcher, *, timeout_ms: int) -> Steer:
        """Opens a watch and returns what pauses, resumes and cancels it."""
        steer = self.dialogue.watch(request, watcher, timeout_ms=timeout_ms)
        self._soon()

        def steer_soon(control: Control) -> None:
            steer(control)
            self._soon()

        return steer_soon

    async def close(self) -> None:
        """Ends all calls and connections."""
        self.dialogue.close()
        self._step()
        dials = list(self._dials.values())
        for task in dials:
            task.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    # -- steps ----------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_scheduled = False
        for effect in self.dialogue.step(int(self._loop.time() * 1000)):
            self._carry_out(effect)

    def _carry_out(self, effect: ClientEffect) -> None:
        match effect:
            case Complete(waiters, outcomes):
                complete(waiters, outcomes)
            case Send(connection, body):
                if (stream := self._streams.get(connection)) is not None:
                    stream.send(body)
            case WakeAt(at_ms):
                self._wake_ms = at_ms
                self._set_timer()
            case WatchChanged(watcher, revision, events):
                watcher.on_changed(revision, events)
            case WatchBegan(watcher, revision):
                watcher.on_began(revision)
            case WatchEnded(watcher, error):
                watcher.on_ended(error)
            case Connect(connection, address):
                self._connect(connection, address)
            case Disconnect(connection):
                self._disconnect(connection)

    # -- streams --------------------------------------------------------------------------------------------

    def _connect(self, number: int, address: str) -> None:
        def on_connected(peer: str) -> None:
            self.dialogue.connected(number, peer=peer)
            self._soon()

        def on_received(bodies: list[bytes]) -> None:
            for body in bodies:
                self.dialogue.received(number, body)
            self._step()

        stream = NodeStream(on_connected=on_connected, on_received=on_received, on_lost=partial(self._lose, number))
        self._streams[number] = stream
        task = self._loop.create_task(self._dial(number, address, stream))
        self._dials[number] = task
        task.add_done_callback(lambda _: self._dials.pop(number, None))

    async def _dial(self, number: int, address: str, stream: NodeStream) -> None:
        try:
            await dial(address, stream, trust=self._trust)
        except (OSError, ConfigurationError) as error:
            self._lose(number, *explain(error))

    def _lose(self, number: int, reason: str, hopeless: bool) -> None:
        if self._streams.pop(number, None) is not None:
            self.dialogue.lost(number, reason, hopeless=hopeless)
            self._soon()

    def _disconnect(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.close()
        task = self._dials.get(number)
        if task is not None:
            task.cancel()

    # -- time -----------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        """Keeps a timer that comes too early: it looks again then, which is cheaper than a new one each step."""
        if self._timer is not None:
            if self._timer_ms <= self._wake_ms:
                return
            self._timer.cancel()
        self._timer_ms = self._wake_ms
        self._timer = self._loop.call_at((self._wake_ms + 1) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if int(self._loop.time() * 1000) < self._wake_ms:
            self._set_timer()
        else:
            self._step()


def complete(futures: list[Any], outcomes: list[Any]) -> None:
    """Ends each future with its outcome; one that was cancelled stays so."""
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, CallError):
            future.set_exception(outcome)
        elif type(outcome) is Failed:
            future.set_exception(refused(outcome.code, outcome.message))
        else:
            future.set_result(outcome)
