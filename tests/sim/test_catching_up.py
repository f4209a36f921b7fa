"""Replicas that were away: entries, snapshots in chunks, damaged disks, and members that come and go."""

import pytest

from libelli.core.calls import ChangeMember
from libelli.core.codec import Decoder
from libelli.core.errors import Code, DamagedError
from libelli.core.ids import NodeId
from libelli.core.members import Member
from libelli.host.log.layout import HEADER_SIZE, SECTOR_SIZE, segment_name
from libelli.sim.disk import KeepNone
from libelli.sim.kernel import MS
from libelli.sim.world import member_of
from libelli.stores.mvcc.commands import FROM_KEY, DeleteRange, Put, PutDone, Range
from tests.sim.scenes import SHORT_LOG, TIMING, Scene, options
from tests.sim.workloads import Counter, Load, stop_all


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libelli.host.transfers.CHUNK_SIZE", 2_000)


def kinds(scene: Scene, kind: str, who: str) -> int:
    line = f'"kind":"{kind}"'.encode()
    return sum(line in each and f'"who":"{who}"'.encode() in each for each in scene.world.trace.lines)


def away(scene: Scene, count: int = 60) -> int:
    """Takes a follower away, writes so much that the log forgets what it lacks, and brings it back."""
    node = scene.followers()[0].member.node
    scene.world.crash(node)
    scene.puts(count, size=200, tag="away")
    scene.run_until(lambda: scene.leader.node.group().replica.status().first_index > 20, "the log to forget")
    scene.world.restart(node)
    return node


def test_a_follower_that_was_away_for_a_little_gets_entries() -> None:
    scene = Scene()
    node = scene.followers()[0].member.node
    scene.world.crash(node)
    scene.puts(20)
    scene.world.restart(node)
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    assert kinds(scene, "snapshot.installed", f"n{node}") == 0
    scene.finish()


def test_a_node_that_has_more_to_apply_goes_on_at_once_and_not_at_its_next_tick() -> None:
    scene = Scene(chosen=options(step_bytes=1, commit_bytes=1, flush_bytes=10**9, flush_age_ms=10**9))
    scene.puts(150)
    node = scene.followers()[0].member.node
    scene.world.restart(node)
    scene.run_until(lambda: scene.group(node).machine.applied > 0, "the first entry")
    since_ms = scene.world.kernel.now_ms
    scene.run_until(lambda: scene.holds_all(node), "the last one")
    assert scene.world.kernel.now_ms - since_ms < TIMING.tick_ms
    scene.finish()


def test_a_follower_that_was_away_for_long_gets_a_snapshot_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    scene = Scene(chosen=options(**SHORT_LOG))
    node = away(scene)
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    assert kinds(scene, "snapshot.installed", f"n{node}") == 1
    scene.finish()


def test_a_snapshot_takes_the_place_of_what_was_not_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    lazy = options(flush_bytes=10**9, flush_age_ms=10**9)
    scene = Scene(chosen=options(**SHORT_LOG), special={1: lazy, 3: lazy})
    scene.change("transfer", 2)
    scene.leader = scene.world.wait_leader()
    for number in range(20):
        scene.put(b"key %02d" % number, b"old %d" % number)
    assert scene.group(1).machine.overlay.size_bytes > 0
    scene.world.isolate(1)
    scene.ask(DeleteRange(b"key", FROM_KEY), timeout_ms=20_000)
    scene.puts(60, size=200, tag="away")
    scene.run_until(lambda: scene.leader.node.group().replica.status().first_index > 40, "the log to forget")
    scene.world.heal()
    scene.run_until(lambda: scene.holds_all(1), "the follower to catch up")
    assert kinds(scene, "snapshot.installed", "n1") == 1
    stores = [process.node.group().machine.store for process in scene.world.up]
    assert len({store.digest(store.revision, keys_max=100) for store in stores}) == 1
    scene.finish()


@pytest.mark.parametrize("seed", range(8))
def test_a_snapshot_survives_crashes_of_both_ends_and_a_bad_network(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    small_chunks(monkeypatch)
    scene = Scene(seed=seed, chosen=options(**SHORT_LOG, flush_us=20_000))
    node = away(scene)
    for link in (scene.world.network.link(f"n{node}", f"n{at}") for at in (1, 2, 3)):
        link.loss = 0.1
    scene.run_until(lambda: kinds(scene, "snapshot.fetch", f"n{node}") > 0, "a snapshot to begin")
    scene.world.run_ms(15 * (seed + 1))
    scene.world.restart(node if seed % 2 else scene.leader.member.node)
    scene.world.wait_leader()
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    scene.finish()


@pytest.mark.parametrize("seed", range(4))
def test_a_snapshot_whose_source_is_gone_for_good_comes_from_the_next_leader(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Without it the two that are left could not commit: one leads, one waits for the dead for ever."""
    small_chunks(monkeypatch)
    scene = Scene(seed=seed, chosen=options(**SHORT_LOG, flush_us=20_000))
    node, source = away(scene), scene.leader.member.node
    scene.run_until(lambda: kinds(scene, "snapshot.fetch", f"n{node}") > 0, "a snapshot to begin")
    scene.world.run_ms(15 * seed)
    scene.world.crash(source)
    scene.leader = scene.world.wait_leader()
    assert isinstance(scene.put(b"k", b"by two", timeout_ms=20_000), PutDone)
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    scene.world.restart(source)
    scene.finish()


def test_sessions_travel_with_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replica that got a snapshot leads, and still knows every frame of a client."""
    small_chunks(monkeypatch)
    scene = Scene(chosen=options(**SHORT_LOG))
    counter = Counter(scene.world, b"count")
    node = away(scene)
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    sessions = scene.group(node).machine.sessions
    assert len(sessions) == len(scene.leader.node.group().machine.sessions) > 0
    leader, operator = scene.leader.member.node, scene.world.client()
    scene.world.wait(operator.submit(Range(b"k")))
    lost = scene.client.submit(Put(b"k", b"repeated"), timeout_ms=20_000)
    scene.world.network.cut(f"n{leader}", scene.client.name)  # it hears the client, and is not heard
    scene.world.run_ms(50)
    transfer = operator.ask(lambda call: ChangeMember(call, "transfer", member_of(NodeId(node))), is_repeatable=False)
    scene.world.wait(transfer)
    assert transfer.is_done
    assert scene.ledger.revisions_of(b"repeated") != []
    assert lost.is_open
    scene.world.heal()
    scene.world.reset(leader, scene.client.name)
    scene.world.wait(lost)
    assert lost.answer.revision == scene.ledger.revisions_of(b"repeated")[0]
    stop_all(scene.world, counter)
    scene.finish()


def test_a_follower_with_a_full_disk_gets_its_snapshot_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    scene = Scene(chosen=options(**SHORT_LOG))
    node = away(scene)
    disk = scene.world.processes[node].disk
    disk.room_bytes = 0
    scene.run_until(lambda: kinds(scene, "snapshot.failed", f"n{node}") > 1, "the snapshot to fail twice")
    disk.room_bytes = None
    scene.run_until(lambda: scene.holds_all(node), "the follower to catch up")
    scene.finish()


def test_all_restart_with_nothing_but_their_disks_again_and_again() -> None:
    scene = Scene(chosen=options(**SHORT_LOG, segment_size=8 * 1024))
    for life in range(6):
        scene.puts(15, size=100, tag=f"life{life}.")
        for node in (1, 2, 3):
            scene.world.crash(node)
        for node in (1, 2, 3):
            scene.world.restart(node)
        scene.leader = scene.world.wait_leader()
        assert len(scene.leader.node.group().replica.configuration.voters) == 3
    assert (scene.get(b"k", timeout_ms=20_000) or b"").startswith(b"life5.14")
    assert all(len(process.log.segments) < 8 for process in scene.world.up)
    scene.finish()


def test_a_store_that_is_ahead_of_its_log_starts_in_the_right_term() -> None:
    """The checkpoint is durable while the log's disk hangs: applied entries, and no word of their term."""
    scene = Scene(chosen=options(flush_age_ms=50, comparison_interval_ms=0))
    follower = scene.followers()[0]
    node = follower.member.node
    scene.world.crash(node)
    follower.checkpoints = dict(follower.checkpoints)
    scene.puts(5)
    leader = scene.leader
    scene.run_until(lambda: leader.node.group().flushed_index >= 5, "the leader's checkpoint")
    for name in follower.disk.names():
        follower.disk.remove(name)
    follower.disk.sync_directory()
    follower.checkpoints = leader.checkpoints  # as after a snapshot whose log record was lost with the power
    follower.start()
    assert follower.node.group().replica.term == leader.node.group().replica.term > 0
    assert follower.node.group().machine.applied >= 5


def test_a_replica_with_a_damaged_log_does_not_start() -> None:
    scene = Scene()
    scene.puts(5)
    follower = scene.followers()[0]
    follower.crash(KeepNone())
    follower.disk.damage(segment_name(1), offset=HEADER_SIZE + SECTOR_SIZE, data=b"\xff" * 30)
    with pytest.raises(DamagedError, match="remove the member, and add a fresh one"):
        follower.start()
    assert scene.put(b"k", b"the others go on").revision > 1


def test_disks_full_then_free_again() -> None:
    scene = Scene(chosen=options(segment_size=4 * 1024))
    for process in scene.world.up:
        process.disk.room_bytes = process.disk.used_bytes
    operations = [scene.client.submit(Put(b"k", b"%d." % number * 300), timeout_ms=20_000) for number in range(30)]
    scene.world.run_ms(1_000)
    assert any(operation.is_open for operation in operations)
    for process in scene.world.up:
        process.disk.room_bytes = None
    scene.world.wait(*operations)
    assert all(operation.is_done for operation in operations)
    scene.finish()


# ── members ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_member_is_added_promoted_and_removed_under_load() -> None:
    scene = Scene(chosen=options(**SHORT_LOG))
    loads = [Load(scene.world, pause_us=20 * MS), Load(scene.world, pause_us=20 * MS)]
    scene.world.run_ms(500)
    scene.world.join(4)
    added = scene.change("add", 4)
    assert Decoder(list[Member], name="x").decode(added.answer.answers)[0].node == 4
    scene.run_until(lambda: scene.holds_all(4), "the learner to catch up")
    scene.run_until(lambda: scene.change("promote", 4).is_done, "the promotion")
    scene.world.run_ms(200)
    assert scene.world.wait_leader().node.group().replica.configuration.voter_nodes == (1, 2, 3, 4)
    removed = next(node for node in (1, 2, 3) if scene.world.leader() is not scene.world.processes[node])
    assert scene.change("remove", removed).is_done
    scene.world.run_ms(200)
    scene.world.crash(removed)
    voters = [node for node in (1, 2, 3, 4) if node != removed]
    for node in voters[:1]:
        scene.world.crash(node)
    leader = scene.world.wait_leader()
    before = sum(load.done for load in loads)
    scene.run_until(lambda: sum(load.done for load in loads) > before + 20, "two of three to go on")
    assert leader.member.node in voters
    stop_all(scene.world, *loads)
    scene.finish()


def test_the_leader_can_be_removed_and_another_goes_on() -> None:
    scene = Scene()
    scene.puts(5)
    old = scene.leader
    assert scene.change("remove", old.member.node).is_done
    new = scene.world.wait_leader(other_than=old)
    assert len(new.node.group().replica.configuration.voters) == 2
    assert scene.put(b"k", b"after", timeout_ms=20_000).revision > 6
    old.crash()
    scene.finish()


@pytest.mark.parametrize(
    ("action", "node", "code"),
    [
        ("promote", 9, Code.MEMBER_NOT_FOUND),
        ("remove", 9, Code.MEMBER_NOT_FOUND),
        ("add", 2, Code.MEMBER_EXISTS),
        ("forget", 2, Code.INVALID),
    ],
)
def test_changes_that_cannot_be_are_refused(action: str, node: int, code: Code) -> None:
    assert Scene().change(action, node).answer.code is code


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (Member(NodeId(2**64 - 1), "n9", peer_address="n9:1"), Code.INVALID),  # no number would follow it
        (Member(NodeId(-1), "n9", peer_address="n9:1"), Code.MEMBER_EXISTS),
        (Member(NodeId(0), "n" * 257, peer_address="n9:1"), Code.TOO_LARGE),
        (Member(NodeId(0), "n9", "ü" * 129, "n9:1"), Code.TOO_LARGE),
        (Member(NodeId(0), "n9", peer_address="n" * 257), Code.TOO_LARGE),
    ],
    ids=["highest number", "negative number", "long name", "long region", "long address"],
)
def test_a_member_that_would_burden_all_others_is_not_added(member: Member, code: Code) -> None:
    scene = Scene()
    refused = scene.client.ask(lambda call: ChangeMember(call, "add", member), is_repeatable=False)
    scene.world.wait(refused)
    assert refused.answer.code is code
    assert scene.change("add", 9).is_done
    scene.finish()


def test_leadership_is_handed_over_on_request() -> None:
    scene = Scene()
    target = scene.followers()[-1]
    assert scene.change("transfer", target.member.node).is_done
    assert scene.world.wait_leader() is target
    scene.finish()
