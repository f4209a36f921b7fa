"""Single calls: everything that is neither a command of a collection nor a watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from libelli.client.outcomes import (
    Verdict,
    never_sent,
    read_refused,
    refused,
    unanswered_read,
    unanswered_write,
    verdict_of,
)
from libelli.core.calls import Call, Refusal
from libelli.core.errors import CallError, Code, Unavailable
from libelli.core.ids import NodeId

if TYPE_CHECKING:
    from libelli.client.connection import Connection
    from libelli.client.desk import Desk
    from libelli.client.directory import Directory


class AtLeader(Struct, frozen=True):
    """Ask the leader of a collection."""

    collection: str


class AtNode(Struct, frozen=True):
    """Ask this node; when it cannot be reached, say so at once."""

    node: NodeId


class AtConnection(Struct, frozen=True):
    """Ask on this connection and on no other, because the node keeps something for it."""

    connection: int


class AtAnybody(Struct, frozen=True):
    """Ask whoever can be reached."""

    collection: str


Whom = AtLeader | AtAnybody | AtNode | AtConnection


class Told(Struct, frozen=True):
    """A node's reply, and the connection that it came by."""

    reply: Any
    connection: int


class Question:
    """One call and who waits for its `Told`.

    Args:
        build: makes the call of its number.
        whom: the node to ask.
        repeatable: asking twice does no more than asking once.
    """

    __slots__ = ("build", "deadline_ms", "desk", "directory", "ended", "on_wire", "repeatable", "waiter", "whom")

    def __init__(
        self,
        desk: Desk,
        directory: Directory,
        *,
        build: Callable[[int], Call],
        whom: Whom,
        waiter: Any,
        deadline_ms: int,
        repeatable: bool,
    ) -> None:
        self.desk = desk
        self.directory = directory
        self.build = build
        self.whom = whom
        self.waiter = waiter
        self.deadline_ms = deadline_ms
        self.repeatable = repeatable
        self.on_wire = False
        self.ended = False

    def dispatch(self) -> None:
        """Sends the call if that is possible now."""
        if self.ended or self.on_wire:
            return
        match self.whom:
            case AtLeader(collection=collection):
                found: Connection | CallError | None = self.directory.leader(collection)
            case AtAnybody(collection=collection):
                found = self.directory.anybody(collection)
            case AtNode(node=node):
                found = self.directory.node(node)
            case AtConnection(connection=number):
                lost = Unavailable("the connection was lost: begin again", code=Code.NOT_CONNECTED)
                found = self.directory.find(number) or lost
        if isinstance(found, CallError):
            self.end(found)
        elif found is not None:
            self.on_wire = True
            found.call(self, self.build, now_ms=self.desk.now_ms)

    def on_reply(self, reply: Any, connection: Connection) -> None:
        """See `Handler`."""
        if isinstance(self.whom, AtLeader):
            self.directory.on_success(self.whom.collection, connection)
        self.end(Told(reply, connection.number))

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        """See `Handler`."""
        self.on_wire = False
        verdict = verdict_of(refusal.code)
        error: CallError | None = None
        if verdict is Verdict.FINAL or not isinstance(self.whom, AtLeader):
            error = (read_refused if self.repeatable else refused)(refusal.code, refusal.message)
        elif verdict is not Verdict.AGAIN and not self.repeatable:
            error = unanswered_write(refusal.message, code=refusal.code)
        if error is not None:
            self.end(error)
        elif isinstance(self.whom, AtLeader):
            self.directory.on_refusal(self.whom.collection, connection, refusal)

    def on_lost(self, connection: Connection) -> None:
        """See `Handler`."""
        self.on_wire = False
        if not self.repeatable:
            self.end(unanswered_write(f"the connection to {connection.address} was lost", code=Code.CONNECTION_LOST))
        elif not isinstance(self.whom, AtLeader | AtAnybody):
            self.end(unanswered_read(f"the connection to {connection.address} was lost"))

    def expire(self) -> None:
        """Ends the call if its time is over."""
        self.desk.wake(self.deadline_ms)
        if self.ended or self.deadline_ms > self.desk.now_ms:
            return
        if self.on_wire:
            reason = "no answer in time"
            self.end(unanswered_read(reason) if self.repeatable else unanswered_write(reason))
            return
        if isinstance(self.whom, AtLeader):
            code, reason = self.directory.why_waiting(self.whom.collection)
        else:
            code, reason = Code.NOT_CONNECTED, self.directory.problems()
        self.end(never_sent(code, reason))

    def end(self, outcome: Any) -> None:
        """Tells whoever waits."""
        if not self.ended:
            self.ended = True
            self.desk.complete([self.waiter], [outcome])
