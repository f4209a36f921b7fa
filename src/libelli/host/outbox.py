"""What a node's replicas want from the world, gathered over one step.

All Persists of a step become one write of the log, whatever their group; all messages to one node become one
frame; all answers on one connection become one frame.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from libelli.core.calls import Reply
from libelli.core.codec import encode
from libelli.core.effects import Persist, Send
from libelli.core.errors import InvariantError
from libelli.core.ids import GroupId, NodeId
from libelli.core.limits import MIB
from libelli.host.log.layout import LogRecord
from libelli.host.world import SendClient, SendPeer, WorldEffect, WriteLog

FRAME_SIZE_GOAL = 8 * MIB
"""A frame to a peer or client that is larger is sent as several, down to one message each."""


class Outbox:
    """Collects effects; `take` turns them into the world's."""

    def __init__(self) -> None:
        self._ticket = 0
        self._waiting: dict[int, list[tuple[GroupId, Persist]]] = {}
        self._records: list[LogRecord] = []
        self._persists: list[tuple[GroupId, Persist]] = []
        self._done: list[tuple[GroupId, Persist]] = []
        self._peers: dict[NodeId, list[tuple[GroupId, Any]]] = {}
        self._clients: dict[int, list[Reply]] = {}
        self._effects: list[WorldEffect] = []

    @property
    def writes_waiting(self) -> int:
        """Writes of the log that the world has not answered."""
        return len(self._waiting)

    def send(self, group: GroupId, effect: Send, *, is_durable: bool) -> None:
        """Queues a message.

        Raises:
            InvariantError: it promises durability, but is not sent after a Persist.
        """
        if not is_durable and effect.payload.promises_durability:
            raise InvariantError(f"{type(effect.payload).__name__} promises durability and was sent before it")
        self.send_peer(effect.dest, group, effect.payload)

    def send_peer(self, dest: NodeId, group: GroupId, payload: Any) -> None:
        """Queues a message that promises nothing."""
        self._peers.setdefault(dest, []).append((group, payload))

    def reply(self, connection: int, reply: Reply) -> None:
        """Queues an answer to a client."""
        self._clients.setdefault(connection, []).append(reply)

    def add(self, effect: WorldEffect) -> None:
        """Queues an effect as it is."""
        self._effects.append(effect)

    def persist(self, group: GroupId, effect: Persist) -> None:
        """Queues records for the next write of the log."""
        if effect.records:
            self._records.extend((group, record) for record in effect.records)
            self._persists.append((group, effect))
        elif self._persists:
            self._persists.append((group, effect))
        elif self._waiting:
            self._waiting[self._ticket].append((group, effect))
        else:
            self._done.append((group, effect))

    def take_done(self) -> list[tuple[GroupId, Persist]]:
        """Returns Persists that had nothing to wait for."""
        done, self._done = self._done, []
        return done

    def written(self, ticket: int) -> list[tuple[GroupId, Persist]]:
        """Returns the Persists that a write of the log has completed."""
        return self._waiting.pop(ticket, [])

    def take(self) -> list[WorldEffect]:
        """Returns everything that was gathered, the write of the log first: it takes longest."""
        effects: list[WorldEffect] = []
        if self._records:
            self._ticket += 1
            self._waiting[self._ticket] = self._persists
            effects.append(WriteLog(self._ticket, tuple(self._records)))
            self._records, self._persists = [], []
        for node, payloads in self._peers.items():
            effects += [SendPeer(node, body) for body in _bodies(payloads)]
        for connection, replies in self._clients.items():
            effects += [SendClient(connection, body) for body in _bodies(replies)]
        self._peers, self._clients = {}, {}
        effects += self._effects
        self._effects = []
        return effects


def _bodies(messages: Sequence[Any]) -> Iterator[bytes]:
    """Yields the messages as few bodies; large ones are rare, so encoding them twice is cheaper than measuring all."""
    body = encode(messages)
    if len(body) <= FRAME_SIZE_GOAL or len(messages) == 1:
        yield body
        return
    middle = len(messages) // 2
    yield from _bodies(messages[:middle])
    yield from _bodies(messages[middle:])
