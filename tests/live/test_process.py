"""Nodes as real processes: started, stopped, refused, attacked, and asked how they are."""

import os
import resource
import signal
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.core.calls import ClientHello, Consistency, Done, Read, Refusal, SessionOpened
from libelli.core.codec import encode, frame
from libelli.core.errors import FIRST_INDEFINITE, Code
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.host.log.layout import BLOCK_HEADER_SIZE, SECTOR_SIZE
from libelli.live.folder import IDENTITY_NAME
from libelli.live.process import DESCRIPTORS_WANTED, allow_descriptors
from libelli.stores.mvcc.commands import Put, Range
from tests.live.cluster import Cluster, NodeProcess, wait_until
from tests.live.sessions import connect


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that every test leaves as it found them: running, one of them leading."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made.found()


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, 1) as made:
        yield made


def page(node: NodeProcess, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{node.metrics}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(node: NodeProcess, name: str) -> float:
    lines = [line for line in page(node, "/metrics")[1].splitlines() if line.startswith(f"libelli_{name}")]
    assert len(lines) == 1, (name, lines)
    return float(lines[0].rsplit(" ", 1)[1])


def put(cluster: Cluster, key: bytes, value: bytes) -> None:
    with cluster.session(cluster.wait_leader()) as session:
        assert isinstance(session.open(), SessionOpened)
        assert isinstance(session.put(key, value), Done)


def get(cluster: Cluster, key: bytes) -> bytes | None:
    with cluster.session(cluster.wait_leader()) as session:
        return session.get(key)


def test_a_write_is_read_back_and_seen_by_all(cluster: Cluster) -> None:
    put(cluster, b"seen", b"by all")
    assert get(cluster, b"seen") == b"by all"
    status = cluster.group_status(cluster.wait_leader())
    assert status is not None
    cluster.wait_applied(status.commit)
    for number in cluster.nodes:
        with cluster.session(number) as session:
            assert session.get(b"seen", consistency=Consistency.SERIALIZABLE) == b"by all"


def test_a_follower_says_who_leads(cluster: Cluster) -> None:
    leader = cluster.wait_leader()
    follower = next(number for number in cluster.nodes if number != leader)
    with cluster.session(follower) as session:
        refusal = session.open()
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.leader) == (Code.NOT_LEADER, leader)


def test_a_node_says_that_it_lives_and_is_ready(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        assert page(node, "/livez") == (200, "ok\n")
        assert page(node, "/readyz") == (200, "ok\n")
        assert page(node, "/other")[0] == 404
    leader = cluster.nodes[cluster.wait_leader()]
    put(cluster, b"secret-key", b"secret-value")
    text = page(leader, "/metrics")[1]
    assert "secret" not in text
    assert metric(leader, "is_leader") == metric(leader, "has_leader") == 1
    assert metric(leader, "peers_connected") == 2
    assert metric(leader, "store_quota_bytes") == 2 << 30
    assert metric(leader, "certificate_expires_timestamp_seconds") > 1.7e9
    assert metric(leader, "disk_sync_seconds_count") >= 1


def test_a_leader_that_is_asked_to_stop_hands_over_and_ends_with_zero(cluster: Cluster) -> None:
    put(cluster, b"before", b"1")
    leader = cluster.wait_leader()
    node = cluster.nodes[leader]
    assert node.stop() == ExitCode.OK
    assert "node has stopped" in node.output()
    assert cluster.wait_leader(other_than=leader) != leader
    assert get(cluster, b"before") == b"1"
    node.start()
    wait_until(lambda: cluster.group_status(leader), "the node that was started again")


def test_all_that_was_acknowledged_is_there_after_all_are_killed(cluster: Cluster) -> None:
    put(cluster, b"durable", b"yes")
    for node in cluster.nodes.values():
        node.kill()
    for node in cluster.nodes.values():
        node.start()
    assert get(cluster, b"durable") == b"yes"


def test_a_folder_in_use_is_refused_to_a_second_process(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    second = NodeProcess(1, node.folder, node.peer, node.client, node.metrics, node.grpc)
    second.start()
    assert second.wait_exit() == ExitCode.STORAGE
    assert node.process is not None
    assert f"is in use by process {node.process.pid}" in second.output()


def test_a_client_without_a_certificate_or_with_a_foreign_one_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    host, port = cluster.nodes[1].client.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(frame(encode(ClientHello())))
        assert read_to_end(plain) == b""
    with Cluster(tmp_path / "foreign", 1) as foreign, pytest.raises((ssl.SSLError, ConnectionError)):
        connect(cluster.nodes[1].client, foreign.client_bundle).recv(1)


def test_a_client_of_another_cluster_is_told_so(cluster: Cluster) -> None:
    with connect(cluster.nodes[1].client, cluster.client_bundle) as stream:
        stream.sendall(frame(encode(ClientHello(cluster="f" * 32))))
        assert b"check the address" in read_to_end(stream)


def read_to_end(stream: socket.socket) -> bytes:
    found = b""
    try:
        while data := stream.recv(1 << 16):
            found += data
    except (ssl.SSLError, ConnectionError):
        pass
    return found


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xff\xff\xff",
        frame(b""),
        frame(b"\xc1" * 100),
        frame(encode(ClientHello())) + frame(os.urandom(1000)),
        frame(encode(ClientHello())) + frame(encode([[99, 1]])),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_ends_the_connection_and_nothing_else(cluster: Cluster, garbage: bytes) -> None:
    for port in ("client", "peer"):
        bundle = cluster.client_bundle if port == "client" else cluster.certificates.peers["n2"].bundle
        with connect(getattr(cluster.nodes[1], port), bundle) as stream:
            stream.sendall(garbage)
            read_to_end(stream)
    put(cluster, b"after", b"garbage")


def test_a_flood_of_connections_and_calls_changes_nothing_for_the_others(cluster: Cluster) -> None:
    leader = cluster.wait_leader()
    sockets = [connect(cluster.nodes[leader].client, cluster.client_bundle) for _ in range(50)]
    calls = frame(encode([[7, number] for number in range(500)]))
    for each in sockets:
        each.sendall(frame(encode(ClientHello())) + calls)  # and the answers are not read
    put(cluster, b"in the flood", b"1")
    for each in sockets:
        each.close()
    wait_until(lambda: metric(cluster.nodes[leader], "client_connections") == 0, "the flood's end")


def test_many_large_reads_at_once_are_refused_before_they_fill_the_memory(cluster: Cluster) -> None:
    leader = cluster.wait_leader()
    with cluster.session(leader, timeout_s=60) as session:
        session.open()
        for number in range(12):
            session.put(b"large/%02d" % number, bytes(1 << 20))
        commands = encode([Range(b"large/", b"large0")])
        count = 100
        calls = [Read(1000 + n, DEFAULT_COLLECTION, Consistency.LINEARIZABLE, commands) for n in range(count)]
        session.send(encode(calls))
        replies = session.replies(count)
    answered = sum(isinstance(reply, Done) for reply in replies)
    assert 1 <= answered < count
    assert {reply.code for reply in replies if isinstance(reply, Refusal)} == {Code.OVERLOADED}
    assert metric(cluster.nodes[leader], "refused_total") >= count - answered
    put(cluster, b"after", b"large reads")


def test_an_empty_folder_is_refused_with_advice(single: Cluster) -> None:
    node = single.nodes[1]
    node.start()
    assert node.wait_exit() == ExitCode.STORAGE
    assert "--begin found" in node.output()
    assert not (node.data / IDENTITY_NAME).exists()


def test_a_node_with_the_bundle_of_another_or_a_taken_port_is_refused(single: Cluster) -> None:
    node = single.nodes[1]
    single.configure(node, certificates=str(single.client_bundle))
    node.start(begin="found")
    assert node.wait_exit() == ExitCode.CONFIGURATION
    assert "is the bundle of client admin, and this node is 'n1'" in node.output()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        single.configure(node, listen_client=f"127.0.0.1:{taken.getsockname()[1]}")
        node.start(begin="found")
        assert node.wait_exit() == ExitCode.CONFIGURATION
    assert "stop what uses it, or choose another" in node.output()


def test_a_process_may_open_as_many_files_as_connections_need() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS_WANTED:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        allow_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (DESCRIPTORS_WANTED, hard)
        allow_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (DESCRIPTORS_WANTED, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_second_signal_ends_a_node_at_once(tmp_path: Path) -> None:
    with Cluster(tmp_path, options={"timing": "wan"}) as cluster:
        leader = cluster.found().wait_leader()
        for number, other in cluster.nodes.items():
            if number != leader:
                other.kill()  # so that nobody can take the leadership over
        node = cluster.nodes[leader]
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "node stops" in node.output(), "the stop")
        node.process.send_signal(signal.SIGTERM)
        assert node.wait_exit() == 128 + signal.SIGTERM
        assert "by a second signal" in node.output()


def test_a_full_disk_delays_answers_and_loses_nothing(single: Cluster) -> None:
    single.found()
    put(single, b"a", b"1")
    node = single.nodes[1]
    assert node.process is not None
    with single.session(1, timeout_s=60) as session:
        session.open()
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        session.sequence += 1
        session.send_write(b"b", b"2")
        wait_until(lambda: metric(node, "disk_full") == 1, "the alarm")
        with single.session(1) as other:
            wait_until(lambda: any("free some space" in alarm for alarm in other.status().alarms), "the alarm in words")
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        reply = session.next_reply()  # a leader whose disk does not answer steps down, so it may have happened
        assert isinstance(reply, Done) or reply.code >= FIRST_INDEFINITE, reply
        session_id = session.session
    single.wait_leader()
    with single.session(1) as session:
        for _ in range(2):
            assert isinstance(session.write([Put(b"b", b"2")], sequence=1, session=session_id), Done)
        answers = session.read([Range(b"b")])
    assert [(item.value, item.version) for item in answers[0].items] == [(b"2", 1)]
    wait_until(lambda: metric(node, "disk_full") == 0, "the end of the alarm")
    node.kill()
    node.start()
    assert get(single, b"b") == b"2"


def segments(node: NodeProcess) -> list[Path]:
    return sorted((node.data / "log").glob("log-*.seg"))


def test_a_flipped_bit_in_the_log_stops_the_node_with_advice(single: Cluster) -> None:
    single.found()
    for number in range(20):
        put(single, b"key %d" % number, bytes(100))
    node = single.nodes[1]
    node.kill()
    data = bytearray(segments(node)[0].read_bytes())
    at = data.index(b"key 3")
    data[at] ^= 1
    segments(node)[0].write_bytes(data)
    node.start()
    assert node.wait_exit() == ExitCode.STORAGE
    assert "are damaged" in node.output()
    assert "remove the member" in node.output()


def test_a_torn_tail_is_cut_and_nothing_is_lost(single: Cluster) -> None:
    single.found()
    put(single, b"whole", b"1")
    node = single.nodes[1]
    node.kill()
    (last,) = segments(node)
    data = last.read_bytes()
    end = -(-len(data.rstrip(b"\0")) // SECTOR_SIZE) * SECTOR_SIZE
    torn = data[SECTOR_SIZE:][:BLOCK_HEADER_SIZE] + b"written in part when the power went"
    last.write_bytes(data[:end] + torn.ljust(len(data) - end, b"\0"))
    node.start()
    assert get(single, b"whole") == b"1"
    assert "torn tail was cut" in node.output()
