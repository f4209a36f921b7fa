"""Members that come and go while a cluster runs, and what becomes of their certificates."""

import shutil
from pathlib import Path

import pytest

from libelli.api.grpc import libelli_pb2, libelli_pb2_grpc
from libelli.cli.exits import ExitCode
from libelli.core.calls import ChangeMember, Consistency, Done, SessionOpened
from libelli.core.ids import NodeId
from libelli.core.members import Member
from libelli.live.certificates import Authority
from libelli.stores.mvcc.commands import Put
from tests.live.cluster import Cluster, NodeProcess, wait_until
from tests.live.sessions import RawSession


def member_of(node: NodeProcess) -> Member:
    return Member(NodeId(node.number), node.name, "", node.peer, node.client)


def change(cluster: Cluster, action: str, node: NodeProcess) -> None:
    """Asks the leader until the change is done."""

    def done() -> bool:
        with cluster.session(cluster.wait_leader()) as session:
            reply = session.ask(lambda call: ChangeMember(call, action, member_of(node)))
        return isinstance(reply, Done)

    wait_until(done, f"{action} {node.name}")


def fill(cluster: Cluster, count: int) -> None:
    with cluster.session(cluster.wait_leader()) as session:
        assert isinstance(session.open(), SessionOpened)
        for number in range(count):
            assert isinstance(session.write([Put(b"%04d/%d" % (number, n), bytes(500)) for n in range(50)]), Done)


def test_a_node_joins_by_a_snapshot_and_votes_and_one_that_lost_its_data_may_not_come_back(tmp_path: Path) -> None:
    options = {"flush_age_ms": 200, "flush_bytes": 1 << 16, "retain_entries": 20, "segment_bytes": 1 << 20}
    with Cluster(tmp_path, options=options) as cluster:
        cluster.found()
        fill(cluster, 60)
        status = cluster.group_status(cluster.wait_leader())
        assert status is not None
        leader = cluster.wait_leader()
        wait_until(lambda: (cluster.group_status(leader) or status).first_index > 10, "the log's start to be cut")
        node = cluster.add(4)
        change(cluster, "add", node)
        node.start(begin="join")
        cluster.wait_applied(status.commit)
        with cluster.session(4) as session:
            assert session.get(b"0000/7", consistency=Consistency.SERIALIZABLE) == bytes(500)
        change(cluster, "promote", node)
        for number in (1, 2):
            cluster.nodes[number].kill()
        cluster.nodes[1].start()
        assert cluster.wait_leader()
        fill(cluster, 1)  # two of the founders and the newcomer are a majority of four

        lost = cluster.nodes[2]
        shutil.rmtree(lost.data)
        lost.start()
        assert lost.wait_exit() == ExitCode.STORAGE
        assert "libelli member remove" in lost.output()
        change(cluster, "remove", lost)
        cluster.nodes.pop(2)
        fill(cluster, 1)


def test_founders_that_name_other_members_do_not_talk_to_each_other(tmp_path: Path) -> None:
    with Cluster(tmp_path, 2) as cluster:
        one, two = cluster.nodes.values()
        text = two.configuration.read_text(encoding="utf-8")
        two.configuration.write_text(text.replace(one.client, one.grpc), encoding="utf-8")
        for node in (one, two):
            node.start(begin="found")
        wait_until(lambda: "was founded with other members" in one.output() + two.output(), "the refusal")
        assert cluster.leader() is None


def test_a_lost_checkpoint_is_refused_when_the_log_does_not_reach_back(tmp_path: Path) -> None:
    options = {"flush_age_ms": 200, "flush_bytes": 1 << 16, "retain_entries": 0, "segment_bytes": 1 << 20}
    with Cluster(tmp_path, 1, options=options) as cluster:
        cluster.found()
        fill(cluster, 20)
        wait_until(lambda: cluster.group_status(1).first_index > 10, "the log's start to be cut")  # type: ignore[union-attr]
        node = cluster.nodes[1]
        node.kill()
        shutil.rmtree(node.data / "checkpoint-1")
        node.start()
        assert node.wait_exit() == ExitCode.STORAGE
        assert "checkpoint-1 reaches entry 0, and the log begins behind entry" in node.output()
        assert "remove the member" in node.output()


def test_a_revoked_client_loses_its_open_connection_without_a_restart(tmp_path: Path) -> None:
    with Cluster(tmp_path, 1) as cluster:
        cluster.found()
        with cluster.session(1) as session:
            Authority.open(cluster.certificates.authority).revoke("admin")
            with pytest.raises(ConnectionError):
                session.receive()
        assert "certificates reloaded" in cluster.nodes[1].output()


def test_the_grpc_door_answers_with_the_nodes_own_certificates(tmp_path: Path) -> None:
    import grpc

    from libelli.live.certificates import load_bundle

    with Cluster(tmp_path, 1) as cluster:
        node = cluster.nodes[1]
        cluster.configure(node, listen_grpc=node.grpc)
        cluster.found()
        key, chain, root = load_bundle(cluster.certificates.client.bundle).pem_triple
        credentials = grpc.ssl_channel_credentials(root, key, chain)
        with grpc.secure_channel(node.grpc, credentials) as channel:
            grpc.channel_ready_future(channel).result(30)
            strong = libelli_pb2_grpc.StrongStub(channel)
            put = libelli_pb2.Put(key=b"by", value=b"grpc")
            strong.Put(libelli_pb2.PutRequest(collection="default", put=put), timeout=30)
        with cluster.session(1) as session:
            assert session.get(b"by") == b"grpc"
        assert node.stop() == ExitCode.OK


def test_a_cluster_of_plain_nodes_works_on_loopback(tmp_path: Path) -> None:
    with Cluster(tmp_path, 1) as cluster:
        node = cluster.nodes[1]
        cluster.configure(node, certificates=None, plain=True)
        node.start(begin="found")

        def answers() -> bool:
            try:
                with RawSession(node.client, None) as session:
                    return isinstance(session.open(), SessionOpened) and isinstance(session.put(b"a", b"b"), Done)
            except OSError:
                return False

        wait_until(answers, "a put in plain text")
