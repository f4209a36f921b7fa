"""A random run: load on a cluster while everything that can break breaks, then calm, then judgement."""

import random
from collections.abc import Callable

from libelli.core.calls import ChangeMember
from libelli.core.ids import NodeId
from libelli.host.options import NodeOptions
from libelli.protocols.raft import Options, Timing
from libelli.sim.clock import Clock
from libelli.sim.disk import DiskTimes
from libelli.sim.kernel import MS, SECOND
from libelli.sim.network import Link
from libelli.sim.process import Process, ProcessOptions
from libelli.sim.world import WAIT_MS_MAX, World, member_of
from libelli.stores.mvcc.commands import FROM_KEY, Range, RangeDone
from tests.sim.judges import Ledger, judge
from tests.sim.workloads import Counter, Leases, Load, count_of, stop_all

TIMING = Timing(heartbeat_ms=60, tick_ms=10)

SMALL = ProcessOptions(
    node=NodeOptions(
        timing=TIMING,
        raft=Options(
            message_bytes=2_000,
            probe_bytes=500,
            inflight_messages=8,
            inflight_bytes=8_000,
            commit_bytes=1_500,
            load_bytes=1_500,
            memory_bytes=2_000,
            retain_entries=30,
            retain_bytes=4_000,
            unapplied_bytes=20_000,
            read_rounds=2,
        ),
        flush_bytes=8_000,
        flush_age_ms=400,
        comparison_interval_ms=300,
        comparison_keys=4,
        retain_revisions=0,
        retain_ms=0,
        step_bytes=4_000,
    ),
    segment_size=8 * 1024,
    flush_us=3_000,
)
"""Every limit is met again and again; history is kept, because the judge reads it."""

COMPACTING = ProcessOptions(
    node=NodeOptions(
        timing=TIMING,
        raft=SMALL.node.raft,
        flush_bytes=8_000,
        flush_age_ms=400,
        comparison_interval_ms=300,
        comparison_keys=4,
        retain_revisions=100,
        retain_ms=0,
        scrub_steps=5,
    ),
    segment_size=8 * 1024,
    flush_us=3_000,
)
"""The same, and history goes soon."""

UNRULY = Link(delay_us=2_000, jitter_us=3_000, loss=0.02, repeat=0.02, reorder=0.05)


class Chaos:
    """Draws one fault after another.

    Args:
        seed: of everything.
        nodes: how many there are at first.
        options: of the processes.
    """

    def __init__(self, seed: int, *, nodes: int = 3, options: ProcessOptions = SMALL) -> None:
        self.dice = random.Random(f"{seed} chaos")
        self.ledger = Ledger()
        self.world = World(
            seed,
            nodes=nodes,
            options=options,
            link=UNRULY,
            disk_times=DiskTimes(sync_us=800, jitter_us=2_000),
            clocks={node: Clock(offset_ms=node * 1_000_003, drift_ppm=(node - 2) * 20_000) for node in (1, 2, 3)},
            looked=self.look,
        )
        self.seen_us: dict[int, int] = {}
        self.loads = [Load(self.world, depth=2, pause_us=15 * MS, timeout_ms=2_000) for _ in range(2)]
        self.counter = Counter(self.world, b"count")
        self.leases = Leases(self.world)
        self.watching = self.world.client().watch(b"\0", FROM_KEY, start_revision=2, timeout_ms=WAIT_MS_MAX)
        self.keeps_history = options.node.retain_revisions == 0
        self.next_node = nodes + 1
        self.faults: dict[Callable[[], object], float] = {
            self.crash: 2,
            self.kill: 1,
            self.start: 5,
            self.hang: 1,
            self.free: 2,
            self.pause: 1,
            self.resume: 3,
            self.fill: 0.5,
            self.make_room: 1,
            self.partition: 1,
            self.isolate: 1,
            self.cut: 1,
            self.heal: 3,
            self.reset: 2,
            self.change: 0.7,
            self.stop: 0.3,
        }

    def look(self, process: Process) -> None:
        """Looks at a process after its step, and notes when each revision was there first."""
        count = len(self.ledger.changes)
        self.ledger.look(process)
        if len(self.ledger.changes) > count:
            for revision in self.ledger.changes:
                self.seen_us.setdefault(revision, self.world.kernel.now_us)

    def run(self, *, faults: int = 40) -> None:
        """Breaks things, calms down, and judges."""
        names, weights = list(self.faults), list(self.faults.values())
        for _ in range(faults):
            self.world.run_ms(self.dice.randint(10, 200))
            self.dice.choices(names, weights)[0]()
        self.calm_down()
        judge(self.world.history, self.ledger)
        self.judge_counter()
        self.judge_leases()
        if self.keeps_history:
            self.judge_watch()

    def judge_leases(self) -> None:
        """No key went before the time of its lease was over, by the fastest clock."""
        for revision, changes in self.ledger.changes.items():
            for change in changes:
                if change.key in self.leases.granted_us and not change.version:
                    lived_us = self.seen_us[revision] - self.leases.granted_us[change.key]
                    assert lived_us * 1.03 >= self.leases.ttl_s * SECOND, f"{change.key!r} lived for {lived_us} us"

    def judge_watch(self) -> None:
        """The watch saw every change once, in order."""
        seen = [(event.item.mod_revision, event.item.key, event.item.value) for event in self.watching.events]
        changes = sorted(self.ledger.changes.items())
        assert seen == [(revision, each.key, each.value) for revision, found in changes for each in found]

    def judge_counter(self) -> None:
        """What was counted for certain was counted, and nothing twice."""
        puts = [change for changes in self.ledger.changes.values() for change in changes if change.key == b"count"]
        values = [count_of(change.value) for change in puts]
        assert values == list(range(1, len(values) + 1))
        assert self.counter.certain <= len(values) <= self.counter.certain + self.counter.uncertain

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────

    def one(self) -> int:
        return self.dice.choice(sorted(self.world.processes))

    def crash(self) -> None:
        if self.world.processes[node := self.one()].is_up:
            self.world.crash(node)

    def kill(self) -> None:
        if self.world.processes[node := self.one()].is_up:
            self.world.processes[node].kill()

    def start(self) -> None:
        down = [node for node, process in sorted(self.world.processes.items()) if not process.is_up]
        if down:
            self.world.restart(self.dice.choice(down))

    def hang(self) -> None:
        self.world.processes[self.one()].hang_disk()

    def free(self) -> None:
        for process in self.world.processes.values():
            process.free_disk()

    def pause(self) -> None:
        if self.world.processes[node := self.one()].is_up:
            self.world.processes[node].pause()

    def resume(self) -> None:
        for process in self.world.up:
            process.resume()

    def fill(self) -> None:
        disk = self.world.processes[self.one()].disk
        disk.room_bytes = disk.used_bytes

    def make_room(self) -> None:
        for process in self.world.processes.values():
            process.disk.room_bytes = None

    def partition(self) -> None:
        hosts: list[str | int] = [*sorted(self.world.processes), *(client.name for client in self.world.clients)]
        self.dice.shuffle(hosts)
        at = self.dice.randrange(1, len(hosts))
        self.world.partition(hosts[:at], hosts[at:])

    def isolate(self) -> None:
        self.world.isolate(self.one())

    def cut(self) -> None:
        self.world.cut(self.one(), self.one())

    def heal(self) -> None:
        self.world.heal()

    def reset(self) -> None:
        self.world.reset(self.one(), self.dice.choice([*sorted(self.world.processes), "c1", "c2"]))

    def stop(self) -> None:
        if self.world.processes[node := self.one()].is_up:
            self.world.processes[node].stopping()
            self.world.run_ms(100)
            self.world.restart(node)

    def change(self) -> None:
        """Adds, promotes, removes or transfers, whatever the answer."""
        client = self.loads[0].client
        if self.next_node <= 5 and self.dice.random() < 0.5:
            node, self.next_node = self.next_node, self.next_node + 1
            self.world.join(node)
            client.ask(lambda call: ChangeMember(call, "add", member_of(node)), is_repeatable=False)
            return
        node, action = self.one(), self.dice.choice(("promote", "promote", "transfer", "remove"))
        if action == "remove" and len(self.world.processes) < 5:
            action = "transfer"
        client.ask(lambda call: ChangeMember(call, action, member_of(NodeId(node))), is_repeatable=False)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────

    def calm_down(self) -> None:
        """Nothing fails any more: everything that was asked ends, and all members hold the same."""
        self.make_room()
        self.free()
        self.heal()
        self.resume()
        for node in sorted(self.world.processes):
            if not self.world.processes[node].is_up:
                self.world.restart(node)
        stop_all(self.world, *self.loads, self.counter, self.leases)
        self.world.wait_leader()
        probe = Load(self.world, depth=1, reads=0.0, deletes=0.0)
        self.world.run_until(lambda: probe.done >= 3, "a write after all faults")
        stop_all(self.world, probe)
        self.world.run_until(lambda: self.held(b"lease") == 0, "all leases to end")
        self.world.run_until(self.is_settled, "all members to hold the same")
        if self.keeps_history:
            last = max(self.ledger.changes)
            self.world.run_until(lambda: self.watching.revision >= last, "the watch to see the last change")

    def held(self, prefix: bytes) -> int:
        """How many keys with a prefix there are at the leader."""
        leader = self.world.leader()
        if leader is None:
            return -1
        (answer,) = leader.node.group().machine.store.read([Range(prefix, prefix + b"\xff", count_only=True)])
        return answer.count if isinstance(answer, RangeDone) else -1

    def is_settled(self) -> bool:
        """Whether all members have applied the same."""
        leader = self.world.leader()
        if leader is None:
            return False
        members = leader.node.group().replica.configuration.nodes
        groups = [self.world.processes[node].node.group() for node in members]
        applied = {(group.machine.applied, group.machine.store.revision) for group in groups}
        return len(applied) == 1 and not leader.node.group().keeping.differences
