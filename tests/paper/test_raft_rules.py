"""Sentences of the dissertation about terms, votes, membership, reads and disruption.

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), §3.3, §3.4, §3.8, §4, §6.2, §6.4, §9.6.
"""

import random

import pytest

from libelli.core import (
    AddLearner,
    Code,
    Commit,
    Index,
    InvariantError,
    NodeId,
    PromoteLearner,
    Query,
    RemoveMember,
    Requests,
    Term,
    Timer,
    Waiter,
)
from libelli.protocols.raft import Heartbeat, HeartbeatReply, PreVote, RequestVote, VoteGranted
from tests.protocols.raft.world import TIMING, Cluster, Node, member, members


def led(voters: int = 3, *, joining: tuple[int, ...] = ()) -> Cluster:
    """A cluster that replica 1 leads, with everything quiet."""
    cluster = Cluster(voters, joining=joining)
    cluster.elect(1)
    cluster.pass_time(TIMING.heartbeat_ticks)
    return cluster


def joined(cluster: Cluster, node: int, waiter: int) -> None:
    """A node becomes a learner that keeps pace."""
    cluster.request(1, AddLearner(Waiter(waiter), member(node)))
    cluster.pass_time(3 * TIMING.heartbeat_ticks)


# Terms and elections (§3.3, §3.4).


def test_a_server_with_a_larger_term_ends_the_leaders_office() -> None:
    """If a candidate or leader discovers that its term is out of date, it immediately reverts to follower (§3.3)."""
    cluster = led()
    cluster.send(2, 1, HeartbeatReply(Term(9), 0))
    assert cluster.raft(1).role == "follower"
    assert cluster.raft(1).term == 9


def test_a_request_of_an_old_term_is_rejected_and_changes_nothing() -> None:
    """If a server receives a request with a stale term number, it rejects the request (§3.3)."""
    cluster = led()
    cluster.send(3, 2, Heartbeat(Term(0), Index(5), 1))
    assert cluster.raft(2).leader == 1
    (envelope,) = cluster.network
    assert envelope.payload == HeartbeatReply(Term(1), 0)


def test_election_timeouts_are_spread_from_2t_to_4t() -> None:
    """Election timeouts are chosen randomly from a fixed interval (§3.4); every value of it is drawn."""
    cluster = Cluster(3)
    state = cluster.raft(1)._state
    state.random = random.Random(1)
    drawn = []
    for _ in range(500):
        state.redraw_election()
        drawn.append(state.election_ticks)
    assert set(drawn) == set(range(2 * TIMING.heartbeat_ticks, 4 * TIMING.heartbeat_ticks + 1))


def test_a_split_vote_is_followed_by_another_election() -> None:
    """Each candidate will time out and start a new election by incrementing its term (§3.4)."""
    cluster = Cluster(4)
    assert not cluster.campaign(1, 2)
    assert not cluster.campaign(3, 4)
    assert cluster.leaders() == []
    cluster.pass_time(10 * TIMING.election_max_ticks)
    assert len(cluster.leaders()) == 1


def test_no_leader_without_more_than_half_of_the_voters() -> None:
    """A candidate wins if it receives votes from a majority of the servers in the full cluster (§3.4)."""
    assert not Cluster(4).campaign(1, 2)
    assert Cluster(4).campaign(1, 2, 3)
    assert not Cluster(5).campaign(1, 2)
    assert Cluster(5).campaign(1, 2, 3)


def test_a_vote_survives_a_restart() -> None:
    """Each server persists its current term and vote, so that it votes at most once a term (§3.8)."""
    cluster = Cluster(3)
    vote = RequestVote(Term(4), Index(0), Term(0), leader_agrees=True)
    cluster.send(1, 2, vote)
    cluster.restart(2)
    cluster.drop()
    cluster.send(3, 2, vote)
    assert cluster.under_way(VoteGranted) == []
    cluster.send(1, 2, vote)
    assert len(cluster.under_way(VoteGranted)) == 1


# Membership (§4).


def test_four_servers_and_two_changes_cannot_lose_a_committed_entry() -> None:
    """The defect in single-server changes (raft-dev, 10 July 2015): S1 of {1, 2, 3, 4} begins to add S5 and is
    cut off; S2 leads and removes S1; S1 comes back. Without an entry of its own term committed first, S1 could
    commit with {1, 4, 5} what S2's majority {2, 3} never sees."""
    cluster = led(4, joining=(5,))
    joined(cluster, 5, 1)
    cluster.cut([1, 5], [2, 3, 4])
    cluster.request(1, PromoteLearner(Waiter(2), NodeId(5)))
    cluster.complete(1)
    assert cluster.raft(1).configuration.voter_nodes == (1, 2, 3, 4, 5)
    assert cluster.campaign(2, 3, 4)
    cluster.request(2, RemoveMember(Waiter(3), NodeId(1)))
    assert cluster.code_for(3) is Code.CHANGE_IN_PROGRESS  # its no-op is not committed yet

    cluster.pass_time(TIMING.heartbeat_ticks + 1)
    cluster.request(2, RemoveMember(Waiter(4), NodeId(1)))
    cluster.pass_time(TIMING.election_max_ticks)
    cluster.heal()
    assert cluster.raft(1).role != "leader"
    for _ in range(3):
        assert not cluster.campaign(1, 4, 5)  # S4 has the newer no-op


def test_a_change_begins_only_when_the_one_before_is_committed() -> None:
    """§4.1: if single-server changes overlapped, their majorities need not."""
    cluster = led(3, joining=(4, 5))
    cluster.isolate(1)
    cluster.request(1, AddLearner(Waiter(1), member(4)), AddLearner(Waiter(2), member(5)))
    assert cluster.code_for(2) is Code.CHANGE_IN_PROGRESS


def test_a_server_uses_a_configuration_as_soon_as_it_stands_in_its_log() -> None:
    """§4.1: it does not wait for the entry to be committed; and goes back when the entry is cut from the log."""
    cluster = led(3, joining=(4,))
    before = cluster.raft(1).configuration
    cluster.isolate(1)
    cluster.request(1, AddLearner(Waiter(1), member(4)))
    assert cluster.raft(1).configuration == before.with_learner(member(4))
    cluster.complete(1)
    cluster.campaign(2, 3)
    cluster.heal()
    cluster.pass_time(3 * TIMING.heartbeat_ticks)
    assert cluster.raft(1).configuration == before
    assert cluster.code_for(1) is Code.LEADER_CHANGED


def test_a_learner_is_counted_in_no_majority() -> None:
    """§4.2.1: non-voting servers are not counted towards majorities for voting or commitment."""
    cluster = led(3, joining=(4, 5))
    joined(cluster, 4, 1)
    joined(cluster, 5, 2)
    cluster.cut([1, 4, 5], [2, 3])
    cluster.propose(1, "a", waiter=3)
    cluster.settle()
    assert cluster.raft(1).last_index == cluster.raft(4).last_index == cluster.raft(1).commit + 1
    cluster.query(1, waiter=4)
    cluster.settle()
    assert 4 not in cluster.reads
    cluster.crash(1)
    assert not cluster.campaign(2)
    cluster.pass_time(5 * TIMING.election_max_ticks)
    assert cluster.raft(4).role == "learner"


def test_learners_neither_hinder_an_election_nor_keep_a_leader_in_office() -> None:
    """§4.2.1, §6.2: two of three voters elect, however many learners there are; and learners' answers do not count."""
    cluster = led(3, joining=(4, 5))
    joined(cluster, 4, 1)
    joined(cluster, 5, 2)
    cluster.cut([1, 4, 5], [2, 3])
    assert cluster.campaign(2, 3)
    cluster.pass_time(TIMING.election_max_ticks + 2)
    assert cluster.leaders() == [2]


def test_a_new_server_catches_up_before_it_gets_its_vote() -> None:
    """§4.2.1: it joins as a non-voting member; once it has caught up, the change to a voter follows as usual."""
    cluster = led(3, joining=(4,))
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.request(1, AddLearner(Waiter(1), member(4)))
    cluster.request(1, PromoteLearner(Waiter(2), NodeId(4)))
    assert cluster.code_for(2) is Code.CHANGE_IN_PROGRESS
    cluster.pass_time(3 * TIMING.heartbeat_ticks)
    assert cluster.values(4) == ["a", "b"]
    assert cluster.raft(4).role == "learner"

    cluster.request(1, PromoteLearner(Waiter(3), NodeId(4)))
    cluster.pass_time(TIMING.heartbeat_ticks)
    assert cluster.raft(4).role == "follower"
    assert cluster.raft(4).configuration.voters == members(1, 2, 3, 4)
    cluster.cut([1, 4], [2, 3])
    cluster.propose(1, "c", waiter=4)
    cluster.settle()
    assert Waiter(4) not in cluster.answers  # two of four are no majority


def test_a_learner_that_is_behind_gets_no_vote() -> None:
    """§4.2.1: a server that does not catch up would delay the cluster."""
    cluster = led(3, joining=(4,))
    cluster.request(1, AddLearner(Waiter(1), member(4)))
    cluster.isolate(4)
    cluster.propose(1, "a", "b")
    cluster.pass_time(3)
    cluster.request(1, PromoteLearner(Waiter(2), NodeId(4)))
    assert cluster.code_for(2) is Code.LEARNER_NOT_READY


def test_a_change_that_would_stop_the_group_is_refused() -> None:
    """§4.2.1: availability is preserved through changes: two of three voters answer, so none of these may go."""
    cluster = led(3)
    cluster.crash(3)
    cluster.pass_time(2 * TIMING.election_max_ticks)
    cluster.request(1, RemoveMember(Waiter(1), NodeId(2)))
    assert cluster.code_for(1) is Code.UNSAFE_CHANGE
    cluster.request(1, RemoveMember(Waiter(2), NodeId(3)))
    cluster.settle()
    assert cluster.raft(1).configuration.voters == members(1, 2)


def test_a_leader_that_removes_itself_leads_until_that_is_committed() -> None:
    """§4.2.2: it replicates the entry, does not count itself, and then steps down."""
    cluster = led(3)
    cluster.request(1, RemoveMember(Waiter(1), NodeId(1)))
    for number in (1, 2):
        while cluster.nodes[NodeId(number)].disk.queue:
            cluster.complete(number)
    assert cluster.raft(1).role == "leader"
    cluster.settle()
    assert cluster.raft(1).role == "learner"
    assert cluster.leaders() in ([2], [3])


def test_a_removed_server_cannot_disrupt_the_cluster() -> None:
    """§4.2.3: a server that hears a leader ignores requests for votes; its term stays."""
    cluster = led(4)
    cluster.isolate(4)
    cluster.request(1, RemoveMember(Waiter(1), NodeId(4)))
    cluster.settle()
    cluster.heal()
    for dest in (1, 2, 3):
        cluster.send(4, dest, RequestVote(Term(9), Index(99), Term(8), leader_agrees=False))
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.leaders() == [1]
    assert cluster.raft(1).term == 1


# Clients (§6.2).


def test_who_does_not_lead_names_who_does() -> None:
    """If the client's first choice is not the leader, that server rejects the request and names the leader."""
    cluster = led()
    cluster.propose(2, "a", waiter=1)
    assert (cluster.code_for(1), cluster.replies[Waiter(1)].leader) == (Code.NOT_LEADER, 1)
    cluster.restart(2)
    cluster.query(2, waiter=2)
    assert (cluster.code_for(2), cluster.replies[Waiter(2)].leader) == (Code.NO_LEADER, 0)
    assert cluster.raft(1).last_index == 1


# Reads (§6.4).


def test_a_read_waits_for_an_entry_of_the_leaders_own_term() -> None:
    """Step 1: a new leader does not know yet which entries are committed."""
    cluster = Cluster(3)
    assert cluster.campaign(1, 2)
    cluster.drop()
    cluster.query(1, waiter=1)
    assert cluster.under_way(Heartbeat) == []
    cluster.pass_time(2 * TIMING.heartbeat_ticks)
    assert cluster.reads[Waiter(1)] >= 1


def test_a_read_is_not_confirmed_by_answers_to_an_earlier_round() -> None:
    """Step 3: only heartbeats that were sent after the read arrived prove that no newer leader was there then."""
    cluster = led()
    cluster.tick(1, TIMING.heartbeat_ticks)
    for envelope in cluster.drop():
        cluster.deliver(envelope)
    early = cluster.drop()
    assert early
    cluster.query(1, waiter=1)
    cluster.drop()
    for envelope in early:
        cluster.deliver(envelope)
    assert Waiter(1) not in cluster.reads


def test_reads_that_wait_share_a_round() -> None:
    """Step 3: the leader can use a single round of heartbeats for any number of read-only queries."""
    cluster = led()
    cluster.request(1, *(Query(Waiter(number)) for number in range(1, 101)))
    assert len(cluster.under_way(Heartbeat)) == 2
    cluster.settle()
    assert len(cluster.reads) == 100


def test_a_leader_that_was_replaced_answers_no_read() -> None:
    """§6.4: a leader might have been deposed without knowing it."""
    cluster = led()
    cluster.cut([1], [2, 3])
    cluster.query(1, waiter=1)
    assert cluster.campaign(2, 3)
    cluster.pass_time(2)
    cluster.heal()
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert Waiter(1) not in cluster.reads
    assert cluster.code_for(1) is Code.NOT_LEADER


def test_a_leader_that_no_majority_answers_steps_down() -> None:
    """§6.2: if an election timeout elapses without a successful round of heartbeats to a majority."""
    cluster = led()
    cluster.isolate(1)
    cluster.propose(1, "a", waiter=1)
    cluster.complete(1)  # else its disk would seem to hang, and it would resign for that
    cluster.tick(1, TIMING.election_max_ticks + 1)
    assert cluster.raft(1).role == "follower"
    assert cluster.code_for(1) is Code.LEADER_CHANGED  # it may have happened


# Disruption (§9.6).


def test_a_server_that_was_cut_off_comes_back_with_its_old_term() -> None:
    """A server that could not win does not increase its term, so it does not force an election when it returns."""
    cluster = led()
    cluster.isolate(3)
    cluster.pass_time(10 * TIMING.election_max_ticks)
    assert cluster.raft(3).term == 1
    cluster.heal()
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.leaders() == [1]
    assert cluster.raft(1).term == 1


def test_a_pre_vote_is_denied_while_a_leader_is_heard_and_changes_no_state() -> None:
    """Servers grant it only if the candidate's log is good enough and no leader was heard for a while (§9.6)."""
    cluster = led()
    for asker, granted, silence in ((3, False, 0), (3, True, TIMING.election_min_ticks)):
        cluster.raft(2)._state.silence = silence
        cluster.send(asker, 2, PreVote(Term(1), Term(2), Index(99), Term(1)))
        (reply,) = cluster.drop()
        assert reply.payload.granted is granted
        assert cluster.raft(2)._state.voted_for == 1
        assert cluster.raft(2).term == 1
    cluster.send(3, 2, PreVote(Term(1), Term(2), Index(0), Term(0)))
    (reply,) = cluster.drop()
    assert not reply.payload.granted  # its log lacks what is here


# What the world may not do.


def test_a_timer_that_was_never_set_stops_the_replica() -> None:
    with pytest.raises(InvariantError, match="never set"):
        Cluster(1).raft(1).step(Timer(0, "alarm"))


def test_committed_entries_are_handed_over_one_commit_at_a_time() -> None:
    """Figure 3.1, rules for all servers: apply in order; here at the store's own pace."""
    cluster = led()
    node: Node = cluster.nodes[NodeId(1)]
    for value in "abc":
        cluster.propose(1, value)
        while cluster.network or any(each.disk.queue for each in cluster.nodes.values()):
            if cluster.network:
                cluster.deliver(cluster.network.pop(0))
            else:
                cluster.complete(next(n for n, each in cluster.nodes.items() if each.disk.queue))
    assert [len(commit.entries) for commit in node.store.queue] == [1]
    effects = cluster.step(1, Requests(cluster.now_ms, ()))
    assert not any(isinstance(effect, Commit) for effect in effects)
    cluster.apply(1)
    assert [len(commit.entries) for commit in node.store.queue] == [2]
