"""Sentences of the dissertation about handing leadership over, as replicas live up to them.

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), §3.10.
"""

from libelli.core import Code, Index, NodeId, Term, TransferLeadership, Waiter
from libelli.protocols.raft import AppendEntries, PreVote, RequestVote, TimeoutNow
from tests.protocols.raft.world import TIMING, Cluster


def led() -> Cluster:
    """A cluster that replica 1 leads in term 1, with everything quiet."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_time(TIMING.heartbeat_ticks)
    return cluster


def transfer(cluster: Cluster, *, target: int, waiter: int) -> None:
    cluster.request(1, TransferLeadership(Waiter(waiter), NodeId(target)))


def test_a_leader_that_hands_over_takes_no_new_requests_of_clients() -> None:
    """Step 1: the prior leader stops accepting new client requests."""
    cluster = led()
    transfer(cluster, target=2, waiter=1)
    cluster.propose(1, "a", waiter=2)
    assert cluster.code_for(2) is Code.NO_LEADER
    cluster.settle()
    assert cluster.values(2) == []


def test_the_target_is_told_only_when_its_log_is_the_leaders() -> None:
    """Steps 2 and 3: the leader fully updates the target's log, by the normal replication; then comes TimeoutNow."""
    cluster = led()
    cluster.propose(1, "a", "b")
    (entries,) = cluster.drop(lambda envelope: isinstance(envelope.payload, AppendEntries) and envelope.dest == 2)
    cluster.settle()
    transfer(cluster, target=2, waiter=1)
    assert cluster.under_way(TimeoutNow) == []

    cluster.deliver(entries)
    cluster.complete(2)
    assert cluster.under_way(TimeoutNow) == []  # it has them, and the leader does not know it yet
    cluster.deliver(cluster.network.pop())
    (told,) = cluster.under_way(TimeoutNow)
    assert told.dest == 2
    cluster.settle()
    assert cluster.leaders() == [2]
    assert cluster.terms(2) == [1, 1, 1, 2]


def test_the_target_campaigns_at_once_and_the_others_listen_though_they_hear_a_leader() -> None:
    """Step 3: as if its election timer had fired; §4.2.3: its requests say that the leader agrees."""
    cluster = led()
    before_ms = cluster.now_ms
    transfer(cluster, target=2, waiter=1)
    (told,) = cluster.drop()
    cluster.deliver(told)
    assert cluster.under_way(PreVote) == []
    cluster.complete(2)
    assert {envelope.payload for envelope in cluster.network} == {
        RequestVote(Term(2), Index(1), Term(1), leader_agrees=True)
    }
    cluster.settle()
    assert cluster.leaders() == [2]
    assert cluster.code_for(1) is Code.OK
    assert cluster.now_ms == before_ms


def test_a_transfer_is_given_up_after_an_election_timeout() -> None:
    """If it does not complete after about an election timeout, the prior leader resumes accepting requests."""
    cluster = led()
    cluster.isolate(2)
    cluster.propose(1, "a")
    cluster.settle()
    transfer(cluster, target=2, waiter=1)
    cluster.pass_time(TIMING.election_max_ticks)
    assert cluster.leaders() == [1]
    assert cluster.code_for(1) is Code.NOT_CONNECTED
    cluster.propose(1, "b", waiter=2)
    cluster.settle()
    assert cluster.values(1) == ["a", "b"]


def test_a_message_to_campaign_from_an_old_term_is_ignored() -> None:
    """§3.3: it would disturb the leader that came since."""
    cluster = led()
    transfer(cluster, target=2, waiter=1)
    (told,) = cluster.drop()
    cluster.elect(3)
    cluster.deliver(told)
    cluster.settle()
    assert cluster.leaders() == [3]
    assert cluster.raft(2).term == cluster.raft(3).term == 2
