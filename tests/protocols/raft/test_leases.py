"""Reads under a lease (§6.4.1), when they are chosen."""

from libelli.protocols.raft import Options, ReadMode
from libelli.protocols.raft.messages import Heartbeat
from tests.protocols.raft.world import TIMING, Cluster

LEASE = Options(read_mode=ReadMode.LEASE)


def led(options: Options) -> Cluster:
    """A cluster that replica 1 has led for a round of heartbeats."""
    cluster = Cluster(3, options=options)
    cluster.elect(1)
    cluster.pass_time(TIMING.heartbeat_ticks + 1)
    return cluster


def test_under_a_lease_a_read_waits_for_no_message() -> None:
    cluster = led(LEASE)
    cluster.query(1, waiter=7)
    assert 7 in cluster.reads
    assert cluster.network == []


def test_without_leases_a_read_waits_for_a_majority() -> None:
    cluster = led(Options())
    cluster.query(1, waiter=7)
    assert 7 not in cluster.reads
    assert len(cluster.under_way(Heartbeat)) == 2
    cluster.settle()
    assert 7 in cluster.reads


def test_a_lease_ends_before_another_can_lead() -> None:
    cluster = led(LEASE)
    cluster.isolate(1)
    # The lease is over after the shortest silence in which the others could elect somebody.
    cluster.tick(1, TIMING.election_min_ticks)
    cluster.query(1, waiter=7)
    assert 7 not in cluster.reads


def test_a_leader_that_was_replaced_has_no_lease() -> None:
    cluster = led(LEASE)
    cluster.elect(2)
    cluster.isolate(2)
    cluster.query(1, waiter=8)
    assert 8 not in cluster.reads
