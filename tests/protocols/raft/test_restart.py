"""What a replica that was restarted learns from a leader that has nothing new to say."""

from tests.protocols.raft.world import Cluster


def test_a_follower_that_was_restarted_applies_what_is_committed_though_nothing_new_is_written() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, "a", "b", "c")
    cluster.settle()
    cluster.restart(3)
    cluster.pass_time(20)
    assert cluster.values(3) == ["a", "b", "c"]


def test_a_follower_that_lost_the_end_of_its_log_is_sent_it_again() -> None:
    """A last block that was damaged looks like one that was torn; the leader must not insist on what it heard."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, "a", "b", "c")
    cluster.settle()
    cluster.crash(3)
    disk = cluster.nodes[3].disk
    del disk.entries[max(disk.entries)]
    cluster.start(3)
    cluster.pass_time(20)
    assert cluster.values(3) == ["a", "b", "c"]


def test_a_log_that_ends_before_its_store_begins_anew_behind_it() -> None:
    """The store got what others had made durable, and the log's own writes were lost: its next entry follows."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, "a", "b")
    cluster.pass_time(6)
    cluster.checkpoint(2)
    cluster.settle()
    cluster.crash(2)
    cluster.nodes[2].disk.entries.clear()
    cluster.start(2)
    status = cluster.raft(2).status()
    assert (status.first_index, status.last_index, status.last_term) == (4, 3, 1)
    cluster.propose(1, "c")
    cluster.pass_time(20)
    assert cluster.nodes[2].disk.start.index == 3
    assert cluster.values(2) == ["a", "b", "c"]
