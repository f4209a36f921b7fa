"""A connection for unary gRPC calls of one method, at about ten microseconds of Python each.

What makes it cheap:

- A request is one `pack` and three joins: the six-byte header block never changes (`hpack_request`).
- We announce a header table of 0 bytes, so the server's header blocks refer to no state, and equal answers have
  equal bytes. Each different block is decoded once, with `hpack`, and looked up afterwards.
- Requests of one turn of the event loop leave in one write.

Flow control is kept: DATA waits when the server's window is spent; our own window is opened wide, and again
whenever half of it is used.

Source: RFC 9113 sections 5.2 and 6.9 (flow control); "gRPC over HTTP2" (status in the trailers).
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

import hpack

from libelli.lab.bench.etcd import http2
from libelli.lab.bench.etcd.hpack_request import LATER_BLOCK, TABLE_BYTES_NEEDED, first_block

REFILL_BYTES = http2.WINDOW_BYTES_MAX // 2

_CALL = struct.Struct(f">BHBBL{len(LATER_BLOCK)}sBHBBL")
_SUCCEEDED = "0"

OnAnswer = Callable[[int, int, str | None], None]
"""token, bytes of the answer, and None or what went wrong."""


class CallConnection(asyncio.Protocol):
    """Many unary calls of one method under way on one connection.

    Args:
        path: the method, ``/package.Service/Method``.
        authority: ``host:port``.
        on_answer: called once for each call; with a reason for all that were under way if the connection ends.
    """

    def __init__(self, *, path: str, authority: str, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._block = first_block(path=path, authority=authority)
        self._loop = asyncio.get_running_loop()
        self._reader = http2.FrameReader()
        self._decoder = hpack.Decoder()
        self._decoder.max_allowed_table_size = 0
        self._statuses: dict[bytes, str | None] = {}
        self._transport: asyncio.Transport | None = None
        self._next_stream = 1
        self._tokens: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._window_bytes = http2.WINDOW_BYTES_DEFAULT
        self._stream_window_bytes = http2.WINDOW_BYTES_DEFAULT
        self._received_bytes = 0
        self._backlog: deque[tuple[bytes, int]] = deque()
        self._output: list[bytes] = []
        self.ended: str | None = None

    @classmethod
    async def connect(cls, *, host: str, port: int, path: str, on_answer: OnAnswer) -> "CallConnection":
        """Returns a connection that is ready for calls."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: cls(path=path, authority=f"{host}:{port}", on_answer=on_answer), host, port
        )
        return connection

    def call(self, message: bytes, token: int) -> None:
        """Sends one request, soon.

        Args:
            message: with gRPC's prefix, at most one frame long.
            token: handed to `on_answer`.

        Raises:
            ValueError: the message is too long; nothing is sent.
        """
        size = len(message)
        if size > http2.FRAME_BYTES_MAX:
            raise ValueError(f"a message of {size} bytes; {http2.FRAME_BYTES_MAX} fit into one frame")
        if self.ended is not None:
            self._on_answer(token, 0, self.ended)
        elif self._backlog or size > self._window_bytes:
            self._backlog.append((message, token))
        else:
            self._send(message, token)

    def close(self) -> None:
        """Closes the connection; no call to `on_answer` afterwards."""
        self.ended = "closed"
        self._tokens.clear()
        self._backlog.clear()
        if self._transport is not None:
            self._transport.close()

    def _send(self, message: bytes, token: int) -> None:
        stream, size = self._next_stream, len(message)
        self._next_stream = stream + 2
        self._tokens[stream] = token
        self._window_bytes -= size
        if not self._output:
            self._loop.call_soon(self._flush)
        if self._block is not LATER_BLOCK:
            self._output.append(http2.frame(http2.HEADERS, http2.END_HEADERS, stream, self._block))
            self._output.append(http2.frame(http2.DATA, http2.END_STREAM, stream, message))
            self._block = LATER_BLOCK
            return
        head = _CALL.pack(
            0,
            len(LATER_BLOCK),
            http2.HEADERS,
            http2.END_HEADERS,
            stream,
            LATER_BLOCK,
            0,
            size,
            http2.DATA,
            http2.END_STREAM,
            stream,
        )  # fmt: skip - one frame a line
        self._output.append(head + message)

    def _flush(self) -> None:
        if self._transport is not None and self._output:
            self._transport.write(b"".join(self._output))
        self._output.clear()

    def _write(self, data: bytes) -> None:
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(data)

    # What asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are transports without being a subclass.
        self._transport = cast(asyncio.Transport, transport)
        settings = {
            http2.SETTINGS_HEADER_TABLE_SIZE: 0,
            http2.SETTINGS_ENABLE_PUSH: 0,
            http2.SETTINGS_INITIAL_WINDOW_SIZE: http2.WINDOW_BYTES_MAX,
        }
        more_bytes = http2.WINDOW_BYTES_MAX - http2.WINDOW_BYTES_DEFAULT
        self._transport.write(http2.PREFACE + http2.settings_frame(settings) + http2.window_update_frame(0, more_bytes))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost: {exc or 'closed by the server'}")

    def data_received(self, data: bytes) -> None:
        try:
            for kind, flags, stream, payload in self._reader.feed(data):
                if kind == http2.DATA:
                    self._on_data(flags, stream, payload)
                elif kind == http2.HEADERS:
                    self._on_headers(flags, stream, payload)
                else:
                    self._on_other(kind, flags, stream, payload)
        except (http2.ProtocolError, hpack.HPACKError) as error:
            self._end(f"not understood: {error}")
            if self._transport is not None:
                self._transport.abort()

    # What the server tells us

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        self._sizes[stream] = self._sizes.get(stream, 0) + size
        self._received_bytes += size
        if self._received_bytes > REFILL_BYTES:
            self._write(http2.window_update_frame(0, self._received_bytes))
            self._received_bytes = 0
        if flags & http2.END_STREAM:
            self._answer(stream, "ended without a status")

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = http2.header_block(flags, payload)
        if block not in self._statuses:
            self._statuses[block] = self._status_of(block)
        if flags & http2.END_STREAM:
            self._answer(stream, self._statuses[block])

    def _status_of(self, block: bytes) -> str | None:
        """Decodes a header block; None if it says that the call succeeded."""
        fields = {str(name): str(value) for name, value in self._decoder.decode(block)}
        status = fields.get("grpc-status")
        if status == _SUCCEEDED:
            return None
        return f"gRPC status {status}: {fields.get('grpc-message', '')} (HTTP {fields.get(':status')})"

    def _on_other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case http2.WINDOW_UPDATE:
                if stream == 0:
                    self._window_bytes += http2.word_of(payload)
                    self._send_backlog()
            case http2.PING:
                if not flags & http2.ACK:
                    self._write(http2.frame(http2.PING, http2.ACK, 0, payload))
            case http2.SETTINGS:
                if not flags & http2.ACK:
                    self._on_settings(http2.settings_of(payload))
            case http2.RST_STREAM:
                self._answer(stream, f"stream reset, code {http2.word_of(payload)}")
            case http2.GOAWAY:
                self._end(f"the server goes away: {payload[8:].decode(errors='replace')}")
            case http2.PRIORITY:
                pass
            case _:
                raise http2.ProtocolError(f"frame type {kind} has no place in an answer")

    def _on_settings(self, settings: dict[int, int]) -> None:
        table_bytes = settings.get(http2.SETTINGS_HEADER_TABLE_SIZE, TABLE_BYTES_NEEDED)
        if table_bytes < TABLE_BYTES_NEEDED:
            raise http2.ProtocolError(f"header table of {table_bytes} bytes; {TABLE_BYTES_NEEDED} are needed")
        stream_bytes = settings.get(http2.SETTINGS_INITIAL_WINDOW_SIZE, self._stream_window_bytes)
        if stream_bytes < http2.FRAME_BYTES_MAX:
            raise http2.ProtocolError(f"a stream may carry {stream_bytes} bytes; we send {http2.FRAME_BYTES_MAX}")
        self._write(http2.frame(http2.SETTINGS, http2.ACK, 0))

    def _send_backlog(self) -> None:
        backlog = self._backlog
        while backlog and len(backlog[0][0]) <= self._window_bytes:
            self._send(*backlog.popleft())

    def _answer(self, stream: int, failure: str | None) -> None:
        size = self._sizes.pop(stream, 0)
        token = self._tokens.pop(stream, None)
        if token is not None:
            self._on_answer(token, size, failure)

    def _end(self, reason: str) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        waiting = [*self._tokens.values(), *(token for _, token in self._backlog)]
        self._tokens.clear()
        self._backlog.clear()
        for token in waiting:
            self._on_answer(token, 0, reason)
