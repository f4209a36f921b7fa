"""Leaders go one after the other while clients write: nothing acknowledged is lost, nothing is there twice."""

import random
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from libelli.core.calls import Digest, ReadDigest
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.stores.mvcc.commands import Range, RangeDone
from tests.live.cluster import Cluster, NodeProcess, wait_until
from tests.live.writers import Writer

WRITERS = 3
WRITES_BETWEEN = 30
OPTIONS = {"log_level": "info", "flush_age_ms": 500, "segment_bytes": 1 << 20, "retain_entries": 100}


def kill(node: NodeProcess, writers: list[Writer]) -> None:
    node.kill()
    wait_progress(writers)
    node.start()


def stop(node: NodeProcess, writers: list[Writer]) -> None:
    assert node.stop() == 0
    wait_progress(writers)
    node.start()


def pause(node: NodeProcess, writers: list[Writer]) -> None:
    """As a machine that hangs: it comes back in the belief that it leads."""
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    wait_progress(writers)
    node.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("disturb", "times"), [(kill, 10), (stop, 4), (pause, 4)])
def test_leaders_that_go_under_load_lose_nothing_and_repeat_nothing(
    tmp_path: Path, disturb: Callable[[NodeProcess, list[Writer]], None], times: int
) -> None:
    live_through(tmp_path, disturb, times, choose=lambda cluster: cluster.wait_leader())


@pytest.mark.slow
def test_hundreds_of_kills_of_any_replica_lose_nothing_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)

    def choose(cluster: Cluster) -> int:
        leader = cluster.wait_leader()
        return dice.choice([leader, *cluster.nodes])

    live_through(tmp_path, kill, 200, choose=choose)


def live_through(
    folder: Path,
    disturb: Callable[[NodeProcess, list[Writer]], None],
    times: int,
    *,
    choose: Callable[[Cluster], int],
) -> None:
    """Disturbs one node after the other while clients write, then compares what they were told with what is there."""
    with Cluster(folder, options=OPTIONS) as cluster:
        cluster.found()
        stopping = threading.Event()
        writers = [Writer(cluster, f"w{number}", stopping=stopping) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(times):
            wait_progress(writers)
            victim = choose(cluster)
            disturb(cluster.nodes[victim], writers)
            wait_until(partial(cluster.group_status, victim), "the node that was away")
        stopping.set()
        for writer in writers:
            writer.join(60)
            assert not writer.is_alive()
            assert writer.problem is None, writer.problem
        check_contents(cluster, writers)
        check_equality(cluster)
        for node in cluster.nodes.values():
            assert "callback failed" not in node.output()


def wait_progress(writers: list[Writer]) -> None:
    goals = [writer.acknowledged + WRITES_BETWEEN for writer in writers]

    def done() -> bool:
        problems = [writer.problem for writer in writers if writer.problem is not None]
        assert not problems, problems
        return all(writer.acknowledged >= goal for writer, goal in zip(writers, goals, strict=True))

    wait_until(done, f"{WRITES_BETWEEN} more writes of each writer")


def check_contents(cluster: Cluster, writers: list[Writer]) -> None:
    with cluster.session(cluster.wait_leader()) as session:
        for writer in writers:
            for number in range(writer.acknowledged):
                answers = session.read([Range(writer.key(number))])
                assert isinstance(answers, list), answers
                (answer,) = answers
                assert isinstance(answer, RangeDone)
                assert [item.value for item in answer.items] == [b"v%d" % number], writer.key(number)
                assert [item.version for item in answer.items] == [1], "applied more than once"


def check_equality(cluster: Cluster) -> None:
    """Compares the data of all nodes at one revision."""
    status = cluster.group_status(cluster.wait_leader())
    assert status is not None
    cluster.wait_applied(status.commit)
    digests = set()
    for number in cluster.nodes:
        with cluster.session(number) as session:
            reply = session.ask(lambda call: ReadDigest(call, DEFAULT_COLLECTION, status.revision, keys=10_000))
        assert isinstance(reply, Digest), reply
        digests.add((reply.digest, reply.keys, reply.following))
    assert len(digests) == 1, digests
