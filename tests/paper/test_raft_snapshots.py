"""Sentences of the dissertation about compaction of logs, as replicas live up to them.

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), chapter 5 and figure 5.3.
"""

from libelli.core import AddLearner, Entries, Entry, EntryKind, HardState, Index, NodeId, RemoveMember, Term, Waiter
from libelli.protocols.raft import AppendEntries, AppendRejected, Options, SnapshotOffer
from tests.protocols.raft.world import TIMING, Cluster, member, members

FORGETFUL = Options(retain_entries=0, retain_bytes=0)
"""A log keeps nothing that the store holds durably."""


def led(voters: int = 3, *, joining: tuple[int, ...] = (), options: Options = FORGETFUL) -> Cluster:
    """A cluster that replica 1 leads in term 1, with everything quiet."""
    cluster = Cluster(voters, joining=joining, options=options)
    cluster.elect(1)
    cluster.pass_time(TIMING.heartbeat_ticks)
    return cluster


def bounds(cluster: Cluster, node: int) -> tuple[int, int]:
    """After which index a replica's log begins, and where it ends."""
    log = cluster.raft(node)._state.log
    return log.start_index, log.last_index


def test_a_log_forgets_only_what_the_store_holds_durably() -> None:
    """§5.1: once the state machine has written a snapshot, the log up to there can be discarded; not before."""
    cluster = led()
    cluster.propose(1, "a", "b")
    cluster.settle()
    assert bounds(cluster, 1) == (0, 3)
    cluster.crash(1)
    assert cluster.nodes[NodeId(1)].store.index == 0  # what was applied is lost, and the log still has it
    cluster.start(1)
    cluster.elect(1)
    cluster.pass_time(TIMING.heartbeat_ticks)
    assert cluster.values(1) == ["a", "b"]

    cluster.checkpoint(1)
    assert bounds(cluster, 1) == (4, 4)
    cluster.settle()
    cluster.restart(1)
    assert cluster.values(1) == ["a", "b"]


def test_a_log_keeps_entries_for_followers_that_are_a_little_behind() -> None:
    """§5.1.3: when to snapshot is a choice; what is retained saves slow followers a snapshot."""
    cluster = led(options=Options(retain_entries=2, retain_bytes=10_000))
    cluster.isolate(3)
    cluster.propose(1, "a", "b", "c", "d")
    cluster.settle()
    cluster.checkpoint(1)
    assert bounds(cluster, 1) == (3, 5)


def test_a_follower_whose_entries_are_gone_gets_a_snapshot_and_then_entries() -> None:
    """The leader sends snapshots to followers that are behind, when it has discarded the next entry to send (§5)."""
    cluster = led()
    cluster.crash(3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.checkpoint(1)
    cluster.settle()
    assert bounds(cluster, 1) == (3, 3)
    cluster.start(3)
    for _ in range(3 * TIMING.election_max_ticks):
        cluster.pass_time(1, settles=False)
        while cluster.nodes[NodeId(3)].install is None and cluster.do_one():
            pass
        if cluster.nodes[NodeId(3)].install is not None:
            break
    wanted = cluster.nodes[NodeId(3)].install
    assert wanted is not None
    assert (wanted.source, wanted.index) == (1, 3)

    cluster.install(3)
    assert bounds(cluster, 3) == (3, 3)
    cluster.settle()
    cluster.propose(1, "c")
    cluster.pass_time(TIMING.heartbeat_ticks)
    assert bounds(cluster, 3) == (3, 4)
    assert cluster.values(3) == ["a", "b", "c"]


def test_a_snapshot_that_did_not_arrive_is_offered_again() -> None:
    """§5: the leader retries until the follower has it; meanwhile it gets no entries that it cannot take."""
    cluster = led()
    cluster.isolate(3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.checkpoint(1)
    cluster.heal()
    offers = []
    for _ in range(4 * TIMING.election_max_ticks):
        cluster.pass_time(1, settles=False)
        while cluster.network or any(node.disk.queue for node in cluster.nodes.values()):
            offers += cluster.drop(lambda envelope: isinstance(envelope.payload, SnapshotOffer))
            assert not [each for each in cluster.under_way(AppendEntries) if offers and each.dest == 3]
            cluster.do_one()
        if len(offers) == 2:
            break
    assert [envelope.payload for envelope in offers] == [SnapshotOffer(Term(1), Index(3), Term(1))] * 2
    cluster.deliver(offers[0])
    cluster.settle()
    assert cluster.values(3) == ["a", "b"]


def test_a_snapshot_of_a_prefix_leaves_what_follows_it_in_the_log() -> None:
    """Figure 5.3, step 6: with an entry of the same index and term, retain any following entries."""
    cluster = led()
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.propose(1, "c")
    for envelope in cluster.drop(lambda each: each.dest == 2):
        cluster.deliver(envelope)
    cluster.complete(2)
    cluster.drop()
    cluster.restart(2)  # it does not know what is committed
    cluster.deliver_to(1, 2, SnapshotOffer(Term(1), Index(2), Term(1)))
    cluster.install(2)
    assert cluster.terms(2) == [1, 1, 1, 1]
    assert cluster.nodes[NodeId(2)].store.index == 3
    cluster.pass_time(3 * TIMING.election_max_ticks)
    assert cluster.values(2) == cluster.values(1) == ["a", "b", "c"]


def test_a_snapshot_that_conflicts_with_the_log_takes_its_place() -> None:
    """Figure 5.3, step 7: discard the entire log; here what an old leader wrote and nobody committed."""
    cluster = led()
    cluster.crash(3)
    old = tuple(Entry(Term(1), EntryKind.COMMAND, b"old") for _ in range(9))
    cluster.nodes[NodeId(3)].disk.write([HardState(Term(1)), Entries(Index(2), old)])
    cluster.restart(1)
    cluster.elect(2)
    cluster.propose(2, "a", "b")
    cluster.settle()
    cluster.checkpoint(2)
    cluster.start(3)
    cluster.pass_time(4 * TIMING.election_max_ticks)
    assert bounds(cluster, 3) == (4, 4)
    assert cluster.values(3) == ["a", "b"]
    cluster.restart(3)
    assert bounds(cluster, 3) == (4, 4)


def test_a_snapshot_brings_the_configuration_of_its_last_entry() -> None:
    """§5.1: the snapshot includes the latest configuration as of its last index."""
    cluster = led(3, joining=(4,))
    cluster.isolate(3)
    cluster.request(1, AddLearner(Waiter(1), member(4)))
    cluster.pass_time(TIMING.heartbeat_ticks)
    cluster.request(1, RemoveMember(Waiter(2), NodeId(4)))
    cluster.pass_time(TIMING.heartbeat_ticks)
    cluster.request(1, AddLearner(Waiter(3), member(4)))
    cluster.pass_time(TIMING.heartbeat_ticks)
    cluster.checkpoint(1)
    assert cluster.raft(3).configuration.learners == ()
    cluster.heal()
    cluster.pass_time(4 * TIMING.election_max_ticks)
    assert cluster.nodes[NodeId(3)].disk.start.index == 4
    assert cluster.raft(3).configuration.learners == members(4)


def test_an_offer_of_an_old_leader_is_rejected() -> None:
    """Figure 5.3, step 1: reply immediately if the term is old."""
    cluster = led()
    cluster.elect(2)
    cluster.deliver_to(1, 3, SnapshotOffer(Term(1), Index(99), Term(1)))
    (envelope,) = cluster.under_way(AppendRejected)
    assert envelope.payload.term == 2
    assert cluster.nodes[NodeId(3)].install is None
