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
