"""Streams to nodes on an asyncio event loop: frames over TLS, and what went wrong in words."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from typing import cast

from libelli.client.trust import Trust, node_name
from libelli.core.codec import FrameReader, frame
from libelli.core.errors import CertificateError, CodecError, ConfigurationError
from libelli.core.limits import MIB

REPLIES_SIZE_MAX = 128 * MIB
"""One frame of a node, which answers many calls at once; what this client asks for at a time stays far below it."""
CERTIFICATE_WORDS = ("CERTIFICATE", "UNKNOWN_CA", "BAD_SIGNATURE")
"""In the reasons of OpenSSL that no further attempt changes."""

Connected = Callable[[str], None]
Received = Callable[[list[bytes]], None]
Lost = Callable[[str, bool], None]


class NodeStream(asyncio.Protocol):
    """One connection to a node.

    Args:
        on_connected: told the name in the node's certificate, or an empty one in plain text.
        on_received: told the bodies of the frames that have arrived.
        on_lost: told why the stream has ended and whether that is for good; not after `close`.
    """

    def __init__(self, *, on_connected: Connected, on_received: Received, on_lost: Lost) -> None:
        self._on_connected = on_connected
        self._on_received = on_received
        self._on_lost: Lost | None = on_lost
        self._reader = FrameReader(size_max=REPLIES_SIZE_MAX)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`; under TLS the handshake is done."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        if self._on_lost is None:  # closed while it was being made
            self._transport.abort()
            return
        encrypted = transport.get_extra_info("ssl_object")
        try:
            peer = node_name(encrypted) if encrypted is not None else ""
        except CertificateError as error:
            self._end(str(error), hopeless=True)
            return
        self._on_connected(peer)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            bodies = list(self._reader.feed(data))
        except CodecError as error:
            self._end(str(error), hopeless=False)
            return
        if bodies and self._on_lost is not None:
            self._on_received(bodies)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        reason, hopeless = explain(error) if error is not None else ("the node has closed the connection", False)
        self._end(reason, hopeless=hopeless)

    def send(self, body: bytes) -> None:
        """Sends one frame; on a stream that has ended it is dropped."""
        if self._transport is not None:
            self._transport.write(frame(body))

    def close(self) -> None:
        """Ends the stream; nobody is told."""
        self._on_lost = None
        if self._transport is not None:
            self._transport.abort()

    def _end(self, reason: str, *, hopeless: bool) -> None:
        on_lost, self._on_lost = self._on_lost, None
        if self._transport is not None:
            self._transport.abort()
        if on_lost is not None:
            on_lost(reason, hopeless)


async def dial(address: str, stream: NodeStream, *, trust: Trust) -> None:
    """Connects `stream` to `host:port`.

    Raises:
        ConfigurationError: the address or the certificates cannot work.
        OSError: nobody is reached, or the handshake fails.
    """
    host, port = split_address(address)
    context = trust.context()
    if context is None and not _is_loopback(host):
        raise ConfigurationError(f"{address} is not on this machine, and only there plain text is spoken: use TLS")
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: stream, host, port, ssl=context, server_hostname=host if context else None)


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of `host:port` or `[host]:port`.

    Raises:
        ConfigurationError: it is neither.
    """
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ConfigurationError(f"{address!r} is no address: write host:port, such as 127.0.0.1:7401 or [::1]:7401")
    return host, int(port)


def explain(error: Exception) -> tuple[str, bool]:
    """Returns why a stream failed in one line, and whether trying again is hopeless."""
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        refused = any(word in reason for word in CERTIFICATE_WORDS)
        detail = getattr(error, "verify_message", "") or reason
        return f"the TLS handshake failed ({detail}): check both certificates", refused
    if isinstance(error, ConfigurationError):
        return str(error), True
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__, False
    return f"{type(error).__name__}: {error}", False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
