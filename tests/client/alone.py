"""A real node that is a cluster by itself: the pure `Node` and its store, with memory for a disk, on loopback."""

import asyncio
import ssl
from random import Random
from typing import Any, Self

from libelli.core.codec import FrameReader, frame
from libelli.core.ids import DEFAULT_GROUP, ClusterId, NodeId
from libelli.core.limits import PEER_FRAME_SIZE_MAX
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log.recovery import RecoveredLog
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.host.world import CloseClient, FlushCheckpoint, SendClient, WakeAt, WorldEffect, WriteLog
from libelli.stores.memory import MemoryCheckpoint

CLUSTER = ClusterId("a" * 32)


class _Stream(asyncio.Protocol):
    def __init__(self, alone: "Alone") -> None:
        self.alone = alone
        self.number = 0
        self.reader = FrameReader(size_max=PEER_FRAME_SIZE_MAX)
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.number = self.alone.add(self)

    def data_received(self, data: bytes) -> None:
        for body in self.reader.feed(data):
            self.alone.node.receive_client(self.number, body)
        self.alone.soon()

    def connection_lost(self, error: Exception | None) -> None:
        self.alone.remove(self.number)


class Alone:
    """Attributes:
    endpoint: where it takes clients.
    """

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        self.endpoint = ""
        self.node: Node
        self._context = context
        self._checkpoint = MemoryCheckpoint()
        self._streams: dict[int, _Stream] = {}
        self._last = 0
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(lambda: _Stream(self), "127.0.0.1", 0, ssl=self._context)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        member = Member(NodeId(1), "n1", "here", "127.0.0.1:1", self.endpoint)
        self.node = Node(
            identity=Identity(CLUSTER, NodeId(1), "n1", "here"),
            log=RecoveredLog(CLUSTER, 1, {}, [], 1),
            checkpoints={DEFAULT_GROUP: self._checkpoint},
            founding=Configuration((member,)),
            random=Random(1),
            options=NodeOptions(),
            software="test",
        )
        self.soon()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._timer is not None:
            self._timer.cancel()
        while self._streams:  # noqa: ASYNC110 - the callbacks of this round empty it
            await asyncio.sleep(0)

    def cut(self) -> None:
        """Ends all connections."""
        for stream in list(self._streams.values()):
            stream.transport.abort()

    def add(self, stream: _Stream) -> int:
        self._last += 1
        self._streams[self._last] = stream
        self.node.client_connected(self._last, "alice")
        return self._last

    def remove(self, number: int) -> None:
        if self._streams.pop(number, None) is not None:
            self.node.client_lost(number)

    def soon(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._is_scheduled = False
        for effect in self.node.step(int(self._loop.time() * 1000)):
            self._carry_out(effect)

    def _carry_out(self, effect: WorldEffect) -> None:
        match effect:
            case WriteLog(ticket):
                self.node.written(ticket)
                self.soon()
            case FlushCheckpoint(group, runs):
                self._checkpoint.write(runs)
                self.node.flushed(group)
                self.soon()
            case SendClient(connection, body):
                if (stream := self._streams.get(connection)) is not None:
                    stream.transport.write(frame(body))
            case CloseClient(connection):
                if (stream := self._streams.get(connection)) is not None:
                    stream.transport.close()
            case WakeAt(at_ms):
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at((at_ms + 1) / 1000, self.soon)
