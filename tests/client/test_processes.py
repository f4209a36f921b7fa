"""Three real processes, their leader killed and hung while clients write: callers notice a pause and nothing else."""

import signal
import threading
from pathlib import Path

import pytest

from libelli.client import Client, prefix_range
from libelli.client.commands import expect
from libelli.core.errors import Refused
from libelli.core.ids import NodeId
from libelli.stores.mvcc.commands import Compare, CompareResult, CompareTarget, Put, PutDone
from tests.live.cluster import Cluster, NodeProcess

pytestmark = pytest.mark.slow

TIMEOUT_MS = 60_000
LIMIT_S = 120


def client_of(cluster: Cluster) -> Client:
    endpoints = [node.client for node in cluster.nodes.values()]
    assert cluster.client_bundle is not None
    return Client(
        endpoints=endpoints,
        certificates=cluster.client_bundle,
        cluster=cluster.cluster_id,
        timeout_ms=TIMEOUT_MS,
    )


def kill(node: NodeProcess) -> None:
    node.kill()
    node.start()


def hang(node: NodeProcess) -> None:
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    threading.Timer(6.0, node.process.send_signal, [signal.SIGCONT]).start()


def test_every_put_happens_once_and_in_order_while_leaders_go(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster, client_of(cluster.found()) as client:
        done = threading.Event()
        revisions: list[int] = []

        def write() -> None:
            number = 0
            while not done.is_set():
                futures = [client.submit(Put(b"counter", b"%d" % (number + each))) for each in range(20)]
                revisions.extend(expect(future.result(LIMIT_S), PutDone).revision for future in futures)
                number += 20

        with client.watch("counter") as watch:
            writer = threading.Thread(target=write)
            writer.start()
            for disturb in (kill, hang, kill):
                count = len(revisions)
                disturb(cluster.nodes[cluster.wait_leader()])
                while len(revisions) < count + 200:
                    assert writer.is_alive()
                    done.wait(0.05)
            done.set()
            writer.join(LIMIT_S)
            item = client.get("counter")
            assert item is not None
            assert item.version == len(revisions), "a put was lost or happened twice"
            assert item.value == b"%d" % (len(revisions) - 1)
            seen: list[bytes] = []
            while len(seen) < len(revisions):
                seen += [event.item.value for event in watch.batch()]
        assert seen == [b"%d" % number for number in range(len(revisions))]
        assert revisions == sorted(revisions)


def test_a_lock_is_taken_once_whoever_leads(tmp_path: Path) -> None:
    free = Compare(b"lock", CompareTarget.VERSION, CompareResult.EQUAL, 0)
    with Cluster(tmp_path) as cluster, client_of(cluster.found()) as client:
        wins = 0
        for number in range(20):
            if number == 10:
                kill(cluster.nodes[cluster.wait_leader()])
            wins += client.transact([free], then=[Put(b"lock", b"%d" % number)]).succeeded
        assert wins == 1


def test_members_leadership_and_snapshots_from_python(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster, client_of(cluster.found()) as client:
        with client.pipeline() as pipeline:
            for number in range(2_000):
                pipeline.put(f"k{number:05}", b"v" * 100)
        assert len(list(client.range(*prefix_range("k"), keys_only=True))) == 2_000
        follower = next(node for node in (1, 2, 3) if node != cluster.wait_leader())
        chosen = client.transfer_leadership(f"n{follower}")
        assert chosen is not None
        assert chosen.node == follower
        assert cluster.wait_leader() == follower
        with (tmp_path / "copy").open("wb") as file:
            size = client.save_snapshot(file)
        assert (tmp_path / "copy").stat().st_size == size > 2_000 * 100
        nodes = [NodeId(node) for node in cluster.nodes]
        revision = min(client.digest(node).revision for node in nodes)
        digests = {client.digest(node, revision=revision).digest for node in nodes}
        assert len(digests) == 1
        with pytest.raises(Refused):
            client.remove_member("n7")
        client.remove_member("n1" if follower != 1 else "n2")
        assert len(client.members()) == 2
