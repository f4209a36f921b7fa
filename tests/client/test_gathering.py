"""Which commands share a frame: those of one step, and few commands behind frames that are under way."""

from libelli.client.options import DialogueOptions
from libelli.stores.mvcc.commands import PutDone
from tests.client.cluster import Deafness, FakeCluster
from tests.client.world import World

OPTIONS = DialogueOptions(eager_frames=2, gather_bytes=1_000, gather_ms=7)


def test_commands_of_one_step_share_a_frame() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    for number in range(100):
        world.put(f"k{number}")
    world.outcome("k99")
    assert len(cluster.frames) == 1
    assert [each.key for each in cluster.applied] == [b"k%d" % number for number in range(100)]


def trickle(world: World, count: int) -> None:
    """Puts one key each step, all in one millisecond."""
    for number in range(count):
        world.put(f"k{number}")
        world.step()


def opened(options: DialogueOptions) -> tuple[FakeCluster, World]:
    cluster = FakeCluster()
    world = World(cluster, options=options)
    world.put("first")
    world.outcome("first")
    cluster.frames.clear()
    return cluster, world


def test_the_first_frames_leave_at_once_and_what_follows_gathers_until_an_answer_comes() -> None:
    cluster, world = opened(OPTIONS)
    trickle(world, 6)
    assert isinstance(world.outcome("k5"), PutDone)
    assert len(cluster.frames) == 3
    assert [each.key for each in cluster.applied[1:]] == [b"k%d" % number for number in range(6)]


def test_a_frame_s_worth_does_not_wait() -> None:
    cluster, world = opened(DialogueOptions(eager_frames=1, gather_bytes=150, gather_ms=1_000))
    trickle(world, 5)
    world.run_for(1)  # one way: no answer yet
    assert len(cluster.frames) == 3  # the first at once, two of two commands each


def test_few_commands_wait_no_longer_than_they_are_told() -> None:
    cluster, world = opened(DialogueOptions(eager_frames=1, gather_ms=7))
    cluster.mood = lambda _node, _call: Deafness()
    cluster.calls.clear()
    world.put("never answered")
    world.step()
    world.put("waits")
    world.run_for(7)  # it leaves at the seventh millisecond, and is one on its way
    assert len(cluster.calls) == 1
    world.run_for(1)
    assert len(cluster.calls) == 2
