"""A cluster of one."""

from random import Random

from libelli.core.effects import Persist, SetTimer
from libelli.core.entries import HardState, LogStart, Recovered
from libelli.core.events import Persisted, Started, Timer
from libelli.core.ids import Index, NodeId, Term
from libelli.core.members import Configuration, Member
from libelli.protocols.raft import LAN, Raft

ALONE = Configuration((Member(NodeId(1), "n1"),))


def test_a_lone_voter_whose_disk_is_slow_stands_for_one_term_and_not_for_one_a_tick() -> None:
    recovered = Recovered(HardState(), LogStart(configuration=ALONE), (), Index(0), Term(0), Configuration(()))
    replica = Raft(NodeId(1), timing=LAN, random=Random(1), recovered=recovered)
    effects = list(replica.step(Started(0)))
    now_ms = 0
    while not any(isinstance(effect, Persist) for effect in effects):
        timers = [effect for effect in effects if isinstance(effect, SetTimer)]
        now_ms += LAN.tick_ms
        effects = list(replica.step(Timer(now_ms, timers[-1].name)))
    (persist,) = (effect for effect in effects if isinstance(effect, Persist))
    for _ in range(3):  # ticks in which the disk does not answer
        now_ms += LAN.tick_ms
        effects = list(replica.step(Timer(now_ms, "tick")))
    assert replica.term == 1
    replica.step(Persisted(now_ms, persist.ticket, Term(0), Index(0)))
    assert (replica.role, replica.term) == ("leader", 1)
