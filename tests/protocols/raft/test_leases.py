"""Reads under a lease (§6.4.1), when they are chosen."""

from libelli.core import Code, NodeId, RemoveMember, Term, TransferLeadership, Waiter
from libelli.protocols.raft import TIMINGS, Heartbeat, Options, ReadMode, TimeoutNow
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


def test_whoever_told_another_to_campaign_has_no_lease_though_it_leads_on() -> None:
    """§6.4.1: the others will listen to that campaign at any time, however late it comes."""
    cluster = led(LEASE)
    cluster.request(1, TransferLeadership(Waiter(1), NodeId(2)))
    late = cluster.drop()
    assert [envelope.payload for envelope in late] == [TimeoutNow(Term(1))]
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.leaders() == [1]
    assert cluster.code_for(1) is Code.TIMED_OUT

    cluster.query(1, waiter=7)
    assert 7 not in cluster.reads
    cluster.settle()
    assert 7 in cluster.reads


def test_a_lease_does_not_outlive_the_configuration_it_was_given_in() -> None:
    cluster = led(LEASE)
    cluster.request(1, RemoveMember(Waiter(1), NodeId(3)))
    cluster.query(1, waiter=7)
    assert 7 not in cluster.reads


def test_a_lease_is_shorter_than_the_silence_that_voters_keep_by_the_bound_on_drift() -> None:
    for timing in (*TIMINGS.values(), TIMING):
        kept_ms = (timing.election_min_ticks - 1) * timing.tick_ms  # the first tick may be cut short
        assert 0 < timing.lease_ms < kept_ms * (100 - timing.clock_drift_percent) / 100
