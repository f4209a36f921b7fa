"""Leaders come and go: no acknowledged write is lost, none is applied twice, no read is stale."""

import pytest

from libelli.core.errors import Code, MayHaveHappened
from libelli.host.sessions import Sessions
from libelli.sim.disk import KeepNone, SimulatedDisk
from libelli.sim.history import Outcome
from libelli.sim.kernel import MS
from libelli.sim.network import Link
from libelli.stores.engine import Engine
from libelli.stores.mvcc.commands import Put
from tests.sim.judges import judge
from tests.sim.scenes import Scene, options
from tests.sim.workloads import Counter, Load, count_of, stop_all


def test_a_leader_is_elected_soon_and_only_one() -> None:
    scene = Scene()
    assert scene.world.kernel.now_ms < 1_000
    scene.world.run_ms(2_000)
    assert [process.node.group().replica.leader for process in scene.world.up] == [scene.leader.member.node] * 3


def test_what_was_written_is_read() -> None:
    scene = Scene()
    assert scene.put(b"k", b"v").revision == 2
    assert scene.get(b"k") == b"v"
    scene.finish()


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_clusters_of_other_sizes_work_alike(nodes: int) -> None:
    scene = Scene(nodes=nodes)
    scene.puts(20)
    assert scene.get(b"k") == b"v19"
    scene.finish()


@pytest.mark.parametrize("fault", [{"loss": 0.1}, {"repeat": 0.2}, {"reorder": 0.3}, {"jitter_us": 20 * MS}])
def test_a_bad_network_between_nodes_changes_no_answer(fault: dict[str, float]) -> None:
    scene = Scene(link=Link(delay_us=1_000, **fault))
    loads = [Load(scene.world, pause_us=20 * MS), Load(scene.world, pause_us=20 * MS)]
    scene.world.run_ms(1_000)
    stop_all(scene.world, *loads)
    assert sum(load.done for load in loads) > 50
    scene.finish()


@pytest.mark.parametrize("nodes", [3, 5])
def test_each_replica_in_turn_is_killed_under_load(nodes: int) -> None:
    scene = Scene(nodes=nodes)
    load, counter = Load(scene.world, depth=2, pause_us=25 * MS), Counter(scene.world, b"count")
    for node in range(1, nodes + 1):
        scene.world.run_ms(100)
        scene.world.processes[node].kill()
        scene.world.run_ms(400)
        scene.world.restart(node)
    scene.world.run_ms(300)
    stop_all(scene.world, load, counter)
    assert load.done > 50
    assert count_of(scene.get(b"count")) in range(counter.certain, counter.certain + counter.uncertain + 1)
    scene.finish()


@pytest.mark.parametrize("seed", range(5))
def test_the_power_of_all_fails_at_once_and_nothing_acknowledged_is_lost(seed: int) -> None:
    scene = Scene(seed=seed)
    loads = [Load(scene.world, pause_us=6 * MS, timeout_ms=1_000) for _ in range(2)]
    scene.world.run_ms(300 + 7 * seed)
    for node in (1, 2, 3):
        scene.world.crash(node)
    scene.world.run_ms(300)
    for node in (1, 2, 3):
        scene.world.restart(node)
    scene.world.wait_leader()
    scene.world.run_ms(300)
    stop_all(scene.world, *loads)
    scene.finish()


def test_a_leader_in_a_minority_acknowledges_nothing() -> None:
    scene = Scene()
    old = scene.leader
    clients = [scene.client.name, *(f"n{p.member.node}" for p in scene.followers())]
    scene.put(b"k", b"before")
    scene.world.partition([old.member.node], clients[1:])
    operations = [scene.client.submit(Put(b"k", b"lost %d" % number), timeout_ms=800) for number in range(5)]
    scene.world.run_ms(100)
    assert all(operation.is_open for operation in operations)
    new = scene.world.wait_leader(other_than=old)
    scene.world.wait(*operations)
    assert new is not old
    scene.world.heal()
    scene.finish()


def test_a_minority_reads_nothing_that_claims_to_be_true_now() -> None:
    scene = Scene()
    old = scene.leader
    scene.put(b"k", b"old")
    others = [process.member.node for process in scene.followers()]
    inside = scene.world.client(endpoints=[old.member.node])
    scene.world.partition([old.member.node, inside.name], [*others, scene.client.name])
    scene.world.wait_leader(other_than=old)
    assert scene.put(b"k", b"new", timeout_ms=20_000).revision == 3
    stale = Load(scene.world, client=inside, keys=[b"k"], reads=1.0, depth=4, timeout_ms=500)
    scene.world.run_ms(400)
    linearizable = [each for each in stale.operations if "serializable" not in each.client]
    assert linearizable
    assert not any(operation.is_done for operation in linearizable)
    stop_all(scene.world, stale)
    scene.world.heal()
    scene.finish()


def test_a_link_that_is_deaf_in_one_direction_does_not_stop_the_cluster() -> None:
    scene = Scene()
    first, second = (process.member.node for process in scene.followers())
    scene.world.cut(first, scene.leader.member.node)
    scene.world.cut(second, first)
    load = Load(scene.world, pause_us=25 * MS)
    scene.world.run_ms(1_500)
    assert load.done > 50
    scene.world.heal()
    stop_all(scene.world, load)
    scene.finish()


def test_a_session_goes_on_with_the_next_leader_and_repeats_apply_once() -> None:
    scene = Scene()
    counter = Counter(scene.world, b"count")
    for _ in range(4):
        scene.world.run_ms(150)
        leader = scene.world.wait_leader()
        scene.world.restart(leader.member.node)
    scene.world.run_ms(800)
    stop_all(scene.world, counter)
    assert counter.certain > 10
    assert count_of(scene.get(b"count")) in range(counter.certain, counter.certain + counter.uncertain + 1)
    scene.finish()


def test_a_leader_that_is_paused_is_replaced_and_steps_down_when_it_wakes() -> None:
    scene = Scene()
    old = scene.leader
    old.pause()
    new = scene.world.wait_leader(other_than=old)
    scene.run_until(lambda: new.node.group().replica.role == "leader", "the new leader")
    scene.put(b"k", b"new")
    old.resume()
    scene.run_until(lambda: old.node.group().replica.role == "follower", "the old leader to follow")
    scene.finish()


def test_a_leader_whose_disk_hangs_steps_down_and_what_it_had_is_not_lost() -> None:
    scene = Scene()
    old = scene.leader
    load = Load(scene.world, pause_us=5 * MS)
    scene.world.run_ms(200)
    old.hang_disk()
    new = scene.world.wait_leader(other_than=old)
    assert old.node.group().replica.role != "leader"
    before = load.done
    scene.run_until(lambda: load.done > before + 20, "the new leader to work")
    old.free_disk()
    stop_all(scene.world, load)
    assert new is not old
    scene.finish()


def test_a_leader_does_not_count_what_its_own_disk_has_not_confirmed() -> None:
    scene = Scene()
    scene.put(b"k", b"before")
    leader, (with_it, without) = scene.leader, scene.followers()
    leader.hang_disk()
    without.hang_disk()
    operation = scene.client.submit(Put(b"k", b"on one disk"), timeout_ms=5_000)
    scene.run_until(lambda: with_it.node.group().replica.status().durable_index == 3, "one disk to have it")
    scene.world.run_ms(20)
    assert operation.is_open
    with_it.pause()
    for process in (leader, without):
        process.crash(KeepNone())
        process.start()
    scene.world.wait_leader()
    with_it.resume()
    scene.world.wait(operation)
    scene.finish()


def test_a_stopping_leader_hands_over_and_no_call_fails() -> None:
    scene = Scene()
    load = Load(scene.world, pause_us=5 * MS)
    scene.world.run_ms(200)
    old = scene.leader
    old.stopping()
    since_ms = scene.world.kernel.now_ms
    scene.run_until(lambda: scene.world.leader() not in {None, old}, "another leader")
    assert scene.world.kernel.now_ms - since_ms < scene.leader.options.node.timing.heartbeat_ms
    scene.world.run_ms(100)
    old.crash()
    scene.world.run_ms(400)
    stop_all(scene.world, load)
    assert all(operation.is_done for operation in load.operations)
    scene.finish()


def test_a_write_whose_session_expired_may_have_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is lost with the leader, and by the time of the repeat other sessions have pushed this one out."""
    monkeypatch.setattr("libelli.host.machine.Sessions", _few_sessions)
    scene = Scene()
    scene.put(b"k", b"first")
    leader = scene.leader.member.node
    scene.world.network.cut(f"n{leader}", scene.client.name)  # it hears the client, but is not heard
    lost = scene.client.submit(Put(b"k", b"lost answer"), timeout_ms=20_000)
    others = [scene.world.client() for _ in range(3)]
    for number, other in enumerate(others):
        scene.world.wait(other.submit(Put(b"other", b"%d" % number)))
    scene.world.network.reset(f"n{leader}", scene.client.name)
    scene.world.heal()
    scene.world.wait(lost)
    assert isinstance(lost.answer, MayHaveHappened)
    assert lost.answer.code is Code.SESSION_EXPIRED
    assert scene.put(b"k", b"a new session").revision > 2
    scene.finish()


def _few_sessions(engine: Engine) -> Sessions:
    return Sessions(engine, sessions_max=2)


def test_a_flood_is_refused_with_overloaded_and_nothing_is_lost() -> None:
    scene = Scene(chosen=options(unapplied_bytes=20_000))
    clients = [scene.world.client() for _ in range(8)]
    scene.world.wait(*(client.submit(Put(b"k", client.name.encode())) for client in clients))
    for process in scene.followers():
        process.hang_disk()
    values = [b"%d-%d" % (number, at) + b"." * 500 for number in range(8) for at in range(8)]
    operations = [
        client.submit(Put(b"k", values[8 * number + at]), timeout_ms=400)
        for number, client in enumerate(clients)
        for at in range(8)
    ]
    scene.world.wait(*operations)
    refused = [each for each in operations if "would wait to be applied: try again later" in str(each.answer)]
    assert 0 < len(refused) < len(operations)
    assert {each.outcome for each in refused} == {Outcome.DID_NOT_HAPPEN}
    for process in scene.followers():
        process.free_disk()
    scene.world.wait_leader()
    assert scene.put(b"k", b"after the flood").revision > 1
    scene.finish()


def test_the_judge_sees_a_lost_write() -> None:
    scene = Scene()
    scene.put(b"k", b"v")
    scene.ledger.changes[2] = ()
    with pytest.raises(AssertionError, match="acknowledged at 2, applied at \\[\\]"):
        judge(scene.world.history, scene.ledger)


def test_the_judge_sees_a_write_that_was_applied_twice() -> None:
    scene = Scene()
    scene.put(b"k", b"v")
    scene.ledger.changes[3] = scene.ledger.changes[2]
    with pytest.raises(AssertionError, match="applied at \\[2, 3\\]"):
        judge(scene.world.history, scene.ledger)


def test_the_judge_sees_a_stale_read() -> None:
    scene = Scene()
    scene.put(b"k", b"old")
    scene.get(b"k")
    stale = scene.world.history.operations[-1].answer
    scene.put(b"k", b"new")
    scene.get(b"k")
    scene.world.history.operations[-1].answer = stale
    with pytest.raises(AssertionError, match="answered at 2, but 3 was known before"):
        judge(scene.world.history, scene.ledger)


class ForgetfulDisk(SimulatedDisk):
    """Says that it has synced, and has not."""

    def sync(self, name: str) -> None:
        self.size(name)


def test_disks_that_lie_about_their_syncs_are_found_out() -> None:
    scene = Scene(make_disk=lambda dice: ForgetfulDisk(random=dice))
    for number in range(5):
        scene.put(b"k", b"v%d" % number)
    for node in (1, 2, 3):
        scene.world.crash(node, KeepNone())
    for node in (1, 2, 3):
        scene.world.restart(node)
    scene.world.wait_leader()
    with pytest.raises(AssertionError, match=r"n[123] applied .* at 2, others"):
        scene.ask(Put(b"k", b"after"), timeout_ms=20_000)
