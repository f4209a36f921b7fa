"""A stream of frames over one TLS connection: what streams of peers and of clients have in common.

::

    bytes ─► FrameReader ─► greet(first body), then take(body) …          one call for all that arrived together
    send(body) ─► one transport.write a frame; TLS makes records of it

A stream says who is on the other side before the first byte is read, counts what was not yet taken by the
network, and has a few seconds to say hello.
"""

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, cast

from libelli.core.codec import FrameReader, frame
from libelli.core.errors import CertificateError, CodecError
from libelli.live.certificates import CertificateWatch, Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO_TIMEOUT_S = 10.0
"""From the connection to the end of the greeting; the TLS handshake has as long again."""

_log = logging.getLogger(__name__)


class FrameStream(asyncio.Protocol):
    """One connection; subclasses say what frames mean.

    Args:
        size_max: of a received frame's body, in bytes.
        high_bytes: `pause_writing` is called when more than this waits to be sent.
        certificates: to tell who is there; None: plain text.
        kind: of certificate that the other side must show; None: any.
        expected: the only bearer that may be there; None: any.
    """

    def __init__(
        self,
        *,
        size_max: int,
        high_bytes: int,
        certificates: CertificateWatch | None,
        kind: Kind | None,
        expected: str | None = None,
    ) -> None:
        self._reader = FrameReader(size_max=size_max)
        self._high_bytes = high_bytes
        self._certificates = certificates
        self._kind = kind
        self._expected = expected
        self._hello_timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.certificate: Identity | None = None
        """Who is there, in TLS."""
        self.address = ""
        """From where, for people."""
        self.is_greeted = False
        self.why_closed = ""

    # ── what subclasses do ────────────────────────────────────────────────────────────────────────────────

    def opened(self) -> None:
        """The connection is there, and its certificate is admitted."""

    def greet(self, body: bytes) -> None:
        """Takes the first frame.

        Raises:
            CodecError: the stream is closed.
        """
        raise NotImplementedError

    def take(self, body: bytes) -> None:
        """Takes a later frame.

        Raises:
            CodecError: the stream is closed.
        """
        raise NotImplementedError

    def closed(self) -> None:
        """The connection is gone; called once after `opened`."""

    # ── what it offers ────────────────────────────────────────────────────────────────────────────────────

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the network has not yet taken."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def send(self, body: bytes) -> None:
        """Sends a frame."""
        if self.transport is not None:
            self.transport.write(frame(body))

    def close(self, why: str, *, at_once: bool = False) -> None:
        """Ends the connection, after what is queued unless `at_once`."""
        self.why_closed = self.why_closed or why
        if self.transport is not None:
            if at_once:
                self.transport.abort()
            else:
                self.transport.close()

    def say_hello_is_done(self) -> None:
        """The greeting is over: the stream may be silent from now on."""
        self.is_greeted = True
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None

    # ── asyncio ───────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Looks at the certificate; nobody is let in without."""
        transport = cast("asyncio.Transport", transport)  # uvloop's have the methods, but not that ancestor
        self.transport = transport
        self.address = _shown_address(transport.get_extra_info("peername"))
        transport.set_write_buffer_limits(high=self._high_bytes)
        try:
            self.certificate = self._admit(transport.get_extra_info("ssl_object"))
        except CertificateError as error:
            self.refused(str(error))
            self.transport = None
            return
        loop = asyncio.get_running_loop()
        self._hello_timer = loop.call_later(HELLO_TIMEOUT_S, self._hello_is_late)
        self.opened()

    def refused(self, why: str) -> None:
        """The certificate may not speak here: ends the connection; `opened` is not called."""
        _log.warning("connection from %s refused: %s", self.address, why)
        self.close(why, at_once=True)

    def data_received(self, data: bytes) -> None:
        """Takes all frames that `data` completes."""
        if self.transport is None or self.why_closed:
            return
        try:
            self._take_frames(self._reader.feed(data))
        except CodecError as error:
            self.close(str(error), at_once=True)

    def connection_lost(self, error: Exception | None) -> None:
        """Tells the subclass."""
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None
        if self.transport is None:
            return
        self.transport = None
        self.why_closed = self.why_closed or (str(error) if error else "closed by the other side")
        self.closed()

    def _take_frames(self, bodies: "Iterator[bytes]") -> None:
        for body in bodies:
            if self.is_greeted:
                self.take(body)
            elif not self.why_closed:
                self.greet(body)

    def _admit(self, connection: ssl.SSLObject | None) -> Identity | None:
        if self._certificates is None:
            return None
        if connection is None:
            raise CertificateError("the connection has no TLS")
        return self._certificates.admit(connection, kind=self._kind, name=self._expected)

    def _hello_is_late(self) -> None:
        self._hello_timer = None
        self.close(f"no greeting within {HELLO_TIMEOUT_S:g} s", at_once=True)


def _shown_address(peername: object) -> str:
    match peername:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            return "unknown"
