"""Watches go on over lost connections without a gap and without telling anything twice."""

from libelli.client.effects import WatchBegan, WatchChanged, WatchEnded
from libelli.client.outcomes import Compacted
from libelli.client.watches import Control
from libelli.core.calls import CancelWatch, Changes, Refusal, Watch
from libelli.core.codec import encode
from libelli.core.errors import Code, Refused, Unavailable
from libelli.core.ids import DEFAULT_COLLECTION
from tests.client.cluster import FakeCluster
from tests.client.world import World

EVERYTHING = Watch(0, DEFAULT_COLLECTION, b"\0", b"\0")


def since(revision: int) -> Watch:
    return Watch(0, DEFAULT_COLLECTION, b"\0", b"\0", revision)


def seen(world: World) -> list[bytes]:
    changes = [told for told in world.watched if isinstance(told, WatchChanged)]
    return [event.item.key for told in changes for event in told.events]


def watching(cluster: FakeCluster, request: Watch = EVERYTHING) -> World:
    world = World(cluster)
    world.watch(request, "w")
    world.run(lambda: bool(world.watched))
    return world


def put(world: World, name: str) -> None:
    world.put(name)
    world.outcome(name)
    world.publish()
    world.run_for(5)


def test_a_watch_tells_what_happens_after_it_began() -> None:
    world = watching(FakeCluster())
    assert world.watched == [WatchBegan("w", 1)]
    put(world, "a")
    put(world, "b")
    assert seen(world) == [b"a", b"b"]


def test_a_watch_from_the_past_begins_there() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    for name in ("a", "b", "c"):
        put(world, name)
    world.watch(since(3), "w")
    world.run(lambda: seen(world) == [b"b", b"c"])


def test_a_watch_resumes_after_the_last_revision_that_it_told() -> None:
    cluster = FakeCluster(leader=1)
    world = watching(cluster)
    put(world, "a")
    world.kill(1)
    cluster.leader = 2
    put(world, "b")
    put(world, "c")
    world.run(lambda: seen(world) == [b"a", b"b", b"c"])
    assert WatchBegan("w", 2) in world.watched


def test_what_a_node_tells_twice_is_told_once() -> None:
    cluster = FakeCluster(nodes=1)
    world = watching(cluster)
    put(world, "a")
    ((_, call),) = cluster.watches
    world.inject(1, encode([Changes(call, cluster.revision, encode(cluster.history))]))
    world.run_for(5)
    assert seen(world) == [b"a"]


def test_a_watch_that_needs_compacted_history_says_where_history_begins() -> None:
    cluster = FakeCluster()
    cluster.revision, cluster.compact_revision = 90, 50
    world = World(cluster)
    world.watch(since(10), "w")
    world.run(lambda: bool(world.watched))
    (ended,) = world.watched
    assert isinstance(ended, WatchEnded)
    assert isinstance(ended.error, Compacted)
    assert ended.error.compact_revision == 50


def test_a_watch_whose_next_revision_was_compacted_while_it_was_away_ends() -> None:
    cluster = FakeCluster(leader=1)
    world = watching(cluster)
    put(world, "a")
    cluster.compact_revision = 40
    cluster.revision = 60
    world.kill(1)
    cluster.leader = 2
    world.run(lambda: isinstance(world.watched[-1], WatchEnded))
    assert world.watched[-1].error.code is Code.COMPACTED


def test_an_idle_watch_that_hears_of_progress_resumes_from_there() -> None:
    cluster = FakeCluster(leader=1)
    world = watching(cluster)
    ((_, call),) = cluster.watches
    world.inject(1, encode([Changes(call, 70, encode([]))]))
    world.run_for(5)
    cluster.revision, cluster.compact_revision = 70, 60
    world.kill(1)
    cluster.leader = 2
    world.run(lambda: WatchBegan("w", 70) in world.watched)


def test_a_paused_watch_tells_nothing_and_goes_on_where_it_stopped() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    steer = world.watch(EVERYTHING, "w")
    world.run(lambda: bool(world.watched))
    put(world, "a")
    steer(Control.PAUSE)
    world.run_for(5)
    assert cluster.watches == {}
    put(world, "b")
    assert seen(world) == [b"a"]
    steer(Control.RESUME)
    world.run(lambda: seen(world) == [b"a", b"b"])


def test_a_cancelled_watch_is_cancelled_at_the_node() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    steer = world.watch(EVERYTHING, "w")
    world.run(lambda: bool(world.watched))
    steer(Control.CANCEL)
    world.run(lambda: any(isinstance(call, CancelWatch) for _, call in cluster.calls))
    told = len(world.watched)
    put(world, "a")
    assert len(world.watched) == told


def test_a_watch_that_cannot_be_opened_in_time_ends() -> None:
    world = World(FakeCluster())
    world.down = {1, 2, 3}
    world.watch(EVERYTHING, "w", timeout_ms=800)
    world.run(lambda: bool(world.watched))
    assert isinstance(world.watched[0].error, Unavailable)
    assert world.now_ms == 1_800


def test_a_watch_that_was_open_waits_for_a_leader_as_long_as_it_takes() -> None:
    cluster = FakeCluster(leader=1)
    world = watching(cluster)
    world.kill(1)
    world.run_for(50_000)
    cluster.leader = 2
    put(world, "a")
    world.run(lambda: seen(world) == [b"a"])


def test_a_closed_dialogue_ends_its_watches() -> None:
    world = watching(FakeCluster())
    world.dialogue.close()
    world.step()
    assert isinstance(world.watched[-1], WatchEnded)


def test_a_watch_that_is_denied_ends_with_that() -> None:
    cluster = FakeCluster()
    cluster.mood = lambda _, call: Refusal(call.call, Code.DENIED, "not yours") if isinstance(call, Watch) else None
    world = World(cluster)
    world.watch(EVERYTHING, "w")
    world.run(lambda: bool(world.watched))
    assert isinstance(world.watched[0].error, Refused)


def test_a_watch_leaves_a_node_that_has_lost_the_others() -> None:
    cluster = FakeCluster(leader=1)
    world = watching(cluster)
    cluster.leader, cluster.cut_off = 2, {1}
    world.run(lambda: any(isinstance(call, Watch) and node == 2 for node, call in cluster.calls))
    put(world, "a")
    world.run(lambda: seen(world) == [b"a"])
