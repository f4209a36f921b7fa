"""A fake cluster on loopback: one listener for each node, plain or with mutual TLS."""

import asyncio
import ssl
from collections.abc import Sequence
from itertools import count
from typing import Any, Self

from libelli.core.calls import Reply, Write
from libelli.core.codec import FrameReader, encode, frame
from libelli.core.ids import NodeId
from libelli.core.limits import MIB
from libelli.core.members import Member
from tests.client.cluster import FakeCluster


class _Door(asyncio.Protocol):
    def __init__(self, listening: "Listening", node: int) -> None:
        self.listening = listening
        self.node = node
        self.number = next(listening.numbers)
        self.reader = FrameReader(size_max=16 * MIB)
        self.greeted = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.listening.doors[self.number] = self

    def connection_lost(self, error: Exception | None) -> None:
        self.listening.doors.pop(self.number, None)
        for key in [key for key in self.listening.cluster.watches if key[0] == self.number]:
            del self.listening.cluster.watches[key]

    def data_received(self, data: bytes) -> None:
        cluster = self.listening.cluster
        for body in self.reader.feed(data):
            if not self.greeted:
                self.greeted = True
                self.transport.write(frame(cluster.welcome(self.node, body)))
                continue
            before = cluster.revision
            self.say(cluster.take(self.node, self.number, body))
            if cluster.revision > before:
                self.listening.publish(since=before + 1)

    def say(self, replies: Sequence[Reply]) -> None:
        if replies:
            self.transport.write(frame(encode(replies)))


class Listening:
    """Attributes:
    endpoints: one address for each node.
    """

    def __init__(self, cluster: FakeCluster, *, contexts: Sequence[ssl.SSLContext] = ()) -> None:
        self.cluster = cluster
        self.contexts = contexts
        self.numbers = count(1)
        self.doors: dict[int, _Door] = {}
        self.endpoints: list[str] = []
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        members = []
        for position, member in enumerate(self.cluster.members):
            node = int(member.node)
            context = self.contexts[position] if self.contexts else None
            server = await loop.create_server(lambda n=node: _Door(self, n), "127.0.0.1", 0, ssl=context)
            self._servers.append(server)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.endpoints.append(address)
            members.append(Member(NodeId(node), member.name, client_address=address))
        self.cluster.members = tuple(members)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        self.cut()
        while self.doors:  # noqa: ASYNC110 - the callbacks of this round empty it
            await asyncio.sleep(0)

    def cut(self) -> None:
        """Ends all connections."""
        for door in list(self.doors.values()):
            door.transport.abort()

    def stop(self, node: int) -> None:
        """Ends a node for good."""
        self._servers[node - 1].close()
        for door in list(self.doors.values()):
            if door.node == node:
                door.transport.abort()

    def publish(self, *, since: int) -> None:
        for (connection, _), watch in list(self.cluster.watches.items()):
            if (door := self.doors.get(connection)) is not None:
                door.say(self.cluster.changes(watch, since=since))


def writes(cluster: FakeCluster) -> int:
    return sum(isinstance(call, Write) for _, call in cluster.calls)
