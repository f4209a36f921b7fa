"""The simulated network: orderly streams keep order and lose nothing, unruly ones do neither."""

import random

from libelli.sim.kernel import MS, Kernel
from libelli.sim.network import End, Link, Network


class Pair:
    """Two hosts, a and b, with one stream between them."""

    def __init__(self, *, is_unruly: bool = False, link: Link | None = None) -> None:
        self.kernel = Kernel()
        self.network = Network(self.kernel, random=random.Random(5), link=link or Link(delay_us=100))
        self.got: list[bytes] = []
        self.lost: list[str] = []
        self.refused: list[str] = []
        self.ends: list[End] = []
        self.network.listen("b:1", host="b", accept=self.accept)
        self.dial(is_unruly=is_unruly)
        self.kernel.run_to(10 * MS)

    def dial(self, *, is_unruly: bool = False) -> None:
        self.network.dial("b:1", host="a", is_unruly=is_unruly, connected=self.ends.append, refused=self.refused.append)

    def accept(self, end: End) -> None:
        end.on_body = self.got.append
        end.on_lost = self.lost.append
        self.there = end

    def send(self, count: int) -> list[bytes]:
        bodies = [b"%d" % number for number in range(count)]
        for body in bodies:
            self.ends[-1].send(body)
        self.kernel.run_to(self.kernel.now_us + 3_000 * MS)
        return bodies


def test_a_frame_takes_as_long_as_its_link() -> None:
    pair = Pair()
    pair.ends[0].send(b"x")
    pair.kernel.run_to(10 * MS + 99)
    assert pair.got == []
    pair.kernel.run_to(10 * MS + 100)
    assert pair.got == [b"x"]


def test_an_orderly_stream_keeps_order_and_loses_nothing() -> None:
    pair = Pair(link=Link(delay_us=100, jitter_us=900, loss=0.2, repeat=0.5, reorder=0.5))
    assert pair.send(100) == pair.got


def test_an_unruly_stream_loses_repeats_and_reorders() -> None:
    pair = Pair(is_unruly=True, link=Link(delay_us=100, loss=0.2, repeat=0.3, reorder=0.3))
    sent = pair.send(100)
    assert pair.got != sorted(pair.got, key=int)
    assert len(set(pair.got)) < len(sent)
    assert len(pair.got) > len(set(pair.got))


def test_an_orderly_stream_over_a_cut_link_arrives_when_it_is_mended() -> None:
    pair = Pair()
    pair.network.cut("a", "b")
    sent = pair.send(3)
    assert pair.got == []
    pair.network.mend_all()
    pair.kernel.run_to(pair.kernel.now_us + MS)
    assert pair.got == sent


def test_a_link_can_be_cut_in_one_direction() -> None:
    pair = Pair()
    back: list[bytes] = []
    pair.ends[0].on_body = back.append
    pair.network.cut("b", "a")
    pair.there.send(b"answer")
    sent = pair.send(1)
    assert (pair.got, back) == (sent, [])


def test_whoever_closes_is_heard_after_what_was_sent() -> None:
    pair = Pair()
    pair.ends[0].send(b"last")
    pair.ends[0].close("done")
    pair.kernel.run_to(20 * MS)
    assert (pair.got, pair.lost) == ([b"last"], ["done"])


def test_a_reset_loses_what_is_under_way_and_is_heard_at_both_ends() -> None:
    pair = Pair()
    here: list[str] = []
    pair.ends[0].on_lost = here.append
    pair.ends[0].send(b"x")
    pair.network.reset("a", "b")
    pair.kernel.run_to(20 * MS)
    assert (pair.got, len(pair.lost), len(here)) == ([], 1, 1)


def test_a_stream_that_the_other_side_lost_behind_a_cut_is_reset_at_the_next_frame() -> None:
    pair = Pair()
    here: list[str] = []
    pair.ends[0].on_lost = here.append
    pair.network.cut("b", "a")
    pair.there.drop()
    pair.network.mend_all()
    pair.kernel.run_to(20 * MS)
    assert here == []
    pair.send(1)
    assert here == ["connection reset"]


def test_dialling_where_nobody_listens_is_refused() -> None:
    pair = Pair()
    pair.network.silence("b:1")
    pair.dial()
    pair.kernel.run_to(20 * MS)
    assert pair.refused == ["nobody listens at b:1"]


def test_dialling_over_a_cut_link_is_not_answered() -> None:
    pair = Pair()
    pair.network.cut("b", "a")
    pair.dial()
    pair.kernel.run_to(10_000 * MS)
    assert (len(pair.ends), pair.refused) == (1, [])
