"""A certificate authority with a clock that tests set, and TLS handshakes without sockets.

Both ends of a connection are `SSLObject`s over memory; `shake` carries bytes between them until nothing moves.
"""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libelli.live.certificates import Authority, CertificatePaths, IssueRequest, Kind, Subject

ROUNDS_MAX = 20
SUBJECT = Subject(organization="My P2P Network", country="US")


@dataclass
class SetClock:
    """A clock that stands still until it is moved; it starts now, because OpenSSL has a clock of its own."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, *, days: float) -> None:
        self.now += timedelta(days=days)


@dataclass(frozen=True)
class Ended:
    """How one side's handshake ended: None, or OpenSSL's words for why it failed."""

    connection: ssl.SSLObject
    problem: str | None


def new_authority(home: Path, clock: SetClock | None = None) -> Authority:
    return Authority.create(home, subject=SUBJECT, clock=clock or SetClock())


def issue(
    authority: Authority, name: str, kind: Kind = Kind.PEER, *, addresses: tuple[str, ...] = ("127.0.0.1",)
) -> CertificatePaths:
    wanted = addresses if kind is Kind.PEER else ()
    return CertificatePaths.of(authority.issue(IssueRequest(name=name, kind=kind, addresses=wanted)).path)


def shake(server: ssl.SSLContext, client: ssl.SSLContext, *, server_name: str | None = None) -> tuple[Ended, Ended]:
    """Returns how the handshake ended for server and client.

    In TLS 1.3 a client is done before the server has looked at its certificate, so it reads once more.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    calling = client.wrap_bio(to_client, to_server, server_hostname=server_name)
    problems: dict[ssl.SSLObject, str | None] = {}
    for _ in range(ROUNDS_MAX):
        for side in (calling, serving):
            if side not in problems:
                _advance(side, problems)
    if problems.get(calling) is None:
        problems[calling] = _read_once(calling)
    return Ended(serving, problems[serving]), Ended(calling, problems[calling])


def _advance(side: ssl.SSLObject, problems: dict[ssl.SSLObject, str | None]) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return
    except ssl.SSLError as error:
        problems[side] = str(error)
        return
    problems[side] = None


def _read_once(side: ssl.SSLObject) -> str | None:
    try:
        side.read(1)
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as error:
        return str(error)
    return "unexpected data"
