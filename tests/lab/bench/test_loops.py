"""The loops of a generator, in virtual time: what is counted, and from when latency counts."""

from collections.abc import Sequence

import pytest

from libelli.lab.bench.load import Closed, Open
from libelli.lab.bench.loops import ClosedLoop, OpenLoop, Window

WINDOW = Window(begin_ns=0, from_ns=1_000, until_ns=5_000)


class Store:
    """Remembers what was submitted; the test answers."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.submitted: list[tuple[int, int]] = []

    def clock(self) -> int:
        return self.now_ns

    def submit(self, started_ns: int, keys: Sequence[int]) -> None:
        self.submitted.append((started_ns, len(keys)))


def closed(store: Store, in_flight: int) -> ClosedLoop:
    return ClosedLoop(
        Closed(in_flight),
        window=WINDOW,
        clock=store.clock,
        submit=store.submit,
        pick=lambda size: [0] * size,
        wake=lambda: None,
    )


def opened(store: Store, rate_per_second: float) -> OpenLoop:
    return OpenLoop(
        Open(rate_per_second),
        window=WINDOW,
        clock=store.clock,
        submit=store.submit,
        pick=lambda size: [0] * size,
    )


def test_a_closed_loop_keeps_its_number_in_flight() -> None:
    store = Store()
    loop = closed(store, 4)
    loop.turn()
    assert store.submitted == [(0, 4)]
    store.now_ns = 1_500
    loop.completed(0, 3)
    loop.turn()
    assert store.submitted[1:] == [(1_500, 3)]
    assert loop.outstanding == 4


def test_answers_before_and_after_the_window_are_not_counted_but_acknowledged() -> None:
    store = Store()
    loop = closed(store, 3)
    loop.turn()
    for store.now_ns in (999, 1_000, 5_000):
        loop.completed(0)
    measured = loop.measured()
    assert (measured.completed, measured.acknowledged) == (1, 3)


def test_a_failed_command_leaves_its_place_empty() -> None:
    store = Store()
    loop = closed(store, 2)
    loop.turn()
    loop.failed(0, "refused", 2)
    loop.turn()
    assert store.submitted == [(0, 2)]
    assert loop.measured().complaints == ["2 failed: refused", "nothing completed"]


def test_the_open_loop_counts_latency_from_the_intended_start() -> None:
    """A store that stalls pays for all that waited behind the stall."""
    store = Store()
    loop = opened(store, 1e9 / 500)  # one each 500 ns
    store.now_ns = 2_100  # the generator was late: four are due
    loop.turn()
    assert store.submitted == [(0, 1), (500, 1), (1_000, 1), (1_500, 1), (2_000, 1)]
    store.now_ns = 4_000
    for started_ns, _ in store.submitted:
        loop.completed(started_ns)
    measured = loop.measured()
    assert measured.completed == 3  # those intended for the window
    assert measured.latency_ms(1.0) == pytest.approx(0.003, rel=0.01)


def test_the_open_loop_does_not_wait_for_answers() -> None:
    store = Store()
    loop = opened(store, 1e9 / 100)
    store.now_ns = 10_000
    loop.turn()
    assert len(store.submitted) == 50
    assert loop.outstanding == 50


def test_shares_of_a_load_add_up_to_the_whole() -> None:
    assert sum(part.in_flight for part in Closed(7).split(3)) == 7
    parts = Open(900.0).split(3)
    assert sum(part.rate_per_second for part in parts) == 900.0
    assert [part.offset for part in parts] == [0, 1 / 3, 2 / 3]
