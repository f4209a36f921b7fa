"""Timers: each fires once, the last setting counts, and short ones fall together."""

from libelli.core.ids import GroupId
from libelli.host.timers import Timers

G1, G2 = GroupId(1), GroupId(2)


def test_a_timer_fires_once() -> None:
    timers = Timers()
    timers.set(G1, "tick", now_ms=0, after_ms=20)
    assert timers.take_due(19) == []
    assert timers.take_due(20) == [(G1, "tick")]
    assert timers.take_due(99) == []
    assert timers.next_ms() is None


def test_setting_again_replaces() -> None:
    timers = Timers()
    timers.set(G1, "tick", now_ms=0, after_ms=20)
    timers.set(G1, "tick", now_ms=20, after_ms=20)
    assert timers.take_due(30) == []
    assert timers.next_ms() == 40


def test_a_cancelled_timer_never_fires() -> None:
    timers = Timers()
    timers.set(G1, "tick", now_ms=0, after_ms=20)
    timers.cancel(G1, "tick")
    timers.cancel(G2, "tick")
    assert (timers.next_ms(), timers.take_due(99)) == (None, [])


def test_short_timers_of_many_groups_fall_together() -> None:
    timers = Timers()
    timers.set(G1, "tick", now_ms=3, after_ms=20)
    timers.set(G2, "tick", now_ms=17, after_ms=20)
    assert timers.take_due(20) == [(G1, "tick"), (G2, "tick")]


def test_a_timer_that_is_set_whenever_it_fires_keeps_its_period_though_it_is_late() -> None:
    timers, fired, now_ms = Timers(), 0, 0
    timers.set(G1, "tick", now_ms=0, after_ms=20)
    for late_ms in (3, 0, 7, 19, 2) * 20:
        now_ms = (timers.next_ms() or 0) + late_ms
        fired += len(timers.take_due(now_ms))
        timers.set(G1, "tick", now_ms=now_ms, after_ms=20)
    assert (fired, now_ms) == (100, 2_002)


def test_a_long_timer_is_not_rounded() -> None:
    timers = Timers()
    timers.set(G1, "slow", now_ms=7, after_ms=1_001)
    assert timers.next_ms() == 1_008
