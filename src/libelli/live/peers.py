"""Streams to the other nodes: one a pair, dialled by the node with the lower number, and dialled again when lost.

::

    node 1                         node 2
      dial ───────── TLS ──────────► accept          each side checks the other's certificate
      PeerHello ───────────────────►                 and its hello: cluster, number, name, version
      ◄─────────────────── PeerHello
      frames ◄─────────────────────► frames

Raft expects messages to be lost, so a peer that does not read is not waited for: beyond a limit its frames are
dropped. One line is logged when a stream is lost, one when it is back, and one when a node is refused.
"""

import asyncio
import logging
import ssl
from random import Random
from typing import Protocol

from libelli.core.codec import encode
from libelli.core.errors import ConfigurationError
from libelli.core.ids import NodeId
from libelli.core.limits import MIB, PEER_FRAME_SIZE_MAX
from libelli.host.identity import Identity
from libelli.host.peering import hello_of, peer_hello_decoder, why_refuse_peer
from libelli.live.addresses import parse_address
from libelli.live.certificates import CertificateWatch, Kind
from libelli.live.clients import Wake
from libelli.live.logs import fields
from libelli.live.streams import FrameStream

PEER_BUFFER_SIZE_MAX = 32 * MIB
"""What waits to be sent to one peer; beyond it frames are dropped."""
DIAL_TIMEOUT_S = 5.0
BACK_OFF_FIRST_S = 0.05
BACK_OFF_MAX_S = 2.0

_log = logging.getLogger(__name__)


class PeerNode(Protocol):
    """What the streams need of a node (`host.node.Node`)."""

    def receive_peer(self, source: NodeId, body: bytes) -> None:
        """Takes a frame.

        Raises:
            CodecError: it cannot be read.
        """


class Peers:
    """The streams of one node.

    Args:
        node: gets the frames.
        identity: this node.
        wake: asks for a step of the node.
        certificates: None: plain text.
        random: for the jitter of the back-off.
        founding: a hash over the founding members, which all founders must have; empty for a node that joined.
    """

    def __init__(
        self,
        node: PeerNode,
        *,
        identity: Identity,
        wake: Wake,
        certificates: CertificateWatch | None,
        random: Random,
        founding: str = "",
    ) -> None:
        self.node = node
        self.identity = identity
        self.wake = wake
        self.certificates = certificates
        self.random = random
        self.founding = founding
        self.streams: dict[NodeId, PeerStream] = {}
        self.dropped_frames = 0
        self._diallers: dict[NodeId, Dialler] = {}
        self._listed: dict[NodeId, str] = {}
        self._troubles: dict[NodeId, str] = {}

    # ── what the node wants ───────────────────────────────────────────────────────────────────────────────

    def keep(self, peers: tuple[tuple[NodeId, str, str], ...]) -> None:
        """Keeps streams to these nodes (number, name, address), and to no others."""
        listed = {node: name for node, name, _ in peers}
        for node in [node for node in self._listed if node not in listed]:
            if (stream := self.streams.get(node)) is not None:
                stream.close("it is no member any more")
        self._listed = listed
        wanted = {node: (name, address) for node, name, address in peers if node > self.identity.node}
        for node, dialler in list(self._diallers.items()):
            if wanted.get(node) != (dialler.name, dialler.address):
                self._diallers.pop(node).stop()
                if (stream := self.streams.get(node)) is not None:
                    stream.close("its address has changed")
        for node, (name, address) in wanted.items():
            if node not in self._diallers:
                self._diallers[node] = Dialler(self, node=node, name=name, address=address)

    def send(self, node: NodeId, body: bytes) -> None:
        """Sends a frame, or drops it: no stream, or one that is full."""
        stream = self.streams.get(node)
        if stream is None:
            return
        if stream.waiting_bytes > PEER_BUFFER_SIZE_MAX:
            self.dropped_frames += 1
            return
        stream.send(body)

    def member_name(self, node: NodeId) -> str | None:
        """Returns the name of the member with this number, as far as it is known here."""
        return self._listed.get(node)

    def close_revoked(self) -> None:
        """Ends the streams whose certificates are revoked by now."""
        for stream in list(self.streams.values()):
            if self.certificates and stream.certificate and self.certificates.is_revoked(stream.certificate):
                stream.close("its certificate is revoked", at_once=True)

    def close_all(self, reason: str) -> None:
        """Ends all streams and dials no more."""
        self._listed = {}
        for dialler in self._diallers.values():
            dialler.stop()
        self._diallers.clear()
        for stream in list(self.streams.values()):
            stream.close(reason)

    # ── what streams say ──────────────────────────────────────────────────────────────────────────────────

    def accept(self) -> "PeerStream":
        """Makes the protocol object of a connection that another node dialled, for `create_server`."""
        return PeerStream(self, expected=None)

    def greeted(self, stream: "PeerStream") -> None:
        """A stream is up; a former one to the same node is not used any more."""
        former = self.streams.get(stream.node)
        self.streams[stream.node] = stream
        if former is not None:
            former.close("a newer stream took its place", at_once=True)
        self._troubles.pop(stream.node, None)
        _log.info("peer is connected", extra=fields(peer=stream.name, node=stream.node, address=stream.address))

    def lost(self, stream: "PeerStream") -> None:
        """A stream is gone."""
        if self.streams.get(stream.node) is stream:
            del self.streams[stream.node]
            if stream.node in self._listed:
                self.tell_absence(stream.node, stream.name, stream.why_closed, event="peer is lost")

    def tell_trouble(self, node: NodeId, name: str, why: str, *, event: str = "peer is not reached") -> None:
        """Logs why there is no stream to a node: once, and again for each refusal that is another."""
        known = self._troubles.get(node)
        self._troubles[node] = why
        if known is None or known != why:
            _log.warning(event, extra=fields(peer=name, node=node, why=why))

    def tell_absence(self, node: NodeId, name: str, why: str, *, event: str = "peer is not reached") -> None:
        """Logs that nobody is there, unless it is known that there is no stream."""
        if node not in self._troubles:
            self.tell_trouble(node, name, why, event=event)


class PeerStream(FrameStream):
    """One stream between this node and another.

    Args:
        peers: all of them.
        expected: number and name of the node that was dialled; None: it dialled.
    """

    def __init__(self, peers: Peers, *, expected: tuple[NodeId, str] | None) -> None:
        super().__init__(
            size_max=PEER_FRAME_SIZE_MAX,
            high_bytes=PEER_BUFFER_SIZE_MAX,
            certificates=peers.certificates,
            kind=Kind.PEER,
            expected=expected[1] if expected else None,
        )
        self._peers = peers
        self._node = peers.node
        self._dialled = expected[0] if expected else None
        self.node: NodeId = expected[0] if expected else NodeId(0)
        self.name = expected[1] if expected else ""
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone, with the reason."""

    def opened(self) -> None:
        """Says who this node is."""
        self.send(encode(hello_of(self._peers.identity, founding=self._peers.founding)))

    def refused(self, why: str) -> None:
        """Its certificate may not speak here; whoever dials tells it, once."""
        if self._dialled is None:
            super().refused(why)
        else:
            self.close(why, at_once=True)
        self._finish(why)

    def greet(self, body: bytes) -> None:
        """Checks who the other says it is."""
        hello = peer_hello_decoder.decode(body)
        name = self.certificate.name if self.certificate is not None else None
        why = why_refuse_peer(
            hello,
            identity=self._peers.identity,
            certificate_name=name,
            expected=self._dialled,
            founding=self._peers.founding,
            member_name=self._peers.member_name(hello.node),
        )
        if why is not None:
            if self._dialled is None:
                self._peers.tell_trouble(hello.node, hello.name, why)
            self.close(why)
            return
        self.node, self.name = hello.node, hello.name
        self.say_hello_is_done()
        self._peers.greeted(self)

    def take(self, body: bytes) -> None:
        """Hands a frame to the node."""
        self._node.receive_peer(self.node, body)
        self._peers.wake()

    def closed(self) -> None:
        """Tells the others, and whoever dials again."""
        if self.is_greeted:
            self._peers.lost(self)
        self._finish(self.why_closed)

    def _finish(self, why: str) -> None:
        if not self.gone.done():
            self.gone.set_result(why)


class Dialler:
    """Dials one node again and again, later and later, until told to stop."""

    def __init__(self, peers: Peers, *, node: NodeId, name: str, address: str) -> None:
        self.node = node
        self.name = name
        self.address = address
        self.tries = 0
        self._peers = peers
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"dial {name}")

    def stop(self) -> None:
        """Dials no more; the stream that is up stays."""
        self._task.cancel()

    async def _run(self) -> None:
        delay_s = BACK_OFF_FIRST_S
        while True:
            self.tries += 1
            stream = await self._dial()
            if stream is not None:
                why = await asyncio.shield(stream.gone)
                if stream.is_greeted:
                    delay_s = BACK_OFF_FIRST_S
                else:
                    self._peers.tell_trouble(self.node, self.name, why)
            await asyncio.sleep(delay_s * (0.5 + self._peers.random.random()))
            delay_s = min(2 * delay_s, BACK_OFF_MAX_S)

    async def _dial(self) -> "PeerStream | None":
        try:
            async with asyncio.timeout(2 * DIAL_TIMEOUT_S):
                return await self._connect()
        except TimeoutError:
            self._peers.tell_absence(self.node, self.name, f"{self.address} does not answer")
        except (ssl.SSLError, ConfigurationError, UnicodeError) as error:
            self._peers.tell_trouble(self.node, self.name, f"{self.address}: {error}")
        except OSError as error:
            self._peers.tell_absence(self.node, self.name, f"{self.address}: {error.strerror or error}")
        return None

    async def _connect(self) -> "PeerStream":
        certificates = self._peers.certificates
        target = parse_address(self.address, what=f"peer address of {self.name}")
        if certificates is None and not target.is_loopback:
            raise ConfigurationError("it is no loopback address, and plain text is not sent to any other")
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: PeerStream(self._peers, expected=(self.node, self.name)),
            target.host,
            target.port,
            ssl=certificates.client_context if certificates is not None else None,
            server_hostname=target.host if certificates is not None else None,
            ssl_handshake_timeout=DIAL_TIMEOUT_S if certificates is not None else None,
        )
        return stream
