"""Housekeeping in a cluster: leases end, history goes, quotas bind, corrupted replicas are found, watches go on."""

import pytest
from msgspec.structs import replace

from libelli.core.calls import KeepAlive, ReadSnapshot
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.host.snapshots import SnapshotReader
from libelli.sim.kernel import MS
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    Compact,
    DeleteRange,
    Failed,
    LeaseGrant,
    LeaseRead,
    Put,
    PutDone,
    Range,
)
from libelli.stores.mvcc.tables import KEYS, REVISIONS
from tests.sim.scenes import SHORT_LOG, Scene, options, with_node
from tests.sim.workloads import Load, stop_all


def has_key(scene: Scene, key: bytes) -> bool:
    return scene.get(key, timeout_ms=20_000) is not None


def test_a_lease_ends_with_its_keys_at_one_revision_everywhere() -> None:
    scene = Scene()
    lease = scene.ask(LeaseGrant(0, 2)).lease
    scene.ask(Put(b"a", b"1", lease=lease))
    scene.ask(Put(b"b", b"2", lease=lease))
    scene.world.run_ms(1_500)
    assert has_key(scene, b"a")
    scene.world.run_ms(700)
    assert not has_key(scene, b"a")
    last = max(scene.ledger.changes)
    assert [(each.key, each.version) for each in scene.ledger.changes[last]] == [(b"a", 0), (b"b", 0)]
    assert scene.ask(LeaseRead(lease)).leases == ()
    scene.finish()


def test_a_lease_that_is_kept_alive_lives_and_a_new_leader_gives_it_its_whole_time() -> None:
    scene = Scene()
    lease = scene.ask(LeaseGrant(0, 2)).lease
    scene.ask(Put(b"a", b"1", lease=lease))
    for _ in range(4):
        scene.world.run_ms(1_000)
        kept = scene.client.ask(lambda call: KeepAlive(call, DEFAULT_COLLECTION, lease))
        scene.world.wait(kept)
        assert kept.answer.ttl_s == 2
    scene.world.run_ms(1_500)
    scene.leader.crash()
    scene.world.wait_leader()
    scene.world.run_ms(1_500)
    assert has_key(scene, b"a")
    scene.run_until(lambda: not has_key(scene, b"a"), "the lease to end")
    scene.world.restart(scene.leader.member.node)
    scene.finish()


def test_the_quota_refuses_puts_with_no_space_until_something_is_deleted() -> None:
    scene = Scene(chosen=options(quota_bytes=30_000))
    answers = [scene.put(b"k%d" % number, b"x" * 1_000) for number in range(40)]
    refused = [answer for answer in answers if isinstance(answer, Failed)]
    assert {answer.code for answer in refused} == {Code.NO_SPACE}
    assert isinstance(answers[0], PutDone)
    alarms = scene.status(scene.leader.member.node).alarms
    assert "its quota is 30000: delete keys or compact, or raise the quota" in alarms[0]
    revision = scene.ask(DeleteRange(b"k", FROM_KEY)).revision
    scene.ask(Compact(revision))
    scene.run_until(lambda: isinstance(scene.put(b"k", b"fits again"), PutDone), "room")
    assert scene.status(scene.leader.member.node).alarms == ()


def test_history_is_compacted_by_itself_and_alike_everywhere() -> None:
    scene = Scene(chosen=options(retain_revisions=50, scrub_steps=3))
    scene.puts(200)
    stores = [process.node.group().machine.store for process in scene.world.up]
    scene.run_until(lambda: all(store.compact_revision > 100 for store in stores), "compaction")
    assert len({store.compact_revision for store in stores}) == 1
    answer = scene.ask(Range(b"k", revision=5))
    assert (answer.code, "compact" in str(answer)) == (Code.COMPACTED, True)
    scene.run_until(lambda: all(store.size_bytes < 10_000 for store in stores), "old versions to be removed")
    scene.finish()


def test_freeing_old_versions_while_nobody_writes_does_not_fill_the_memory() -> None:
    scene = Scene(chosen=options(flush_bytes=3_000, scrub_steps=5, comparison_interval_ms=0))
    scene.puts(150)
    scene.ask(Compact(151))
    scene.world.run_ms(3_000)
    for process in scene.world.up:
        assert process.node.group().machine.overlay.size_bytes < 2 * 3_000
        assert process.node.group().machine.store.size_bytes < 500


def test_a_corrupted_replica_is_found_by_comparing_and_named() -> None:
    scene = Scene(chosen=options(comparison_interval_ms=100, comparison_keys=3))
    for number in range(20):
        scene.put(b"key %02d" % number, b"v")
    scene.world.run_ms(2_000)
    leader = scene.leader.node
    assert leader.group().keeping.differences == {}
    assert leader.statistics()["compared_keys"] > 20
    victim = scene.followers()[0].member.node
    overlay = scene.group(victim).machine.overlay
    pointer, record = list(overlay.scan(REVISIONS))[7]
    overlay.put(REVISIONS, pointer, record[:-1] + b"w")
    assert overlay.get(KEYS, b"key 07") is not None
    scene.run_until(lambda: bool(leader.group().keeping.differences), "the difference to be found")
    assert list(leader.group().keeping.differences) == [victim]
    (alarm,) = scene.status(scene.leader.member.node).alarms
    assert f"node {victim} holds other data than the leader" in alarm
    assert scene.change("remove", victim).is_done
    scene.world.run_ms(300)
    assert scene.status(scene.leader.member.node).alarms == ()


def test_a_watch_sees_every_change_once_across_leaders_and_lost_connections() -> None:
    scene = Scene()
    watching = scene.client.watch(b"a", FROM_KEY)
    writer = scene.world.client()
    load = Load(scene.world, client=writer, keys=[b"a", b"b"], reads=0.0, pause_us=10 * MS)
    for _ in range(3):
        scene.world.run_ms(300)
        scene.world.reset(scene.world.wait_leader().member.node, scene.client.name)
        scene.world.run_ms(200)
        scene.world.restart(scene.world.wait_leader().member.node)
    scene.world.run_ms(500)
    stop_all(scene.world, load)
    last = max(scene.ledger.changes)
    scene.run_until(lambda: watching.revision >= last, "the watch to see the last change")
    seen = [(event.item.mod_revision, event.item.key, event.item.value) for event in watching.events]
    first = watching.began[0] + 1
    expected = [
        (revision, change.key, change.value)
        for revision, changes in sorted(scene.ledger.changes.items())
        for change in changes
        if revision >= first
    ]
    assert seen == expected
    assert len(watching.began) > 1
    scene.finish()


def test_a_watch_that_starts_in_the_past_reads_history_first() -> None:
    scene = Scene()
    scene.puts(10)
    watching = scene.client.watch(b"k", start_revision=5)
    scene.world.run_ms(200)
    scene.puts(3, tag="new")
    scene.run_until(lambda: watching.revision >= 14, "the last change")
    assert [event.item.mod_revision for event in watching.events] == list(range(5, 15))


def test_a_watch_of_compacted_history_ends_and_says_where_history_begins() -> None:
    scene = Scene()
    scene.puts(10)
    scene.ask(Compact(8))
    watching = scene.client.watch(b"k", start_revision=3)
    scene.run_until(lambda: watching.error is not None, "the watch to end")
    assert watching.error is not None
    assert watching.error.code is Code.COMPACTED
    assert getattr(watching.error, "compact_revision", 0) == 8


def test_watches_on_a_follower_go_on_over_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libelli.host.transfers.CHUNK_SIZE", 2_000)
    scene = Scene(chosen=options(**SHORT_LOG))
    follower = scene.followers()[0].member.node
    others = [node for node in (1, 2, 3) if node != follower]
    near = scene.world.client(endpoints=[follower])
    scene.world.partition([near.name], others)
    watching = near.watch(b"k")
    scene.run_until(lambda: len(scene.group(follower).watches) == 1, "the watch to begin")
    scene.puts(3)
    scene.world.isolate(follower)
    scene.puts(60, size=200, tag="away")
    scene.run_until(lambda: scene.leader.node.group().replica.status().first_index > 20, "the log to forget")
    assert len(scene.group(follower).watches) == 1
    for node in others:
        scene.world.network.mend(f"n{node}", f"n{follower}")
        scene.world.network.mend(f"n{follower}", f"n{node}")
    scene.run_until(lambda: scene.holds_all(follower), "the follower to catch up")
    last = max(scene.ledger.changes)
    scene.run_until(lambda: watching.revision >= last, "the watch to catch up")
    revisions = [event.item.mod_revision for event in watching.events]
    assert revisions == sorted(set(revisions))
    assert len(revisions) == 63
    scene.finish()


def test_a_copy_of_everything_is_whole_and_holds_what_was_answered_before() -> None:
    scene = Scene()
    scene.puts(30, size=500)
    parts = []
    part = _part(scene, 0, b"")
    while True:
        parts.append(part.data)
        if not part.cursor:
            break
        part = _part(scene, part.transfer, part.cursor)
    reader = SnapshotReader(parts)
    rows = [item for rows in reader.rows() for run in rows.runs for item in run.items]
    assert any(b"v29" in (value or b"") for _, value in rows)
    assert reader.header.groups[0].index >= 31


def test_a_copy_that_a_follower_refuses_is_forgotten() -> None:
    scene = Scene()
    scene.put(b"k", b"v")
    follower = scene.followers()[0]
    refused = scene.client.ask(ReadSnapshot, node=follower.member.node)
    scene.world.wait(refused)
    assert refused.answer.code in {Code.NOT_LEADER, Code.NOT_CONNECTED}
    assert follower.node._exports._asked == {}


def _part(scene: Scene, transfer: int, cursor: bytes):
    operation = scene.client.ask(lambda call: ReadSnapshot(call, transfer, cursor))
    scene.world.wait(operation)
    return operation.answer


def test_a_new_leader_that_has_not_applied_everything_answers_no_stale_read() -> None:
    chosen = options(commit_bytes=500)
    slow = replace(with_node(chosen, flush_bytes=200), flush_us=300_000)
    scene = Scene(chosen=chosen, special={node: slow for node in (1, 2, 3) if node != 2})
    scene.change("transfer", 2)
    scene.leader = scene.world.wait_leader()
    scene.puts(15, size=300)
    behind = scene.group(1)
    assert behind.machine.applied < behind.replica.commit
    assert scene.change("transfer", 1).is_done
    assert behind.machine.applied < behind.replica.commit
    assert (scene.get(b"k", timeout_ms=20_000) or b"").startswith(b"v14.")
    scene.finish()


def test_options_can_differ_between_nodes() -> None:
    chosen = options()
    scene = Scene(chosen=chosen, special={2: with_node(chosen, flush_bytes=100), 3: replace(chosen, step_us=500)})
    scene.puts(20)
    scene.finish()
