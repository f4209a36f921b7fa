"""Handing leadership over (§3.10)."""

from libelli.core import Code, NodeId, Propose, TransferLeadership, Waiter
from libelli.protocols.raft import TimeoutNow
from tests.protocols.raft.world import TIMING, Cluster


def asked(cluster: Cluster, target: int, waiter: int = 1) -> None:
    cluster.request(1, TransferLeadership(Waiter(waiter), NodeId(target)))


def led() -> Cluster:
    cluster = Cluster(3, joining=(4,))
    cluster.elect(1)
    return cluster


def test_the_target_leads_within_a_round_trip_and_the_asker_is_told() -> None:
    cluster = led()
    asked(cluster, 3)
    cluster.settle()
    assert cluster.leaders() == [3]
    assert cluster.code_for(1) is Code.OK


def test_a_target_that_lacks_entries_is_told_only_when_it_has_them() -> None:
    """Step 2: the leader brings the target's log up to date first."""
    cluster = led()
    cluster.propose(1, "a")
    held = cluster.drop()
    asked(cluster, 2)
    assert cluster.under_way(TimeoutNow) == []
    for envelope in held:
        cluster.deliver(envelope)
    cluster.settle()
    assert cluster.leaders() == [2]


def test_a_target_that_does_not_catch_up_leaves_the_leader_where_it_is() -> None:
    cluster = led()
    cluster.isolate(2)
    cluster.propose(1, "a")
    asked(cluster, 2)
    cluster.pass_time(TIMING.election_max_ticks + 1)
    assert cluster.leaders() == [1]
    assert cluster.code_for(1) is Code.NOT_CONNECTED
    cluster.propose(1, "b", waiter=2)
    cluster.settle()
    assert Waiter(2) in cluster.answers


def test_nothing_new_is_taken_meanwhile() -> None:
    cluster = led()
    asked(cluster, 2)
    cluster.request(1, Propose(Waiter(2), b"a"))
    asked(cluster, 3, waiter=3)
    assert cluster.code_for(2) is Code.NO_LEADER
    assert cluster.code_for(3) is Code.CHANGE_IN_PROGRESS


def test_who_is_no_voter_gets_no_leadership() -> None:
    cluster = led()
    asked(cluster, 4)
    assert cluster.code_for(1) is Code.MEMBER_NOT_FOUND


def test_without_a_target_the_voter_that_is_furthest_gets_it() -> None:
    cluster = led()
    cluster.isolate(2)
    cluster.propose(1, "a")
    cluster.settle()
    asked(cluster, 0)
    cluster.settle()
    assert cluster.leaders() == [3]
