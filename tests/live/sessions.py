"""A native session without any client library: one blocking TLS connection, calls by hand.

What the tests of the live node need to see is the wire, so nothing is repeated or hidden here.
"""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libelli.core.calls import (
    ClientHello,
    Consistency,
    Done,
    GetStatus,
    NodeStatus,
    OpenSession,
    Read,
    SessionOpened,
    Welcome,
    Write,
    replies_decoder,
    welcome_decoder,
)
from libelli.core.codec import Decoder, FrameReader, encode, frame
from libelli.core.ids import DEFAULT_COLLECTION, NO_SESSION, Sequence, SessionId
from libelli.live.addresses import parse_address
from libelli.live.certificates import CertificatePaths, client_context
from libelli.stores.mvcc.commands import Answer, Command, Put, Range

ANSWER_SIZE_MAX = 64 * 1024 * 1024
TIMEOUT_S = 10.0
answers_decoder: Decoder[list[Answer]] = Decoder(list[Answer], name="answers")


def connect(address: str, bundle: Path | None, *, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """Returns a connected socket, after the TLS handshake when there is a bundle."""
    target = parse_address(address)
    plain = socket.create_connection((target.host, target.port), timeout=timeout_s)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if bundle is None:
        return plain
    context: ssl.SSLContext = client_context(CertificatePaths.of(bundle))
    try:
        return context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


@dataclass
class RawSession:
    """One connection to one node, and the session that was opened on it, if any."""

    address: str
    bundle: Path | None
    timeout_s: float = TIMEOUT_S
    session: SessionId = NO_SESSION
    sequence: int = 0
    call: int = 0
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = connect(self.address, self.bundle, timeout_s=self.timeout_s)
        self.reader = FrameReader(size_max=ANSWER_SIZE_MAX)
        self.send(encode(ClientHello()))
        self.welcome: Welcome = welcome_decoder.decode(self.receive())

    def __enter__(self) -> "RawSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, body: bytes) -> None:
        self.socket.sendall(frame(body))

    def receive(self) -> bytes:
        """Returns the next body; ConnectionError when the node has closed."""
        while not self.bodies:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError(f"{self.address} has closed")
            self.bodies.extend(self.reader.feed(data))
        return self.bodies.pop(0)

    def ask(self, make: Any) -> Any:
        """Sends the call that `make` makes of a fresh number, and returns its reply."""
        self.call += 1
        self.send(encode([make(self.call)]))
        replies = replies_decoder.decode(self.receive())
        assert [reply.call for reply in replies] == [self.call], replies
        return replies[0]

    def status(self) -> NodeStatus:
        reply = self.ask(GetStatus)
        assert isinstance(reply, NodeStatus), reply
        return reply

    def open(self) -> Any:
        """Opens a session; returns the reply, which may be a refusal."""
        reply = self.ask(lambda call: OpenSession(call, DEFAULT_COLLECTION))
        if isinstance(reply, SessionOpened):
            self.session = reply.session
        return reply

    def write(self, commands: list[Command], *, sequence: int | None = None, session: SessionId | None = None) -> Any:
        """Sends one frame and returns its reply; a sequence that is given is a repetition."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        of = self.session if session is None else session
        return self.ask(
            lambda call: Write(call, DEFAULT_COLLECTION, of, Sequence(sequence), sequence - 1, encode(commands))
        )

    def send_write(self, key: bytes, value: bytes) -> None:
        """Sends a put and does not wait; `next_reply` brings the answer."""
        self.call += 1
        commands = encode([Put(key, value)])
        of = Sequence(self.sequence)
        self.send(encode([Write(self.call, DEFAULT_COLLECTION, self.session, of, self.sequence - 1, commands)]))

    def next_reply(self) -> Any:
        return replies_decoder.decode(self.receive())[0]

    def replies(self, count: int) -> list[Any]:
        """Returns the next `count` replies, in however many frames they come."""
        found: list[Any] = []
        while len(found) < count:
            found += replies_decoder.decode(self.receive())
        return found

    def put(self, key: bytes, value: bytes) -> Any:
        return self.write([Put(key, value)])

    def read(self, commands: list[Command], *, consistency: Consistency = Consistency.LINEARIZABLE) -> Any:
        reply = self.ask(lambda call: Read(call, DEFAULT_COLLECTION, consistency, encode(commands)))
        return answers_decoder.decode(reply.answers) if isinstance(reply, Done) else reply

    def get(self, key: bytes, *, consistency: Consistency = Consistency.LINEARIZABLE) -> bytes | None:
        answers = self.read([Range(key)], consistency=consistency)
        assert isinstance(answers, list), answers
        return answers[0].items[0].value if answers[0].items else None
