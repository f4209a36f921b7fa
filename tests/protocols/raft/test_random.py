"""Random schedules: whatever is lost, repeated, reordered or crashed, the properties of figure 3.2 hold.

The judge looks after every step. Beside it, a client's view: a read shows everything that was committed before it
was asked for, and a proposal that is said not to have happened is never applied. A schedule is drawn from one
seed; a failure prints it.
"""

import random
from collections.abc import Callable

import msgspec
import pytest

from libelli.core import (
    AddLearner,
    NodeId,
    PromoteLearner,
    Propose,
    RemoveMember,
    TransferLeadership,
    Waiter,
)
from libelli.core.errors import FIRST_INDEFINITE
from libelli.protocols.raft import Options, ReadMode
from tests.protocols.raft.world import Cluster, member

SMALL = Options(
    message_bytes=150,
    probe_bytes=80,
    inflight_messages=3,
    inflight_bytes=400,
    commit_bytes=150,
    load_bytes=150,
    memory_bytes=200,
    retain_entries=4,
    retain_bytes=300,
    unapplied_bytes=2000,
    queries=8,
    read_rounds=2,
)
"""Every limit is met again and again."""


class Chaos:
    """Draws one action after another."""

    def __init__(self, seed: int, *, voters: int, joining: tuple[int, ...] = (), options: Options = SMALL) -> None:
        self.dice = random.Random(seed)
        self.cluster = Cluster(voters, joining=joining, seed=seed, options=options)
        self.waiter = 0
        self.proposed: dict[Waiter, str] = {}
        self.needed: dict[Waiter, int] = {}
        """For each query: what was committed somewhere before it was asked for."""
        self.hung: set[int] = set()
        """Whose disks do not answer."""
        self.actions = {
            self.deliver: 40,
            self.complete: 25,
            self.apply: 15,
            self.tick: 14,
            self.propose: 10,
            self.load: 10,
            self.query: 3,
            self.repeat: 3,
            self.drop: 3,
            self.install: 3,
            self.checkpoint: 2,
            self.crash: 1,
            self.change: 1,
            self.partition: 0.3,
            self.heal: 0.4,
            self.hang: 0.2,
            self.unhang: 0.4,
        }

    def run(self, steps: int) -> None:
        actions, weights = list(self.actions), list(self.actions.values())
        for action in self.dice.choices(actions, weights, k=steps):
            action()
            self.look_at_reads()

    def look_at_reads(self) -> None:
        """No read is stale."""
        reads = self.cluster.reads
        for waiter in [waiter for waiter in self.needed if waiter in reads]:
            needed = self.needed.pop(waiter)
            assert reads[waiter] >= needed, f"a read at {reads[waiter]}, though {needed} was committed when it began"

    def one(self) -> int:
        return self.dice.choice([n for n, node in self.cluster.nodes.items() if node.raft is not None])

    def next_waiter(self) -> Waiter:
        self.waiter += 1
        return Waiter(self.waiter)

    def deliver(self) -> None:
        network = self.cluster.network
        if network:
            # Mostly the oldest, so that something happens at all.
            at = 0 if self.dice.random() < 0.7 else self.dice.randrange(len(network))
            self.cluster.deliver(network.pop(at))

    def repeat(self) -> None:
        if self.cluster.network:
            self.cluster.deliver(self.dice.choice(self.cluster.network))

    def drop(self) -> None:
        if self.cluster.network:
            self.cluster.network.pop(self.dice.randrange(len(self.cluster.network)))

    def complete(self) -> None:
        node = self.one()
        if node not in self.hung and self.cluster.nodes[NodeId(node)].disk.queue:
            self.cluster.complete(node)

    def apply(self) -> None:
        if self.cluster.nodes[NodeId(node := self.one())].store.queue:
            self.cluster.apply(node)

    def load(self) -> None:
        if self.cluster.nodes[NodeId(node := self.one())].loads:
            self.cluster.load(node)

    def install(self) -> None:
        if self.cluster.nodes[NodeId(node := self.one())].install:
            self.cluster.install(node, fails=self.dice.random() < 0.2)

    def checkpoint(self) -> None:
        self.cluster.checkpoint(self.one())

    def tick(self) -> None:
        if self.dice.random() < 0.5:
            self.cluster.pass_time(1, settles=False)
        else:
            self.cluster.tick(self.one())

    def propose(self) -> None:
        node = (self.cluster.leaders() or [self.one()])[-1]
        batch = []
        for _ in range(2):
            waiter = self.next_waiter()
            self.proposed[waiter] = f"{waiter} " * self.dice.randrange(1, 9)
            batch.append(Propose(waiter, self.proposed[waiter].encode()))
        self.cluster.request(node, *batch)

    def query(self) -> None:
        node = self.one()
        waiter = self.next_waiter()
        self.needed[waiter] = max(self.cluster.judge.committed, default=0)
        self.cluster.query(node, waiter)

    def change(self) -> None:
        node = self.dice.choice(self.cluster.leaders() or [self.one()])
        other = NodeId(self.dice.choice(list(self.cluster.nodes)))
        self.cluster.request(
            node,
            self.dice.choice(
                [
                    AddLearner(self.next_waiter(), member(other)),
                    PromoteLearner(self.next_waiter(), other),
                    PromoteLearner(self.next_waiter(), other),
                    RemoveMember(self.next_waiter(), other),
                    TransferLeadership(self.next_waiter(), other),
                ]
            ),
        )

    def crash(self) -> None:
        node = self.one()
        queued = len(self.cluster.nodes[NodeId(node)].disk.queue)
        self.cluster.restart(node, written=self.dice.randint(0, queued))

    def partition(self) -> None:
        nodes = list(self.cluster.nodes)
        self.dice.shuffle(nodes)
        at = self.dice.randrange(1, len(nodes))
        self.cluster.heal()
        self.cluster.cut(nodes[:at], nodes[at:])

    def heal(self) -> None:
        self.cluster.heal()

    def hang(self) -> None:
        self.hung.add(self.one())

    def unhang(self) -> None:
        self.hung.clear()

    def calm_down(self) -> None:
        """Nothing fails any more: the cluster elects a leader, and every store reaches the same state."""
        cluster = self.cluster
        cluster.heal()
        cluster.pass_time(60)
        (leader,) = cluster.leaders()
        cluster.propose(leader, "the end", waiter=self.next_waiter())
        cluster.query(leader, self.next_waiter())
        self.needed[Waiter(self.waiter)] = max(cluster.judge.committed)
        cluster.pass_time(40)
        self.look_at_reads()
        assert cluster.leaders() == [leader]
        for node in cluster.raft(leader).configuration.nodes:
            assert cluster.values(node) == cluster.values(leader)
            assert cluster.values(node)[-1] == "the end"
        self.look_at_answers(cluster.values(leader))

    def look_at_answers(self, values: list[str]) -> None:
        """What was acknowledged is there, once; what did not happen is not."""
        cluster = self.cluster
        applied = set(values)
        assert len(applied) == len(values)
        for waiter, value in self.proposed.items():
            if waiter in cluster.answers:
                assert value in applied, f"{value!r} was acknowledged and is lost"
            elif waiter in cluster.replies and cluster.replies[waiter].code < FIRST_INDEFINITE:
                assert value not in applied, f"{value!r} was said not to have happened"


class TogetherChaos(Chaos):
    """All clocks run equally fast, which leases rely on."""

    def __init__(self, seed: int, *, voters: int) -> None:
        super().__init__(seed, voters=voters, options=msgspec.structs.replace(SMALL, read_mode=ReadMode.LEASE))
        self.actions[self.query] = 12

    def tick(self) -> None:
        self.cluster.pass_time(1, settles=False)


def fixed_group(seed: int) -> None:
    chaos = Chaos(seed, voters=3)
    chaos.run(400)
    chaos.calm_down()


def changing_group(seed: int) -> None:
    chaos = Chaos(seed, voters=4, joining=(5, 6))
    chaos.actions[chaos.change] = 4
    chaos.run(600)
    chaos.calm_down()


def leased_group(seed: int) -> None:
    chaos = TogetherChaos(seed, voters=3)
    chaos.run(600)
    chaos.calm_down()


def busy_group(seed: int) -> None:
    """Few faults, so that windows fill, logs are compacted and snapshots travel."""
    chaos = Chaos(seed, voters=5)
    chaos.actions |= {chaos.drop: 0.5, chaos.crash: 0.3, chaos.checkpoint: 6, chaos.propose: 20, chaos.deliver: 90}
    chaos.run(800)
    chaos.calm_down()


@pytest.mark.parametrize("schedule", range(60))
def test_a_fixed_group_keeps_its_promises(seed: int, schedule: int) -> None:
    fixed_group(seed + schedule)


@pytest.mark.parametrize("schedule", range(50))
def test_a_changing_group_keeps_its_promises(seed: int, schedule: int) -> None:
    changing_group(seed + schedule)


@pytest.mark.parametrize("schedule", range(30))
def test_a_group_that_reads_under_leases_keeps_its_promises(seed: int, schedule: int) -> None:
    leased_group(seed + schedule)


@pytest.mark.parametrize("schedule", range(20))
def test_a_busy_group_keeps_its_promises(seed: int, schedule: int) -> None:
    busy_group(seed + schedule)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
@pytest.mark.parametrize("group", [fixed_group, changing_group, leased_group, busy_group])
def test_thousands_of_schedules_keep_their_promises(seed: int, group: Callable[[int], None], block: int) -> None:
    for schedule in range(100):
        group(seed + 1000 * (block + 1) + schedule)
