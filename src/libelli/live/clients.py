"""The door for native sessions: connections of clients, bounded in number and in what may wait for them.

A client that does not read its answers is told to the node (`client_full`), which then holds its watches back,
and is not read from until it has caught up. One that still lets too much gather is cut off.
"""

import logging
from typing import Protocol

from libelli.core.calls import Welcome
from libelli.core.codec import encode, frame
from libelli.core.errors import Code
from libelli.core.ids import NO_NODE
from libelli.core.limits import CONNECTIONS_MAX, FRAME_SIZE_MAX, KIB, MIB
from libelli.live.certificates import CertificateWatch
from libelli.live.logs import fields
from libelli.live.streams import FrameStream

CLIENT_FRAME_SIZE_MAX = FRAME_SIZE_MAX + 64 * KIB
"""A frame of calls: commands up to their limit, and what the calls add."""
CLIENT_BUFFER_SIZE_HIGH = MIB
"""Answers that wait to be sent: beyond it the client is full."""
CLIENT_BUFFER_SIZE_MAX = 64 * MIB
"""Beyond it the connection is cut: its calls may have happened, and it does not listen."""
PLAIN_IDENTITY = "plain"
"""The name of everybody who comes without a certificate."""

_log = logging.getLogger(__name__)


class ClientNode(Protocol):
    """What the door needs of a node (`host.node.Node`)."""

    def client_connected(self, connection: int, identity: str) -> None:
        """A client connected."""

    def client_lost(self, connection: int) -> None:
        """A client is gone."""

    def client_full(self, connection: int, *, is_full: bool) -> None:
        """A client does not take more, or takes more again."""

    def receive_client(self, connection: int, body: bytes) -> None:
        """Takes a frame."""


class Clients:
    """All connections of clients.

    Args:
        node: gets what they say.
        wake: asks for a step of the node.
        certificates: None: plain text.
        connections_max: more are turned away.
    """

    def __init__(
        self,
        node: ClientNode,
        *,
        wake: "Wake",
        certificates: CertificateWatch | None,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.node = node
        self.wake = wake
        self.certificates = certificates
        self.connections_max = connections_max
        self.streams: dict[int, ClientStream] = {}
        self.turned_away = 0
        self._last_number = 0

    def new_stream(self) -> "ClientStream":
        """Makes the protocol object of one connection, for `create_server`."""
        return ClientStream(self)

    def next_number(self) -> int:
        """Returns a number for a connection."""
        self._last_number += 1
        return self._last_number

    def send(self, connection: int, body: bytes) -> None:
        """Sends a frame, or drops it when the connection is gone."""
        stream = self.streams.get(connection)
        if stream is not None:
            stream.send(body)

    def close(self, connection: int, reason: str) -> None:
        """Ends a connection after what is queued."""
        stream = self.streams.get(connection)
        if stream is not None:
            _log.info("client is sent away", extra=fields(client=stream.name, address=stream.address, why=reason))
            stream.close(reason)

    def close_revoked(self) -> None:
        """Ends the connections whose certificates are revoked by now."""
        for stream in list(self.streams.values()):
            if self.certificates and stream.certificate and self.certificates.is_revoked(stream.certificate):
                stream.close("its certificate is revoked", at_once=True)

    def close_all(self, reason: str) -> None:
        """Ends every connection after what is queued."""
        for stream in list(self.streams.values()):
            stream.close(reason)


class Wake(Protocol):
    """Asks for a step of the node, soon; asking twice is asking once."""

    def __call__(self) -> None:
        """Asks."""


class ClientStream(FrameStream):
    """One client's connection."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(
            size_max=CLIENT_FRAME_SIZE_MAX,
            high_bytes=CLIENT_BUFFER_SIZE_HIGH,
            certificates=clients.certificates,
            kind=None,  # a node calls too, for the doors that it opens to others
        )
        self._clients = clients
        self._node = clients.node
        self.number = 0
        self.name = PLAIN_IDENTITY

    def opened(self) -> None:
        """Tells the node, unless too many are here."""
        clients = self._clients
        if len(clients.streams) >= clients.connections_max:
            clients.turned_away += 1
            self.close(f"{clients.connections_max} clients are here already", at_once=True)
            return
        if self.certificate is not None:
            self.name = self.certificate.name
        self.number = clients.next_number()
        clients.streams[self.number] = self
        self._node.client_connected(self.number, self.name)

    def refused(self, why: str) -> None:
        """Says why before it ends the connection: a client whose certificate was revoked should know."""
        _log.warning("client is refused", extra=fields(address=self.address, why=why))
        welcome = Welcome("", NO_NODE, 0, code=Code.DENIED, message=why)
        super().send(encode(welcome))
        self.close(why)

    def greet(self, body: bytes) -> None:
        """Hands the hello to the node, which answers it."""
        self.say_hello_is_done()
        self.take(body)

    def take(self, body: bytes) -> None:
        """Hands a frame to the node."""
        self._node.receive_client(self.number, body)
        self._clients.wake()

    def send(self, body: bytes) -> None:
        """Sends a frame, or cuts off a client that lets too much gather."""
        transport = self.transport
        if transport is None:
            return
        transport.write(frame(body))
        if transport.get_write_buffer_size() > CLIENT_BUFFER_SIZE_MAX:
            _log.warning("client is cut off: it does not read its answers", extra=fields(
                client=self.name, address=self.address, waiting_bytes=self.waiting_bytes,
                waiting_bytes_max=CLIENT_BUFFER_SIZE_MAX,
            ))  # fmt: skip
            self.close("it does not read its answers", at_once=True)

    def pause_writing(self) -> None:
        """The client is full: nothing more is read from it."""
        if self.number and self.transport is not None:
            self.transport.pause_reading()
            self._node.client_full(self.number, is_full=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self.number and self.transport is not None:
            self.transport.resume_reading()
            self._node.client_full(self.number, is_full=False)
            self._clients.wake()

    def closed(self) -> None:
        """Tells the node."""
        if self._clients.streams.pop(self.number, None) is not None:
            self._node.client_lost(self.number)
            self._clients.wake()
