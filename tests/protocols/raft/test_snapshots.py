"""Chapter 5: the log forgets, and a follower that needs what is gone gets the store's state."""

import pytest

from libelli.core import Code, Commit, Index, NodeId, SnapshotInstalled, Term, Waiter
from libelli.protocols.raft import AppendEntries, Options, SnapshotOffer
from tests.protocols.raft.world import TIMING, Cluster

FORGETFUL = Options(retain_entries=0, retain_bytes=0)
"""A checkpoint lets the log forget at once."""


def cluster_that_forgot(*, away: int) -> Cluster:
    """A cluster with two that went on, and whose leader's log begins behind what the third has."""
    cluster = Cluster(3, options=FORGETFUL)
    cluster.elect(1)
    cluster.settle()
    cluster.crash(away)
    cluster.propose(1, "a", "b", "c")
    cluster.settle()
    cluster.pass_time(TIMING.heartbeat_ticks)
    cluster.checkpoint(1)
    cluster.settle()
    return cluster


def deposed_with_entries_of_its_own(*, fetched: bool) -> Cluster:
    """Replica 1 wrote six entries that were lost; what took their place is known only to the store of 2 now."""
    cluster = Cluster(3, options=FORGETFUL)
    cluster.elect(1)
    cluster.cut([1], [2, 3])
    cluster.propose(1, *("lost" for _ in range(6)))
    cluster.complete(1)
    assert cluster.campaign(2, 3)
    cluster.settle()
    cluster.propose(2, "a", "b")
    cluster.settle()
    cluster.checkpoint(2)
    cluster.settle()
    cluster.heal()
    cluster.restart(1)
    cluster.propose(2, "c")
    while cluster.nodes[NodeId(1)].install is None:
        if not cluster.network:
            cluster.pass_time(1, settles=False)
        for envelope in cluster.drop():
            cluster.send(envelope.source, envelope.dest, envelope.payload)
    if fetched:
        cluster.install(1)
    return cluster


def test_the_log_keeps_what_was_chosen_behind_a_checkpoint() -> None:
    cluster = Cluster(1, options=Options(retain_entries=3))
    cluster.pass_time(3)
    cluster.propose(1, *"abcdefgh")
    cluster.settle()
    cluster.checkpoint(1)
    status = cluster.raft(1).status()
    assert (status.first_index, status.last_index) == (7, 9)


def test_a_follower_fetches_the_store_when_its_entries_are_gone() -> None:
    cluster = cluster_that_forgot(away=3)
    cluster.start(3)
    cluster.propose(1, "d")
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.values(3) == ["a", "b", "c", "d"]
    assert cluster.raft(3).status().first_index > 1


def test_a_transfer_that_fails_is_offered_again() -> None:
    cluster = deposed_with_entries_of_its_own(fetched=False)
    cluster.install(1, fails=True)
    cluster.pass_time(3 * TIMING.election_max_ticks)
    assert cluster.values(1) == ["a", "b", "c"]


def test_entries_that_the_snapshot_contradicts_are_discarded() -> None:
    """Figure 5.3, step 7: its last entry is in the log, but with another term."""
    cluster = deposed_with_entries_of_its_own(fetched=True)
    assert cluster.raft(1).last_index == cluster.nodes[NodeId(1)].store.index
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.values(1) == ["a", "b", "c"]


def test_a_crash_after_the_store_and_before_the_log_is_replaced_leaves_the_store_right() -> None:
    cluster = deposed_with_entries_of_its_own(fetched=True)
    assert cluster.nodes[NodeId(1)].disk.queue
    cluster.restart(1, written=0)
    status = cluster.raft(1).status()
    assert status.last_index == status.applied == cluster.nodes[NodeId(1)].store.index
    cluster.pass_time(2 * TIMING.election_max_ticks)
    assert cluster.values(1) == ["a", "b", "c"]


def test_the_log_keeps_the_entries_behind_a_snapshot_that_is_on_its_way() -> None:
    """Else the follower would need another one as soon as it has it."""
    cluster = deposed_with_entries_of_its_own(fetched=False)
    before = cluster.raft(2).status().first_index
    cluster.propose(2, "d", "e")
    while cluster.network or any(node.disk.queue or node.store.queue for node in cluster.nodes.values()):
        for envelope in cluster.drop():
            cluster.send(envelope.source, envelope.dest, envelope.payload)
        for number, node in cluster.nodes.items():
            if node.disk.queue:
                cluster.complete(number)
            if node.store.queue:
                cluster.apply(number)
    cluster.checkpoint(2)
    assert cluster.raft(2).status().first_index == before
    cluster.install(1)
    cluster.pass_time(2 * TIMING.election_max_ticks)
    cluster.checkpoint(2)
    assert cluster.raft(2).status().first_index > before


@pytest.fixture
def fetching() -> Cluster:
    """Replica 3 follows 1 and waits for a snapshot at 4."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.drop()
    cluster.deliver_to(1, 3, SnapshotOffer(Term(1), Index(4), Term(1)))
    assert cluster.raft(3).status().is_installing
    return cluster


def test_nothing_is_applied_while_the_store_is_replaced(fetching: Cluster) -> None:
    entries = fetching.raft(1)._state.log.read(1, last=1, size_max=100)
    assert entries is not None
    message = AppendEntries(Term(1), Index(0), Term(0), Index(1), entries)
    effects = fetching.deliver_to(1, 3, message)
    assert fetching.raft(3).commit == 1
    assert not any(isinstance(effect, Commit) for effect in effects)


def test_who_waits_for_a_snapshot_does_not_campaign(fetching: Cluster) -> None:
    fetching.tick(3, 3 * TIMING.election_max_ticks)
    assert fetching.raft(3).role == "follower"


def test_a_second_offer_starts_no_second_fetch(fetching: Cluster) -> None:
    fetching.nodes[NodeId(3)].install = None
    fetching.deliver_to(1, 3, SnapshotOffer(Term(1), Index(9), Term(1)))
    assert fetching.nodes[NodeId(3)].install is None


def test_a_waiter_whose_entry_came_with_a_snapshot_is_told_that_it_may_have_happened() -> None:
    """Its entry is committed and not applied yet when the leader is deposed, and then comes as part of a store."""
    cluster = Cluster(3)
    cluster.elect(1)
    for value, waiter in (("a", 4), ("b", 5)):
        cluster.propose(1, value, waiter=waiter)
        for envelope in cluster.drop():
            cluster.send(envelope.source, envelope.dest, envelope.payload)
        for envelope in cluster.drop():
            cluster.deliver(envelope)
    assert cluster.raft(1).commit == 3
    assert len(cluster.nodes[NodeId(1)].store.queue) == 1  # the store has not applied the first yet
    configuration = cluster.raft(1).configuration
    cluster.deliver_to(2, 1, SnapshotOffer(Term(2), Index(9), Term(2)))
    cluster.apply(1)
    cluster.step(1, SnapshotInstalled(cluster.now_ms, Index(9), Term(2), configuration))
    assert Waiter(4) in cluster.answers
    assert cluster.code_for(5) is Code.LEADER_CHANGED
