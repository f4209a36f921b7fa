"""What must be on disk before it counts (§3.8), and what an answer of the disk proves."""

from libelli.core import Code, Entry, EntryKind, Index, NodeId, Persisted, Propose, Requests, Term, Ticket, Waiter
from libelli.protocols.raft import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    Options,
    RequestVote,
    TimeoutNow,
    VoteGranted,
)
from libelli.protocols.raft.durability import Durability
from tests.protocols.raft.world import TIMING, Cluster


def command(term: int, text: str) -> Entry:
    return Entry(Term(term), EntryKind.COMMAND, text.encode())


def test_a_vote_in_a_term_that_is_known_already_is_durable_too() -> None:
    cluster = Cluster(3)
    cluster.send(1, 2, Heartbeat(Term(4), Index(0), 1))
    cluster.raft(2)._state.silence = TIMING.election_min_ticks
    cluster.send(1, 2, RequestVote(Term(4), Index(0), Term(0), leader_agrees=True))
    assert len(cluster.under_way(VoteGranted)) == 1
    cluster.drop()
    cluster.restart(2)
    cluster.send(3, 2, RequestVote(Term(4), Index(0), Term(0), leader_agrees=True))
    assert cluster.under_way(VoteGranted) == []


def test_a_candidates_own_vote_counts_only_when_that_vote_is_durable() -> None:
    """The answer to an earlier write proves nothing of it."""
    cluster = Cluster(3)
    cluster.deliver_to(2, 1, Heartbeat(Term(4), Index(0), 1))  # its disk has a term to write
    assert len(cluster.nodes[NodeId(1)].disk.queue) == 1
    cluster.deliver_to(2, 1, TimeoutNow(Term(4)))
    assert cluster.raft(1).role == "candidate"
    cluster.complete(1)
    cluster.deliver_to(3, 1, VoteGranted(Term(5)))
    assert cluster.raft(1).role == "candidate"
    cluster.complete(1)
    assert cluster.raft(1).role == "leader"


def test_what_was_cut_from_the_log_is_not_proved_by_a_write_that_was_under_way() -> None:
    """Leaders of terms 1 and 3 write the same place while the disk is slow; then term 1's answer comes."""
    durability = Durability(Index(0))
    first = durability.issue(Index(5), 0)
    durability.cut(Index(2))
    second = durability.issue(Index(5), 1)
    durability.complete(first)
    assert durability.index == 2
    durability.complete(second)
    assert durability.index == 5


def test_a_follower_acknowledges_what_a_message_proves_and_not_all_it_has() -> None:
    """Entries behind the message may be of an old leader and still be cut."""
    cluster = Cluster(3)
    cluster.send(2, 1, AppendEntries(Term(1), Index(0), Term(0), Index(0), tuple(command(1, each) for each in "abc")))
    cluster.drop()
    cluster.send(3, 1, AppendEntries(Term(2), Index(1), Term(1), Index(3), ()))
    (accepted,) = cluster.under_way(AppendAccepted)
    assert accepted.payload == AppendAccepted(Term(2), Index(1))
    assert cluster.raft(1).commit == 1  # though the leader has committed three entries, perhaps others


def test_a_restarted_voter_keeps_its_promise_to_a_leader_it_may_have_heard() -> None:
    """§6.4.1: a lease may rest on it."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.restart(2)
    cluster.drop()
    cluster.send(3, 2, RequestVote(Term(9), Index(9), Term(1), leader_agrees=False))
    assert cluster.under_way(VoteGranted) == []
    cluster.tick(2, TIMING.election_min_ticks)
    cluster.drop()
    cluster.send(3, 2, RequestVote(Term(9), Index(9), Term(1), leader_agrees=False))
    assert len(cluster.under_way(VoteGranted)) == 1


def test_a_replica_whose_disk_hangs_does_not_campaign() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, "a")
    for envelope in cluster.drop():
        cluster.deliver(envelope)  # the disks of 2 and 3 have work now
    cluster.crash(1)
    cluster.tick(2, 3 * TIMING.election_max_ticks)
    assert cluster.raft(2).role == "follower"
    while cluster.nodes[NodeId(2)].disk.queue:
        cluster.complete(2)
    cluster.tick(2, TIMING.election_max_ticks)
    assert cluster.raft(2).role == "pre-candidate"


def test_a_leader_refuses_more_than_it_may_hold_unapplied() -> None:
    cluster = Cluster(3, options=Options(unapplied_bytes=1000))
    cluster.elect(1)
    cluster.cut([1], [2, 3])
    batch = tuple(Propose(Waiter(number), b"x" * 300) for number in range(1, 6))
    cluster.step(1, Requests(cluster.now_ms, batch))
    assert [cluster.code_for(number) for number in (4, 5)] == [Code.OVERLOADED] * 2
    assert Waiter(3) not in cluster.replies


def test_messages_without_an_answer_are_bounded() -> None:
    """§10.2.2: the window is counted in messages and in bytes."""
    cluster = Cluster(3, options=Options(inflight_messages=4, message_bytes=200, inflight_bytes=600))
    cluster.elect(1)
    cluster.drop()
    cluster.propose(1, *("x" * 150 for _ in range(20)))
    assert len([each for each in cluster.under_way(AppendEntries) if each.dest == 2]) == 4
    cluster.settle()
    assert len(cluster.values(1)) == 20
    cluster.propose(1, *("y" * 1500 for _ in range(20)))
    assert len([each for each in cluster.under_way(AppendEntries) if each.dest == 2]) == 1


def test_an_answer_to_an_unknown_ticket_proves_nothing() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    before = cluster.raft(1).status().durable_index
    cluster.step(1, Persisted(cluster.now_ms, Ticket(999), Term(9), Index(99)))
    assert cluster.raft(1).status().durable_index == before


def test_a_leader_whose_disk_hangs_steps_down_and_names_the_voter_that_is_furthest() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, "a", waiter=1)
    for _ in range(TIMING.election_max_ticks + 1):
        assert cluster.raft(1).role == "leader"
        for envelope in cluster.drop():
            cluster.deliver(envelope)
        while cluster.nodes[NodeId(2)].disk.queue:
            cluster.complete(2)
        cluster.tick(1)
    assert cluster.raft(1).role == "follower"
    assert [(each.dest, each.payload) for each in cluster.under_way(TimeoutNow)] == [(2, TimeoutNow(Term(1)))]
    assert cluster.code_for(1) is Code.LEADER_CHANGED
