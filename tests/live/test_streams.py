"""Streams on loopback, with fakes in the place of the node: who is let in, what is dropped, who is told."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from libelli.core.codec import encode, frame
from libelli.core.errors import CodecError
from libelli.core.ids import ClusterId, NodeId
from libelli.core.limits import PEER_FRAME_SIZE_MAX
from libelli.host.identity import Identity
from libelli.host.peering import PeerHello, hello_of
from libelli.live import clients, peers, streams
from libelli.live.certificates import Authority, CertificatePaths, CertificateWatch, IssueRequest, Kind
from libelli.live.clients import CLIENT_FRAME_SIZE_MAX, Clients
from libelli.live.peers import Peers
from tests.live.certificates.handshakes import SetClock, issue, new_authority

HOST = "127.0.0.1"
CLUSTER = ClusterId("c" * 32)
DEADLINE_S = 20


class FakeNode:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.damaged = b"damaged"

    def receive_peer(self, source: NodeId, body: bytes) -> None:
        if body == self.damaged:
            raise CodecError("damaged")
        self.told.append(("peer", source, body))

    def client_connected(self, connection: int, identity: str) -> None:
        self.told.append(("connected", connection, identity))

    def client_lost(self, connection: int) -> None:
        self.told.append(("lost", connection))

    def client_full(self, connection: int, *, is_full: bool) -> None:
        self.told.append(("full", connection, is_full))

    def receive_client(self, connection: int, body: bytes) -> None:
        self.told.append(("client", connection, body))


class Fakes:
    """Everything that one test opens, closed at its end."""

    def __init__(self, home: Path) -> None:
        self.clock = SetClock()
        self.clock.move(days=-100)
        self.authority: Authority = new_authority(home / "ca", self.clock)
        self.expired = self.authority.issue(IssueRequest(name="bob", kind=Kind.CLIENT, days=30)).path
        self.clock.move(days=100)
        self.listeners: list[asyncio.Server] = []
        self.all_peers: list[Peers] = []
        self.woken = 0

    def watch(self, name: str, kind: Kind = Kind.PEER) -> CertificateWatch:
        return CertificateWatch(issue(self.authority, name, kind))

    def wake(self) -> None:
        self.woken += 1

    def peers(self, number: int, certificates: CertificateWatch | None, *, cluster: str = CLUSTER) -> Peers:
        identity = Identity(ClusterId(cluster), NodeId(number), f"n{number}")
        made = Peers(FakeNode(), identity=identity, wake=self.wake, certificates=certificates, random=Random(number))
        self.all_peers.append(made)
        return made

    async def listen(self, make: Callable[[], asyncio.Protocol], watch: CertificateWatch | None) -> str:
        context = watch.server_context if watch else None
        listener = await asyncio.get_running_loop().create_server(make, HOST, 0, ssl=context)
        self.listeners.append(listener)
        return f"{HOST}:{listener.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        for each in self.all_peers:
            each.close_all("the test is over")
        for listener in self.listeners:
            listener.close()
        await asyncio.sleep(0)


def run(home: Path, test: Callable[[Fakes], Awaitable[None]]) -> None:
    async def main() -> None:
        fakes = Fakes(home)
        try:
            await test(fakes)
        finally:
            await fakes.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # conditions of the other end of a socket have no event to wait for


async def dial(
    address: str, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.split(":")
    return await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host if context else None)


async def closes(reader: asyncio.StreamReader) -> bytes:
    """Returns what still comes before the other side closes."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read()
        except (ConnectionError, ssl.SSLError):
            return b""


# ── peers ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lower_number_dials_and_frames_go_both_ways(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, fakes.watch("n1")), fakes.peers(2, fakes.watch("n2"))
        address = await fakes.listen(two.accept, two.certificates)
        two.keep(((NodeId(1), "n1", "127.0.0.1:1"),))
        assert two._diallers == {}
        one.keep(((NodeId(2), "n2", address),))
        await until(lambda: one.streams and two.streams)
        one.send(NodeId(2), b"there")
        two.send(NodeId(1), b"back")
        one.send(NodeId(9), b"to nobody")
        await until(lambda: one.node.told and two.node.told)  # type: ignore[attr-defined]
        assert two.node.told == [("peer", 1, b"there")]  # type: ignore[attr-defined]
        assert one.node.told == [("peer", 2, b"back")]  # type: ignore[attr-defined]

    run(tmp_path, test)


def test_a_lost_stream_comes_back_with_a_line_for_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, None), fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        two.keep(((NodeId(1), "n1", "127.0.0.1:1"),))
        one.keep(((NodeId(2), "n2", address),))
        await until(lambda: one.streams and two.streams)
        first = one.streams[NodeId(2)]
        first.close("cut by the test", at_once=True)
        await until(lambda: one.streams.get(NodeId(2)) not in (None, first) and two.streams)
        events = [record.getMessage() for record in caplog.records if record.name == peers.__name__]
        assert sorted(events) == ["peer is connected"] * 4 + ["peer is lost"] * 2

    with caplog.at_level("INFO"):
        run(tmp_path, test)


def test_a_stream_that_is_lost_and_dialled_in_vain_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, None), fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        one.keep(((NodeId(2), "n2", address),))
        await until(lambda: one.streams and two.streams)
        fakes.listeners[0].close()
        tries = one._diallers[NodeId(2)].tries
        two.close_all("it stops")
        await until(lambda: one._diallers[NodeId(2)].tries >= tries + 3)

    run(tmp_path, test)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == ["peer is lost"]


def test_an_address_where_nobody_listens_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, None), fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        fakes.listeners[0].close()
        await fakes.listeners[0].wait_closed()
        one.keep(((NodeId(2), "n2", address),))
        dialler = one._diallers[NodeId(2)]
        await until(lambda: dialler.tries >= 3)

    run(tmp_path, test)
    assert [record.getMessage() for record in caplog.records] == ["peer is not reached"]


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (PeerHello("d" * 32, NodeId(2), "n2"), "belongs to cluster d"),
        (PeerHello(CLUSTER, NodeId(3), "n2"), "node 2 was dialled, but node 3"),
        (PeerHello(CLUSTER, NodeId(2), "n3"), "its certificate is for 'n2'"),
        (PeerHello(CLUSTER, NodeId(2), "n2", 7, 9), "speaks wire versions 7 to 9"),
    ],
)
def test_a_peer_that_says_the_wrong_thing_is_not_talked_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hello: PeerHello, why: str
) -> None:
    class Liar(streams.FrameStream):
        def opened(self) -> None:
            self.send(encode(hello))

        def greet(self, body: bytes) -> None:
            self.say_hello_is_done()

    async def test(fakes: Fakes) -> None:
        one, watch = fakes.peers(1, fakes.watch("n1")), fakes.watch("n2")
        address = await fakes.listen(
            lambda: Liar(size_max=99, high_bytes=99, certificates=watch, kind=Kind.PEER), watch
        )
        one.keep(((NodeId(2), "n2", address),))
        await until(lambda: why in caplog.text or any(why in str(vars(each)) for each in caplog.records))
        assert one.streams == {}

    run(tmp_path, test)


def test_a_node_that_dials_with_the_certificate_of_another_kind_or_name_is_refused(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        two = fakes.peers(2, fakes.watch("n2"))
        address = await fakes.listen(two.accept, two.certificates)
        for caller in (fakes.watch("alice", Kind.CLIENT), fakes.watch("n7")):
            reader, writer = await dial(address, caller.client_context)
            writer.write(frame(encode(PeerHello(CLUSTER, NodeId(1), "n1"))))
            await closes(reader)
            writer.close()
        assert two.streams == {}

    run(tmp_path, test)


@pytest.mark.parametrize("body", [b"damaged", None])
def test_a_peer_that_sends_what_cannot_be_read_loses_its_stream(tmp_path: Path, body: bytes | None) -> None:
    async def test(fakes: Fakes) -> None:
        two = fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        reader, writer = await dial(address)
        writer.write(frame(encode(hello_of(Identity(CLUSTER, NodeId(1), "n1")))))
        await until(lambda: two.streams)
        oversized = (PEER_FRAME_SIZE_MAX + 1).to_bytes(4, "little")
        writer.write(frame(b"good") + (oversized if body is None else frame(body)) + frame(b"never read"))
        await closes(reader)
        await until(lambda: not two.streams)
        assert two.node.told == [("peer", 1, b"good")]  # type: ignore[attr-defined]
        writer.close()

    run(tmp_path, test)


def test_frames_for_a_peer_that_does_not_read_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_BUFFER_SIZE_MAX", 1 << 20)

    async def test(fakes: Fakes) -> None:
        two = fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        _, writer = await dial(address)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(frame(encode(hello_of(Identity(CLUSTER, NodeId(1), "n1")))))
        await until(lambda: two.streams)
        for _ in range(64):
            two.send(NodeId(1), bytes(1 << 20))
        assert two.dropped_frames > 0
        assert two.streams[NodeId(1)].waiting_bytes < 3 << 20
        writer.close()

    run(tmp_path, test)


def test_a_newer_stream_of_the_same_node_takes_the_place_of_the_old(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        two = fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        hello = frame(encode(hello_of(Identity(CLUSTER, NodeId(1), "n1"))))
        old_reader, old = await dial(address)
        old.write(hello)
        await until(lambda: two.streams)
        first = two.streams[NodeId(1)]
        _, new = await dial(address)
        new.write(hello)
        await closes(old_reader)
        await until(lambda: two.streams.get(NodeId(1)) not in (None, first))
        old.close()
        new.close()

    run(tmp_path, test)


def test_nobody_takes_the_number_of_another_member(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, None), fakes.peers(2, None)
        address = await fakes.listen(two.accept, None)
        two.keep(((NodeId(1), "n1", "127.0.0.1:1"),))
        one.keep(((NodeId(2), "n2", address),))
        await until(lambda: two.streams)
        first = two.streams[NodeId(1)]
        reader, other = await dial(address)
        other.write(frame(encode(hello_of(Identity(CLUSTER, NodeId(1), "n3")))))
        await closes(reader)
        assert two.streams[NodeId(1)] is first
        other.close()

    run(tmp_path, test)


def test_a_removed_member_loses_its_stream(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        one, two = fakes.peers(1, None), fakes.peers(2, None)
        one.keep(((NodeId(2), "n2", await fakes.listen(two.accept, None)),))
        await until(lambda: one.streams and two.streams)
        one.keep(())
        await until(lambda: not one.streams and not two.streams)

    run(tmp_path, test)


def test_a_plain_node_dials_nobody_beyond_this_machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(fakes: Fakes) -> None:
        one = fakes.peers(1, None)
        one.keep(((NodeId(2), "n2", "192.0.2.1:7400"), (NodeId(3), "n3", "no address")))
        await until(lambda: len(caplog.records) == 2)

    run(tmp_path, test)
    reasons = [str(vars(record)) for record in caplog.records]
    assert "plain text is not sent" in reasons[0]
    assert "is not HOST:PORT" in reasons[1]


# ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────


async def door(fakes: Fakes, *, connections_max: int = 10, plain: bool = True) -> tuple[Clients, FakeNode, str]:
    node, watch = FakeNode(), None if plain else fakes.watch("n1")
    made = Clients(node, wake=fakes.wake, certificates=watch, connections_max=connections_max)
    return made, node, await fakes.listen(made.new_stream, watch)


def test_a_client_is_who_its_certificate_says(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes, plain=False)
        reader, writer = await dial(address, fakes.watch("alice", Kind.CLIENT).client_context)
        writer.write(frame(b"hello") + frame(b"calls"))
        await until(lambda: len(node.told) == 3)
        made.send(1, b"answer")
        made.send(2, b"to nobody")
        assert await reader.readexactly(10) == frame(b"answer")
        writer.close()
        await until(lambda: not made.streams)
        assert node.told == [("connected", 1, "alice"), ("client", 1, b"hello"), ("client", 1, b"calls"), ("lost", 1)]

    run(tmp_path, test)


def test_who_has_no_good_certificate_is_not_heard(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        _, node, address = await door(fakes, plain=False)
        other = new_authority(tmp_path / "other")
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
        strangers: list[ssl.SSLContext | None] = [nobody, None]
        own: CertificatePaths = issue(other, "mallory", Kind.CLIENT)
        strangers.append(CertificateWatch(own).client_context)
        then = SetClock()
        then.move(days=-100)
        strangers.append(CertificateWatch(CertificatePaths.of(fakes.expired), clock=then).client_context)
        for context in strangers:
            if context is not None:
                context.verify_mode = ssl.CERT_NONE  # it wants in, whoever is there
            try:
                reader, writer = await dial(address, context)
            except (ssl.SSLError, ConnectionError):
                continue
            writer.write(frame(b"hello"))
            await closes(reader)
            writer.close()
        assert node.told == []

    run(tmp_path, test)


def test_a_revoked_client_is_cut_off_when_the_list_is_read(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes, plain=False)
        reader, writer = await dial(address, fakes.watch("alice", Kind.CLIENT).client_context)
        await until(lambda: node.told)
        fakes.authority.revoke("alice")
        assert made.certificates is not None
        await until(made.certificates.reload_if_changed)
        made.close_revoked()
        await closes(reader)
        await until(lambda: not made.streams)
        writer.close()

    run(tmp_path, test)


def test_more_clients_than_the_limit_are_turned_away(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes, connections_max=2)
        writers = [(await dial(address))[1] for _ in range(2)]
        await until(lambda: len(made.streams) == 2)
        reader, third = await dial(address)
        await closes(reader)
        assert (made.turned_away, len(node.told)) == (1, 2)
        writers[0].close()
        await until(lambda: len(made.streams) == 1)
        writers.append((await dial(address))[1])
        await until(lambda: len(made.streams) == 2)
        for writer in (*writers, third):
            writer.close()

    run(tmp_path, test)


def test_a_frame_over_the_limit_ends_the_connection(tmp_path: Path) -> None:
    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes)
        reader, writer = await dial(address)
        writer.write(frame(b"hello") + (CLIENT_FRAME_SIZE_MAX + 1).to_bytes(4, "little"))
        await closes(reader)
        await until(lambda: not made.streams)
        assert node.told[-1] == ("lost", 1)
        writer.close()

    run(tmp_path, test)


def test_a_client_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HELLO_TIMEOUT_S", 0.01)

    async def test(fakes: Fakes) -> None:
        made, _, address = await door(fakes)
        reader, writer = await dial(address)
        await closes(reader)
        await until(lambda: not made.streams)
        writer.close()

    run(tmp_path, test)


def test_a_client_that_does_not_read_is_full_until_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CLIENT_BUFFER_SIZE_HIGH", 1 << 16)

    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes)
        reader, writer = await dial(address)
        writer.write(frame(b"hello"))
        await until(lambda: len(node.told) == 2)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        while node.told[-1] != ("full", 1, True):
            made.send(1, bytes(1 << 20))
            sent += (1 << 20) + 4
            await asyncio.sleep(0)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(DEADLINE_S):
            await reader.readexactly(sent)
        await until(lambda: node.told[-1] == ("full", 1, False))
        writer.close()

    run(tmp_path, test)


def test_a_client_that_lets_too_much_gather_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CLIENT_BUFFER_SIZE_MAX", 1 << 20)

    async def test(fakes: Fakes) -> None:
        made, node, address = await door(fakes)
        _, writer = await dial(address)
        writer.write(frame(b"hello"))
        await until(lambda: len(node.told) == 2)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(64):
            made.send(1, bytes(1 << 20))
        await until(lambda: not made.streams)
        assert node.told[-1] == ("lost", 1)
        writer.close()

    run(tmp_path, test)
