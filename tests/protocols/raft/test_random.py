"""Random schedules: whatever is lost, repeated, reordered or crashed, the properties of figure 3.2 hold.

The judge looks after every step. A schedule is drawn from one seed; a failure prints it.
"""

import random

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
from libelli.protocols.raft import Options
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
        self.asked: dict[int, str] = {}
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
        }

    def run(self, steps: int) -> None:
        actions, weights = list(self.actions), list(self.actions.values())
        for action in self.dice.choices(actions, weights, k=steps):
            action()

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
        if self.cluster.nodes[NodeId(node := self.one())].disk.queue:
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
        batch = [Propose(self.next_waiter(), b"%d" % self.waiter * self.dice.randrange(1, 9)) for _ in range(2)]
        self.cluster.request(node, *batch)

    def query(self) -> None:
        node = self.one()
        waiter = self.next_waiter()
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

    def calm_down(self) -> None:
        """Nothing fails any more: the cluster elects a leader, and every store reaches the same state."""
        cluster = self.cluster
        cluster.heal()
        cluster.pass_time(60)
        (leader,) = cluster.leaders()
        cluster.propose(leader, "the end", waiter=self.next_waiter())
        cluster.pass_time(40)
        assert cluster.leaders() == [leader]
        for node in cluster.raft(leader).configuration.nodes:
            assert cluster.values(node) == cluster.values(leader)
            assert cluster.values(node)[-1] == "the end"


@pytest.mark.parametrize("schedule", range(12))
def test_a_fixed_group_keeps_its_promises(seed: int, schedule: int) -> None:
    chaos = Chaos(seed + schedule, voters=3)
    chaos.run(400)
    chaos.calm_down()


@pytest.mark.parametrize("schedule", range(8))
def test_a_changing_group_keeps_its_promises(seed: int, schedule: int) -> None:
    chaos = Chaos(seed + schedule, voters=4, joining=(5, 6))
    chaos.actions[chaos.change] = 4
    chaos.run(600)
    chaos.calm_down()
