"""The simulated disk: its caller sees every write at once, a crash sees only what was synced."""

import random

import pytest

from libelli.core.errors import DiskFullError, StorageError
from libelli.sim.disk import SECTOR_SIZE, DiskTimes, KeepAll, KeepNone, RandomTear, SimulatedDisk

TIMES = DiskTimes(sync_us=100, jitter_us=0, call_us=10, mib_us=0)


def disk_with(name: str = "a", *, size: int = 2048) -> SimulatedDisk:
    """A disk with one durable file of zeros; everything is over at time 1,000."""
    disk = SimulatedDisk(random=random.Random(1), times=TIMES)
    disk.create(name, size=size)
    disk.sync(name)
    disk.sync_directory()
    disk.begin(1_000)
    return disk


def contents(disk: SimulatedDisk, name: str = "a") -> bytes:
    return disk.read(name, offset=0, size=disk.size(name))


def test_a_write_is_seen_at_once() -> None:
    disk = disk_with()
    disk.write("a", offset=3, data=b"xyz")
    assert disk.read("a", offset=2, size=5) == b"\0xyz\0"


def test_what_was_not_synced_may_be_gone_or_there() -> None:
    for tear, expected in ((KeepNone(), b"\0"), (KeepAll(), b"x")):
        disk = disk_with()
        disk.write("a", offset=0, data=b"x")
        disk.crash(2_000, tear)
        assert disk.read("a", offset=0, size=1) == expected


def test_what_was_synced_is_there_after_a_crash() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    disk.crash(disk.busy_us, KeepNone())
    assert contents(disk)[:1] == b"x"


def test_a_sync_that_was_not_over_promised_nothing() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    disk.crash(disk.busy_us - 1, KeepNone())
    assert contents(disk)[:1] == b"\0"


def test_a_torn_write_keeps_whole_sectors() -> None:
    disk = disk_with(size=8 * SECTOR_SIZE)
    disk.write("a", offset=0, data=b"x" * 8 * SECTOR_SIZE)
    disk.crash(2_000, RandomTear(random.Random(3)))
    data = contents(disk).ljust(8 * SECTOR_SIZE, b"\0")
    sectors = {data[at : at + SECTOR_SIZE] for at in range(0, len(data), SECTOR_SIZE)}
    assert sectors == {b"x" * SECTOR_SIZE, bytes(SECTOR_SIZE)}


def test_a_new_name_is_durable_only_with_the_directory() -> None:
    disk = disk_with()
    disk.create("b", size=10)
    disk.sync("b")
    disk.crash(disk.busy_us, KeepNone())
    assert disk.names() == ["a"]


def test_a_removed_name_comes_back_when_the_directory_was_not_synced() -> None:
    disk = disk_with()
    disk.remove("a")
    assert disk.names() == []
    disk.crash(disk.busy_us, KeepNone())
    assert disk.names() == ["a"]


def test_a_rename_replaces_in_one_step() -> None:
    disk = disk_with()
    disk.create("b", size=1)
    disk.sync("b")
    disk.rename("b", "a")
    disk.sync_directory()
    disk.crash(disk.busy_us, KeepNone())
    assert disk.names() == ["a"]
    assert disk.size("a") == 1


def test_a_truncation_is_durable_when_it_is_synced() -> None:
    disk = disk_with()
    disk.truncate("a", size=5)
    assert disk.size("a") == 5
    disk.crash(disk.busy_us, KeepNone())
    assert disk.size("a") == 2048
    disk.truncate("a", size=5)
    disk.sync("a")
    disk.crash(disk.busy_us, KeepNone())
    assert disk.size("a") == 5


def test_a_hanging_disk_completes_nothing_and_goes_on_later() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    end_us = disk.busy_us
    disk.hang(1_050)
    disk.go_on(5_050)
    assert disk.busy_us == end_us + 4_000
    disk.crash(end_us, KeepNone())
    assert contents(disk)[:1] == b"\0"


def test_a_crash_while_the_disk_hangs_loses_what_had_not_ended_before() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    disk.hang(1_050)
    disk.crash(9_999, KeepNone())
    assert contents(disk)[:1] == b"\0"
    assert not disk.is_hung


def test_a_full_disk_says_so_and_harms_nothing() -> None:
    disk = disk_with()
    disk.room_bytes = 3_000
    with pytest.raises(DiskFullError, match="4048 bytes are wanted, the disk has 3000"):
        disk.create("b", size=2_000)
    assert disk.names() == ["a"]
    disk.room_bytes = None
    disk.create("b", size=2_000)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match="no file 'b' on this disk; there are: a"):
        disk_with().size("b")


def test_a_killed_process_leaves_what_it_wrote_until_the_power_fails() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    disk.kill(disk.busy_us - 1)
    assert contents(disk)[:1] == b"x"
    disk.crash(disk.busy_us, KeepNone())
    assert contents(disk)[:1] == b"\0"


def test_a_killed_process_has_not_called_what_it_would_have_called_later() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.write("a", offset=1, data=b"y")
    disk.create("b", size=1)
    disk.kill(1_010)
    assert contents(disk)[:2] == b"x\0"
    assert disk.names() == ["a"]


def test_what_waits_for_a_sync_was_never_called() -> None:
    disk = disk_with()
    disk.write("a", offset=0, data=b"x")
    disk.sync("a")
    middle_us = disk.busy_us - 50
    disk.write("a", offset=1, data=b"y")
    disk.crash(middle_us, KeepAll())
    assert contents(disk)[:2] == b"x\0"
