"""Random faults: whatever happens, an answered write happened once, in its order, and a denied one never did."""

from random import Random
from typing import Any

import pytest

from libelli.client.effects import WatchChanged, WatchEnded
from libelli.core.calls import Call, GetStatus, Refusal, Watch
from libelli.core.errors import Code, DidNotHappen, MayHaveHappened
from libelli.core.ids import DEFAULT_COLLECTION, NodeId
from libelli.stores.mvcc.commands import Put, PutDone
from tests.client.cluster import Deafness, FakeCluster, Silence
from tests.client.world import World

REFUSALS = (Code.OVERLOADED, Code.NO_LEADER, Code.NOT_LEADER, Code.LEADER_CHANGED, Code.STOPPING)
DID = frozenset({Code.LEADER_CHANGED})
"""Refusals after which the call may have been done."""


class Fate:
    """Decides what happens to each call and each moment."""

    def __init__(self, seed: int, *, sessions_expire: bool) -> None:
        self.random = Random(seed)
        self.cluster = FakeCluster()
        self.world = World(self.cluster, seed=seed)
        self.sessions_expire = sessions_expire
        self.is_quiet = False
        self.cluster.mood = self.mood

    def mood(self, node: int, call: Call) -> Any:
        dice = self.random.random()
        if self.is_quiet or isinstance(call, GetStatus) or dice > 0.25:
            return None
        if dice < 0.12:
            # a stream loses a frame only with everything behind it
            self.world.after(self.random.randint(0, 100), lambda: self.world.cut(node))
            return Deafness() if dice < 0.05 or isinstance(call, Watch) else Silence()
        code = self.random.choice(REFUSALS)
        if code in DID and self.random.random() < 0.5 and node == self.cluster.leader and not isinstance(call, Watch):
            self.cluster.reply(node, 0, call)
        return Refusal(call.call, code, "by chance", NodeId(self.random.choice((0, 0, 1, 2, 3))))

    def strike(self) -> None:
        """One more fault, or the end of one."""
        match self.random.randrange(6):
            case 0:
                self.world.cut(self.random.randint(1, 3))
            case 1:
                self.cluster.leader = self.random.randint(0, 3)
            case 2:
                self.world.down ^= {self.random.randint(1, 3)}
                for node in sorted(self.world.down):
                    self.world.cut(node)
            case 3 if self.sessions_expire:
                self.cluster.sessions.clear()

    def calm_down(self) -> None:
        self.is_quiet = True
        self.world.down = set()
        self.cluster.leader = self.cluster.leader or 1


def put_randomly(fate: Fate, *, count: int, timeout_ms: int) -> list[str]:
    names = [f"k{number:03}" for number in range(count)]
    for name in names:
        fate.world.put(name, timeout_ms=timeout_ms)
        if fate.random.random() < 0.4:
            fate.world.run_for(fate.random.randint(0, 40))
        if fate.random.random() < 0.3:
            fate.strike()
    fate.world.run_for(50)
    fate.calm_down()
    fate.world.run(lambda: len(fate.world.outcomes) == count)
    return names


@pytest.mark.parametrize("sessions_expire", [False, True])
@pytest.mark.parametrize("number", range(40))
def test_outcomes_tell_the_truth(seed: int, number: int, sessions_expire: bool) -> None:
    fate = Fate(seed + number, sessions_expire=sessions_expire)
    names = put_randomly(fate, count=60, timeout_ms=fate.random.choice((150, 1_000, 60_000)))
    applied = [each.key.decode() for each in fate.cluster.applied if isinstance(each, Put)]
    for name in names:
        outcome = fate.world.outcomes[name]
        times = applied.count(name)
        if isinstance(outcome, PutDone):
            assert times == 1, f"{name} was answered and applied {times} times"
        elif isinstance(outcome, DidNotHappen):
            assert times == 0, f"{name} did not happen, yet was applied {times} times"
        else:
            assert isinstance(outcome, MayHaveHappened)
            assert times <= 1, f"{name} was applied {times} times"
    assert applied == sorted(applied), "writes were applied in another order than they were submitted"


@pytest.mark.parametrize("number", range(20))
def test_with_time_enough_and_sessions_that_last_everything_is_answered(seed: int, number: int) -> None:
    fate = Fate(seed + number, sessions_expire=False)
    names = put_randomly(fate, count=40, timeout_ms=600_000)
    assert all(isinstance(fate.world.outcomes[name], PutDone) for name in names)


@pytest.mark.parametrize("number", range(20))
def test_a_watch_sees_everything_once_and_in_order(seed: int, number: int) -> None:
    fate = Fate(seed + number, sessions_expire=False)
    fate.world.watch(Watch(0, DEFAULT_COLLECTION, b"\0", b"\0", 1), "w", timeout_ms=600_000)
    put_randomly(fate, count=40, timeout_ms=600_000)

    def seen() -> list[int]:
        told = [each for each in fate.world.watched if isinstance(each, WatchChanged)]
        return [event.item.mod_revision for each in told for event in each.events]

    for node in (1, 2, 3):  # this cluster tells what is new only to a watch that begins
        fate.world.cut(node)
    fate.world.run(lambda: len(seen()) >= 40)
    assert seen() == [event.item.mod_revision for event in fate.cluster.history]
    assert not any(isinstance(each, WatchEnded) for each in fate.world.watched)
