"""One connection of a dialogue: its greeting, the calls that wait for replies, and signs of life.

::

    CONNECTING ── connected ──► GREETING ── Welcome ──► READY
        └───────────────────────── lost ──────────────────┴──► gone: everybody who waits is told
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from libelli.core.calls import Call, Changes, ClientHello, GetStatus, Read, Refusal, Reply, Watch, Watching, Write
from libelli.core.codec import encode
from libelli.core.errors import CodecError
from libelli.core.ids import NO_NODE, NodeId
from libelli.core.limits import FRAME_SIZE_MAX

CALL_OVERHEAD = 512
"""More than a call adds to the commands or keys in it, collection name included."""


class Stage(Enum):
    """How far a connection is."""

    CONNECTING = 0
    GREETING = 1
    READY = 2


class Handler(Protocol):
    """Somebody who waits for the reply to a call."""

    def on_reply(self, reply: Any, connection: Connection) -> None:
        """The call was carried out."""

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        """The call was refused."""

    def on_lost(self, connection: Connection) -> None:
        """No reply will come any more."""


class Connection:
    """A stream to one node.

    Attributes:
        address: where it leads.
        peer: the name in the node's certificate, or empty in plain text.
        node: the node's number once it is READY.
        asked_ms: when it was last tried without knowing that it leads.
    """

    __slots__ = (
        "_calls", "_number", "_outstanding", "_waiting_since_ms", "address", "asked_ms", "heard_ms", "node",
        "number", "opened_ms", "peer", "pinged", "stage",
    )  # fmt: skip

    def __init__(self, number: int, address: str, *, now_ms: int) -> None:
        self.number = number
        self.address = address
        self.stage = Stage.CONNECTING
        self.peer = ""
        self.node: NodeId = NO_NODE
        self.opened_ms = now_ms
        self.heard_ms = now_ms
        self.asked_ms = -1
        self.pinged = False
        self._number = 0
        self._calls: list[Call] = []
        self._outstanding: dict[int, Handler] = {}
        self._waiting_since_ms = now_ms

    @property
    def ready(self) -> bool:
        """Whether calls can be sent."""
        return self.stage is Stage.READY

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a reply."""
        return not self._outstanding

    def greet(self, hello: ClientHello) -> bytes:
        """Returns the body of the greeting."""
        self.stage = Stage.GREETING
        return encode(hello)

    def call(self, handler: Handler, build: Callable[[int], Call], *, now_ms: int) -> int:
        """Queues the call that `build` makes of a fresh number, which is returned."""
        self._number += 1
        if not self._outstanding:
            self._waiting_since_ms = now_ms
        self._outstanding[self._number] = handler
        self._calls.append(build(self._number))
        return self._number

    def forget(self, number: int) -> None:
        """Lets go of the handler of a call."""
        self._outstanding.pop(number, None)

    def dispatch(self, reply: Reply) -> None:
        """Hands a reply to whoever waits for it; one that nobody waits for is dropped."""
        kind = type(reply)
        if kind is Watching or kind is Changes:
            handler = self._outstanding.get(reply.call)
        else:
            handler = self._outstanding.pop(reply.call, None)
        if handler is None:
            return
        if isinstance(reply, Refusal):
            handler.on_refusal(reply, self)
            return
        try:
            handler.on_reply(reply, self)
        except CodecError:
            self._outstanding[reply.call] = handler  # still waits, and is told that the connection is lost
            raise

    def drop(self) -> list[Handler]:
        """Returns all who wait, in the order of their calls; each is to be told that the connection is lost."""
        handlers = list(self._outstanding.values())
        self._outstanding.clear()
        self._calls.clear()
        return handlers

    def take_bodies(self) -> list[bytes]:
        """Returns the queued calls as bodies of frames, none over the limit of a node."""
        if not self._calls:
            return []
        calls, self._calls = self._calls, []
        bodies: list[bytes] = []
        group: list[Call] = []
        group_size = 0
        for call in calls:
            size = _size_of(call)
            if group and group_size + size > FRAME_SIZE_MAX:
                bodies.append(encode(group))
                group, group_size = [], 0
            group.append(call)
            group_size += size
        bodies.append(encode(group))
        return bodies

    def silent_since_ms(self) -> int:
        """Returns since when a reply is owed without a sign of life."""
        return max(self.heard_ms, self._waiting_since_ms)

    def ping(self, *, now_ms: int) -> None:
        """Asks for a sign of life, which every node gives whether it leads or not."""
        self.pinged = True
        self.call(_Ping(), GetStatus, now_ms=now_ms)


class _Ping:
    """Waits for a sign of life; that anything came is all that counts."""

    def on_reply(self, reply: Any, connection: Connection) -> None:
        pass

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        pass

    def on_lost(self, connection: Connection) -> None:
        pass


def _size_of(call: Call) -> int:
    if isinstance(call, Write | Read):
        return len(call.commands) + CALL_OVERHEAD
    if isinstance(call, Watch):
        return len(call.key) + len(call.end) + CALL_OVERHEAD
    return CALL_OVERHEAD
