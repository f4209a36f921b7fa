"""Virtual time: what is due happens in order, and equal times never depend on chance."""

import pytest

from libelli.core.errors import ConfigurationError
from libelli.sim.kernel import ARRIVAL, REACTION, Alarm, Kernel


def test_events_happen_in_the_order_of_their_times() -> None:
    kernel, seen = Kernel(), []
    for time_us in (30, 10, 20):
        kernel.at(time_us, seen.append, time_us)
    kernel.run_to(25)
    assert seen == [10, 20]
    assert kernel.now_us == 25
    kernel.run_to(100)
    assert seen == [10, 20, 30]


def test_at_one_time_arrivals_come_before_reactions_and_then_in_the_order_of_asking() -> None:
    kernel, seen = Kernel(), []
    kernel.at(5, seen.append, "reaction", priority=REACTION)
    kernel.at(5, seen.append, "first", priority=ARRIVAL)
    kernel.at(5, seen.append, "second", priority=ARRIVAL)
    kernel.run_to(5)
    assert seen == ["first", "second", "reaction"]


def test_an_event_may_ask_for_another_at_the_same_time() -> None:
    kernel, seen = Kernel(), []
    kernel.at(5, lambda: kernel.after(0, seen.append, "later"))
    kernel.run_to(5)
    assert seen == ["later"]


def test_a_time_that_is_over_is_refused() -> None:
    kernel = Kernel()
    kernel.run_to(10)
    with pytest.raises(ConfigurationError, match="9 us is over, it is 10 us"):
        kernel.at(9, print)


def test_a_condition_is_waited_for_no_longer_than_its_deadline() -> None:
    kernel, seen = Kernel(), []
    kernel.at(10, seen.append, 1)
    kernel.at(20, seen.append, 2)
    assert kernel.run_until(lambda: 1 in seen, deadline_us=15)
    assert kernel.now_us == 10
    assert not kernel.run_until(lambda: 2 in seen, deadline_us=15)
    assert kernel.now_us == 15


def test_only_the_last_setting_of_an_alarm_counts() -> None:
    kernel, rang = Kernel(), []
    alarm = Alarm(kernel, lambda: rang.append(kernel.now_us))
    for time_us in (50, 20, 40):
        alarm.set(time_us)
    kernel.run_to(100)
    assert rang == [40]


def test_an_alarm_can_be_advanced_but_not_put_off_by_advancing() -> None:
    kernel, rang = Kernel(), []
    alarm = Alarm(kernel, lambda: rang.append(kernel.now_us))
    alarm.advance(50)
    alarm.advance(30)
    alarm.advance(60)
    kernel.run_to(100)
    assert rang == [30]


def test_a_cancelled_alarm_is_silent_until_it_is_set_again() -> None:
    kernel, rang = Kernel(), []
    alarm = Alarm(kernel, lambda: rang.append(kernel.now_us))
    alarm.set(10)
    alarm.cancel()
    kernel.run_to(20)
    alarm.set(30)
    kernel.run_to(40)
    assert rang == [30]


def test_an_alarm_may_be_set_while_it_rings() -> None:
    kernel, rang = Kernel(), []

    def ring() -> None:
        rang.append(kernel.now_us)
        if len(rang) < 3:
            alarm.set(kernel.now_us + 10)

    alarm = Alarm(kernel, ring)
    alarm.set(10)
    kernel.run_to(100)
    assert rang == [10, 20, 30]
