"""Where entries lie: later writes hide earlier ones, and any entry is found."""

import random

from libelli.core.ids import Index
from libelli.host.log import EntryIndex
from libelli.host.log.index import Span


def span(first: int, last: int, segment: int = 1) -> Span:
    return Span(Index(first), Index(last), segment, offset=first * 100, size=(last + 1 - first) * 10)


def test_an_entry_is_found_in_its_span() -> None:
    index = EntryIndex()
    index.add(span(1, 4))
    index.add(span(5, 5))
    assert [index.find(Index(at)) for at in (0, 1, 4, 5, 6)] == [None, span(1, 4), span(1, 4), span(5, 5), None]


def test_a_span_hides_what_it_overlaps_and_all_behind_it() -> None:
    index = EntryIndex()
    for each in (span(1, 4), span(5, 9), span(10, 10)):
        index.add(each)
    index.add(span(7, 7, segment=2))
    assert index.find(Index(7)) == span(7, 7, segment=2)
    assert index.find(Index(8)) is None
    found = index.find(Index(6))
    assert found is not None
    assert (found.first, found.last) == (5, 6)


def test_a_span_that_is_needed_in_part_stays() -> None:
    index = EntryIndex()
    index.add(span(1, 4, segment=1))
    index.add(span(5, 9, segment=2))
    index.drop_through(Index(3))
    assert index.first_segment() == 1
    index.drop_through(Index(4))
    assert index.first_segment() == 2
    index.drop_through(Index(9))
    assert index.first_segment() is None


def test_it_agrees_with_a_dict_of_all_entries(seed: int) -> None:
    dice = random.Random(seed)
    index, twin, last = EntryIndex(), dict[int, int](), 0
    for segment in range(300):
        first = dice.randint(max(1, last - 5), last + 1)
        last = first + dice.randint(0, 6)
        index.add(Span(Index(first), Index(last), segment, 0, 1))
        twin = {at: where for at, where in twin.items() if at < first} | dict.fromkeys(range(first, last + 1), segment)
        for at in range(last + 3):
            found = index.find(Index(at))
            assert (found.segment if found else None) == twin.get(at)
