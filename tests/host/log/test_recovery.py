"""What is found after a stop or a crash: a torn tail is cut, a damaged middle is refused."""

import pytest

from libelli.core.errors import DamagedError, DiskFullError, ForeignError
from libelli.core.ids import NodeId
from libelli.host.log import recover
from libelli.host.log.layout import HEADER_SIZE, SECTOR_SIZE, segment_name
from libelli.sim.disk import KeepAll, KeepNone
from tests.host.log.places import (
    CLUSTER,
    GROUP,
    NODE,
    SEGMENT_SIZE,
    after_crash,
    datas,
    entries,
    fill,
    new_disk,
    opened,
    start,
    state,
    writer_on,
)


def test_an_empty_disk_has_an_empty_log() -> None:
    log = opened(new_disk())
    assert (log.groups, log.segments, log.next_block) == ({}, [], 1)


def test_everything_that_was_appended_is_found_after_a_power_cut() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([state(2, vote=3), entries(1, b"a", b"b")])
    log.append([entries(3, b"c")])
    found = after_crash(disk)
    assert datas(found) == [b"a", b"b", b"c"]
    assert found.groups[GROUP].hard_state.voted_for == 3
    assert found.next_block == 3


def test_later_entries_take_the_place_of_earlier_ones() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a", b"b", b"c")])
    log.append([entries(2, b"B", term=2)])
    assert datas(after_crash(disk)) == [b"a", b"B"]


def test_groups_share_a_log_and_are_told_apart() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a"), entries(1, b"x", group=2)])
    log.append([entries(2, b"b"), state(9, group=2)])
    found = after_crash(disk)
    assert (datas(found), datas(found, 2)) == ([b"a", b"b"], [b"x"])


def test_a_torn_tail_is_cut_and_the_log_goes_on() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a")])
    disk.begin(10**6)
    log.append([entries(2, b"b" * 900)])
    name = segment_name(1)
    disk.damage(name, offset=HEADER_SIZE + 2 * SECTOR_SIZE, data=b"torn")
    found = after_crash(disk)
    assert datas(found) == [b"a"]
    assert found.torn_bytes > 0
    log = writer_on(disk)
    log.append([entries(2, b"c")])
    assert datas(after_crash(disk)) == [b"a", b"c"]


def test_a_tail_is_cut_once_and_for_all() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a")])
    disk.damage(segment_name(1), offset=HEADER_SIZE + SECTOR_SIZE, data=b"torn")
    assert after_crash(disk).torn_bytes == 4
    assert after_crash(disk).torn_bytes == 0


def test_a_damaged_middle_is_refused_with_advice() -> None:
    disk = new_disk()
    log = writer_on(disk)
    for index in (1, 2, 3):
        log.append([entries(index, b"a")])
    disk.damage(segment_name(1), offset=HEADER_SIZE + SECTOR_SIZE + 20, data=b"\xff")
    with pytest.raises(DamagedError, match=r"block 3 behind them is whole; this replica must not go on"):
        after_crash(disk)


def test_damage_in_an_older_segment_is_refused_even_at_its_end() -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 20)
    assert len(log.segments) > 2
    number = log.segments[0]
    size = disk.size(segment_name(number))
    for offset in range(size - SECTOR_SIZE, 0, -SECTOR_SIZE):
        if any(disk.read(segment_name(number), offset=offset, size=SECTOR_SIZE)):
            disk.damage(segment_name(number), offset=offset, data=b"\xff" * 30)
            break
    with pytest.raises(DamagedError, match="blocks are missing"):
        after_crash(disk)


def test_a_missing_segment_is_refused() -> None:
    disk = new_disk()
    log = writer_on(disk)
    fill(log, 1, 30)
    disk.remove(segment_name(log.segments[1]))
    disk.sync_directory()
    with pytest.raises(DamagedError, match="one is missing"):
        after_crash(disk)


def test_a_damaged_header_of_a_segment_with_blocks_is_refused() -> None:
    disk = new_disk()
    writer_on(disk).append([entries(1, b"a")])
    disk.damage(segment_name(1), offset=30, data=b"\xff")
    with pytest.raises(DamagedError, match="its header is damaged"):
        after_crash(disk)


def test_a_segment_that_was_just_being_made_is_removed() -> None:
    disk = new_disk()
    disk.create(segment_name(1), size=SEGMENT_SIZE)
    disk.sync_directory()
    assert after_crash(disk, KeepAll()).segments == []
    assert disk.names() == []


@pytest.mark.parametrize(("cluster", "node"), [("cd" * 16, NODE), (CLUSTER, NodeId(8))])
def test_the_log_of_another_cluster_or_node_is_refused(cluster: str, node: NodeId) -> None:
    disk = new_disk()
    writer_on(disk).append([entries(1, b"a")])
    with pytest.raises(ForeignError, match=f"belongs to node 7 of cluster {CLUSTER}"):
        recover(disk, cluster=cluster, node=node)


def test_what_a_snapshot_covers_is_left_out() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a", b"b", b"c")])
    log.append([start(2)])
    found = after_crash(disk)
    assert datas(found) == [b"c"]
    assert found.groups[GROUP].before == 2


def test_a_gap_behind_a_snapshot_is_covered_by_the_new_start() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a")])
    log.append([start(50, term=4)])
    log.append([entries(51, b"x", term=4)])
    found = after_crash(disk)
    assert datas(found) == [b"x"]
    assert (found.groups[GROUP].before, found.groups[GROUP].start.term) == (50, 4)


def test_a_snapshot_that_disagrees_with_the_log_takes_its_place() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a", b"b", b"c", term=1)])
    log.append([start(2, term=9)])
    assert datas(after_crash(disk)) == []


def test_a_gap_that_no_start_covers_is_refused() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a")])
    log.append([entries(5, b"x")])
    with pytest.raises(DamagedError, match="entries 1 to 4 are missing"):
        after_crash(disk)


def test_a_start_that_goes_back_is_refused() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([start(9)])
    log.append([start(3)])
    with pytest.raises(DamagedError, match="went back from 9 to 3"):
        after_crash(disk)


def test_a_full_disk_loses_nothing_and_may_be_tried_again() -> None:
    disk = new_disk()
    log = writer_on(disk)
    log.append([entries(1, b"a" * 3_000)])
    disk.room_bytes = disk.used_bytes
    for _ in range(2):
        with pytest.raises(DiskFullError):
            log.append([entries(2, b"b" * 3_000)])
    disk.room_bytes = None
    log.append([entries(2, b"b" * 3_000)])
    assert [len(data) for data in datas(after_crash(disk, KeepNone()))] == [3_000, 3_000]
