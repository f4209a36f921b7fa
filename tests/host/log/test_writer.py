"""Segments come and go: old ones are removed when nobody needs them, few entries are copied forward."""

import random

import pytest

from libelli.core.errors import DiskFullError
from libelli.core.ids import GroupId, Index
from libelli.host.log.layout import segment_name
from libelli.host.log.writer import SEGMENTS_PINNED_MAX
from tests.host.log.places import (
    GROUP,
    SEGMENT_SIZE,
    after_crash,
    datas,
    entries,
    fill,
    new_disk,
    start,
    state,
    writer_on,
)

ALL = 10**6


def test_a_full_segment_is_followed_by_another() -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 20)
    assert log.segments == (1, 2, 3, 4)
    assert disk.names() == [segment_name(number) for number in log.segments]
    assert len(datas(after_crash(disk))) == 20


def test_a_block_larger_than_a_segment_gets_one_of_its_size() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"x" * 3 * SEGMENT_SIZE)])
    log.append([entries(2, b"y")])
    assert [len(data) for data in datas(after_crash(disk))] == [3 * SEGMENT_SIZE, 1]


def test_each_segment_opens_with_hard_states_and_starts_so_that_older_ones_can_go() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([state(5, vote=2), state(3, vote=1, group=2)])
    fill(log, 1, 20)
    log.append([start(20)])
    fill(log, 21, 30)
    assert log.segments[0] > 1
    found = after_crash(disk)
    assert found.groups[GROUP].hard_state.term == 5
    assert found.groups[GroupId(2)].hard_state.term == 3
    assert len(datas(found)) == 10


def test_a_full_disk_while_old_segments_go_does_not_write_the_records_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 20)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "remove", _refuse)
        log.append([entries(21, b"x"), start(20)])  # returns: nobody will give it the same records again
    assert log.segments[0] == 1
    fill(log, 22, 40)
    assert log.segments[0] > 1
    assert len(datas(after_crash(disk))) == 20


def _refuse(name: str) -> None:
    raise DiskFullError("no space to note that a file is gone")


def test_a_segment_with_a_needed_entry_stays() -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 20)
    log.append([start(3)])
    assert log.segments[0] == 1
    assert len(datas(after_crash(disk))) == 17


def test_few_entries_that_pin_old_segments_are_copied_forward() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"idle", b"group", group=2)])
    at = 1
    for _ in range(3 * SEGMENTS_PINNED_MAX):
        fill(log, at, at + 9)
        at += 10
        log.append([start(at - 1)])
    assert len(log.segments) <= SEGMENTS_PINNED_MAX + 1
    assert log.read(GroupId(2), first_index=Index(1), last_index=Index(9), size_max=ALL)[1].data == b"group"
    assert datas(after_crash(disk), 2) == [b"idle", b"group"]


def test_entries_before_the_start_are_not_copied_forward() -> None:
    """A span that the start cuts in two holds entries that no recovery may meet again."""
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a", b"b", b"c", group=2)])
    log.append([start(2, group=2)])
    at = 1
    for _ in range(3 * SEGMENTS_PINNED_MAX):
        fill(log, at, at + 9)
        at += 10
        log.append([start(at - 1)])
    assert log.segments[0] > 1
    found = after_crash(disk)
    assert datas(found, 2) == [b"c"]
    assert found.groups[GroupId(2)].before == 2


def test_entries_may_be_overwritten_from_before_a_gap() -> None:
    """The segment with entry 1 goes as soon as it is overwritten; entry 2 is met first, behind a gap."""
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a")])
    log.append([entries(1, b"x" * SEGMENT_SIZE, group=2)])
    log.append([entries(2, b"b")])
    log.append([entries(1, b"A", term=2), start(1, group=2)])
    assert log.segments[0] > 1
    assert datas(after_crash(disk)) == [b"A"]


def test_entries_that_were_overwritten_are_not_copied_forward() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a", b"b", b"c", group=2)])
    log.append([entries(2, b"B", term=2, group=2)])
    at = 1
    for _ in range(3 * SEGMENTS_PINNED_MAX):
        fill(log, at, at + 9)
        at += 10
        log.append([start(at - 1)])
    assert datas(after_crash(disk), 2) == [b"a", b"B"]


def test_entries_are_read_back_by_index_and_size() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"aa", b"bb", b"cc")])
    log.append([entries(4, b"dd")])

    def read(first: int, last: int, size_max: int = ALL) -> list[bytes]:
        found = log.read(GROUP, first_index=Index(first), last_index=Index(last), size_max=size_max)
        return [each.data for each in found]

    assert read(2, 4) == [b"bb", b"cc", b"dd"]
    assert read(2, 3) == [b"bb", b"cc"]
    assert read(1, 4, size_max=5) == [b"aa", b"bb"]
    assert read(1, 4, size_max=1) == [b"aa"]
    assert read(9, 12) == []


def test_entries_can_be_read_back_after_a_restart() -> None:
    disk = new_disk()
    fill(writer_on(disk), 1, 20)
    log = writer_on(disk)
    fill(log, 21, 22)
    found = log.read(GROUP, first_index=Index(19), last_index=Index(22), size_max=ALL)
    assert [each.data[:3] for each in found] == [b"19 ", b"20 ", b"21 ", b"22 "]


def test_a_forgotten_entry_is_not_read_back() -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 3)
    log.append([start(3)])
    assert log.read(GROUP, first_index=Index(3), last_index=Index(3), size_max=ALL) == ()
    assert log.read(GroupId(99), first_index=Index(1), last_index=Index(3), size_max=ALL) == ()


def test_a_random_history_is_found_again_and_again(seed: int) -> None:
    """A dict for each group is the twin; every some appends the power fails."""
    dice = random.Random(seed)
    disk = new_disk(seed)
    log = writer_on(disk)
    twin: dict[int, dict[int, bytes]] = {1: {}, 2: {}, 3: {}}
    starts = dict.fromkeys(twin, 0)
    for number in range(600):
        group = dice.choices((1, 2, 3), (20, 4, 1))[0]
        known, last = twin[group], max(twin[group], default=starts[group])
        if dice.random() < 0.2 and last > starts[group]:
            begin = dice.randint(starts[group], last)
            starts[group] = begin
            for index in [index for index in known if index <= begin]:
                del known[index]
            log.append([start(begin, group=group)])
        else:
            first = dice.randint(max(starts[group] + 1, last - 3), last + 1)
            new = [b"%d" % number * dice.randint(1, 60) for _ in range(dice.randint(1, 4))]
            twin[group] = {index: data for index, data in known.items() if index < first}
            twin[group] |= dict(enumerate(new, start=first))
            log.append([entries(first, *new, group=group)])
        if dice.random() < 0.05:
            found = after_crash(disk)
            for each in sorted(found.groups):
                assert datas(found, each) == [twin[each][index] for index in sorted(twin[each])]
            log = writer_on(disk)
    assert log.segments[-1] > 10
