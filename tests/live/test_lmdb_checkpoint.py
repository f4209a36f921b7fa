"""What only the checkpoint on disk has: its files, its owner, full disks, growing, two threads, sudden ends.

What it shares with every checkpoint is in tests/conformance.
"""

import errno
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

from libelli.core.errors import DamagedError, DiskFullError, ForeignError, StorageError
from libelli.core.ids import ClusterId, NodeId
from libelli.host.chunks import Rows
from libelli.live import lmdb_checkpoint
from libelli.live.lmdb_checkpoint import LmdbCheckpoint
from libelli.live.lmdb_contents import Contents
from libelli.stores.memory import MemoryCheckpoint

CLUSTER = ClusterId("0123456789abcdef" * 2)
DEADLINE_S = 60
MIB = 1 << 20


def opened(path: Path, **changes: object) -> LmdbCheckpoint:
    settings: dict[str, object] = {"cluster": CLUSTER, "node": NodeId(1), **changes}
    return LmdbCheckpoint(path, **settings)  # type: ignore[arg-type]


def put(*items: tuple[bytes, bytes | None], table: int = 1) -> list[Rows]:
    return [Rows(table, sorted(items))]


def numbered(count: int, value: bytes) -> list[Rows]:
    return put(*((b"%08d" % n, value) for n in range(count)))


def file_of(path: Path) -> Path:
    (found,) = path.glob("*.mdb")
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


@pytest.fixture
def checkpoint(path: Path) -> Iterator[LmdbCheckpoint]:
    made = opened(path)
    yield made
    made.close()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk without room behind `size` bytes of each file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_only_its_owner_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path).close()
    with pytest.raises(ForeignError, match=r"node 1 of cluster 0123.*not to node 2 .*the data directory that is its"):
        opened(path, node=NodeId(2))
    with pytest.raises(ForeignError, match=r"not to node 1 of cluster ffff"):
        opened(path, cluster=ClusterId("f" * 32))
    monkeypatch.setattr(lmdb_checkpoint, "CHECKPOINT_VERSION", 2)
    with pytest.raises(ForeignError, match=r"has format version 1.*start it with the version that wrote it"):
        opened(path)
    monkeypatch.undo()
    opened(path).close()


def test_a_directory_that_is_refused_is_left_as_it_is(path: Path) -> None:
    opened(path).close()
    for name in ("00000002.mdb", "00000003.unfinished"):
        (path / name).write_bytes(b"somebody's")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(DamagedError):
        opened(path)
    assert {name: data for name, data in before.items() if "lock" not in name}.items() <= {
        file.name: file.read_bytes() for file in path.iterdir()
    }.items()


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 100_000])
def test_a_file_of_other_bytes_is_damaged(path: Path, size: int, seed: int) -> None:
    opened(path).close()
    file_of(path).write_bytes(random.Random(seed).randbytes(size))
    with pytest.raises(DamagedError, match="remove this node's data directory"):
        opened(path)


def test_a_file_without_a_header_is_damaged(path: Path) -> None:
    path.mkdir()
    with lmdb.open(str(path / "00000001.mdb"), subdir=False) as env, env.begin(write=True) as txn:
        txn.put(b"somebody's", b"data")
    with pytest.raises(DamagedError, match="does not say whose it is"):
        opened(path)


@pytest.mark.parametrize("kept", [1, 2, 3, 50, 95, 99])
def test_a_file_that_was_cut_is_damaged_and_does_not_kill_the_process(path: Path, kept: int) -> None:
    checkpoint = opened(path)
    checkpoint.write(numbered(2000, b"v" * 200) + put((b"large", b"v" * 100_000), table=2))
    checkpoint.close()
    file = file_of(path)
    with file.open("r+b") as opened_file:
        opened_file.truncate(file.stat().st_size * kept // 100 // 4096 * 4096)
    with pytest.raises(DamagedError, match="remove this node's data directory"):
        opened(path)


def test_a_file_that_ends_before_its_last_free_page_is_whole(path: Path) -> None:
    checkpoint = opened(path)
    checkpoint.write(numbered(2000, b"v" * 200))
    checkpoint.write(put(*((b"%08d" % n, None) for n in range(10, 2000))))
    for _ in range(3):  # the rows that stay move to the front
        checkpoint.write(numbered(10, b"v" * 200))
    checkpoint.close()
    file = file_of(path)
    last_used = len(file.read_bytes().rstrip(b"\0"))
    with lmdb.open(str(file), subdir=False) as env:
        pages = [page for page in range(2, last_used // 4096) if is_free_behind(file, page)]
        assert pages, env.info()
    with file.open("r+b") as opened_file:
        opened_file.truncate(pages[0] * 4096)
    checkpoint = opened(path)
    assert len(list(checkpoint.scan(1))) == 10
    checkpoint.close()


def is_free_behind(file: Path, page: int) -> bool:
    """Whether LMDB's own verifier needs none of the pages from `page` on."""
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes()[: page * 4096])
    return not lmdb.verify.verify(str(copy), subdir=False)


def test_pages_of_noise_are_an_error_and_not_a_wrong_answer(path: Path, seed: int) -> None:
    checkpoint = opened(path)
    checkpoint.write(numbered(2000, b"v" * 200))
    checkpoint.close()
    file = file_of(path)
    whole = file.read_bytes()
    noise = random.Random(seed).randbytes(4096)
    file.write_bytes(whole[: 2 * 4096] + noise * (len(whole) // 4096 - 2))
    with pytest.raises(DamagedError, match="damaged"):
        opened(path)


def test_a_full_disk_changes_nothing_and_the_same_write_works_later(checkpoint: LmdbCheckpoint, path: Path) -> None:
    checkpoint.write(put((b"a", b"1"), (b"b", b"2")))
    runs = [*numbered(1000, b"v" * 500), *put((b"x" * 5000, b"long"), table=2)]
    with no_file_larger_than(file_of(path).stat().st_size):
        for _ in range(3):
            with pytest.raises(DiskFullError, match="free some space"):
                checkpoint.write(runs)
            assert list(checkpoint.scan(1)) == [(b"a", b"1"), (b"b", b"2")]
    checkpoint.write(runs)
    assert len(list(checkpoint.scan(1))) == 1002
    assert checkpoint.get(2, b"x" * 5000) == b"long"


def test_an_installation_without_room_leaves_the_old_contents(checkpoint: LmdbCheckpoint, path: Path) -> None:
    checkpoint.write(put((b"a", b"1")))
    install = checkpoint.install()
    install.add(numbered(1000, b"v" * 500))
    with no_file_larger_than(MIB), pytest.raises(DiskFullError, match="free some space"):
        install.add(put(*((b"more %08d" % n, b"v" * 500) for n in range(5000))))
    install.abandon()
    with no_file_larger_than(4096), pytest.raises(DiskFullError):
        checkpoint.install()
    assert list(checkpoint.scan(1)) == [(b"a", b"1")]
    assert sorted(file.name for file in path.iterdir()) == ["00000001.mdb", "00000001.mdb-lock"]
    checkpoint.write(put((b"b", b"2")))


def test_a_failure_that_is_not_for_want_of_room_is_final(
    checkpoint: LmdbCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Contents, runs: object) -> None:
        raise StorageError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Contents, "write", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            checkpoint.write(put((b"a", b"1")))
    for again in (lambda: checkpoint.write(put((b"a", b"1"))), checkpoint.install):
        with pytest.raises(StorageError, match="Input/output error"):
            again()


def test_a_switch_that_failed_half_way_is_final_and_a_start_finds_either_contents(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoint = opened(path)
    checkpoint.write(put((b"old", b"1")))
    install = checkpoint.install()
    install.add(put((b"new", b"1")))
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_checkpoint, "_sync_directory", fail)
        with pytest.raises(StorageError, match="found out by a new start") as caught:
            install.finish()
    assert not isinstance(caught.value, DiskFullError)
    install.abandon()
    with pytest.raises(StorageError, match="found out by a new start"):
        checkpoint.write(put((b"lost", b"1")))
    checkpoint.close()
    checkpoint = opened(path)
    assert [key for key, _ in checkpoint.scan(1)] == [b"new"]
    checkpoint.close()


def test_an_input_error_on_a_disk_with_room_is_not_taken_for_a_full_disk(checkpoint: LmdbCheckpoint) -> None:
    error = lmdb.Error("mdb_txn_commit")
    error.code = errno.EIO  # type: ignore[misc]
    size = checkpoint._contents.path.stat().st_size
    assert type(checkpoint._contents._write_error(error)) is StorageError
    with no_file_larger_than(size + MIB):
        assert type(checkpoint._contents._write_error(error)) is DiskFullError
    assert checkpoint._contents.path.stat().st_size == size


def test_it_grows_by_itself_and_waits_for_views(path: Path) -> None:
    checkpoint = opened(path, map_size=MIB)
    checkpoint.write(numbered(1000, b"1" * 2000))
    view = checkpoint.view()
    with pytest.raises(DiskFullError, match="1 views are open"):
        checkpoint.write(numbered(3000, b"2" * 2000))
    assert checkpoint.get(1, b"%08d" % 999) == b"1" * 2000
    assert len(list(view.scan(1))) == 1000
    view.close()
    checkpoint.write(numbered(3000, b"2" * 2000))
    install = checkpoint.install()
    install.add(numbered(5000, b"3" * 2000))
    install.finish()
    assert {value for _, value in checkpoint.scan(1)} == {b"3" * 2000}
    checkpoint.close()
    checkpoint = opened(path, map_size=MIB)
    assert len(list(checkpoint.scan(1))) == 5000
    checkpoint.close()


def test_closed_it_answers_nothing(checkpoint: LmdbCheckpoint) -> None:
    view = checkpoint.view()
    checkpoint.close()
    checkpoint.close()
    for use in (
        lambda: checkpoint.get(1, b"a"),
        lambda: checkpoint.get(1, b"a" * 600),
        lambda: list(checkpoint.scan(1)),
        lambda: checkpoint.write(put((b"a", b"1"))),
        checkpoint.view,
        checkpoint.install,
        lambda: view.get(1, b"a"),
        lambda: list(view.scan(1)),
    ):
        with pytest.raises(StorageError):
            use()
    view.close()


def test_a_scan_that_is_not_read_to_its_end_holds_nothing(checkpoint: LmdbCheckpoint) -> None:
    checkpoint.write(numbered(10, b"v"))
    for _ in range(300):  # more than LMDB has places for readers
        assert next(checkpoint.scan(1)) == (b"00000000", b"v")
    assert checkpoint._contents.views == 0


def test_pages_are_used_again_although_nobody_reads(checkpoint: LmdbCheckpoint, path: Path) -> None:
    checkpoint.write(numbered(500, b"v" * 200))
    checkpoint.get(1, b"00000000")
    for _ in range(5):
        checkpoint.write(numbered(500, b"w" * 200))
    size = file_of(path).stat().st_size
    for _ in range(50):
        checkpoint.write(numbered(500, b"x" * 200))
    assert file_of(path).stat().st_size == size


def test_long_keys_that_are_gone_leave_no_rows(checkpoint: LmdbCheckpoint) -> None:
    keys = [b"x" * size for size in range(490, 2100, 90)]
    checkpoint.write(put(*((key, b"1") for key in keys)))
    checkpoint.write(put(*((key, None) for key in keys)))
    with checkpoint._contents.begin() as txn:
        assert [key for key, _ in txn.cursor()] == [b"\0header", b"\0last node"]


def test_contents_that_were_replaced_are_let_go_with_their_last_view(checkpoint: LmdbCheckpoint, path: Path) -> None:
    checkpoint.write(put((b"a", b"1")))
    view, other = checkpoint.view(), checkpoint.view()
    checkpoint.install().finish()
    other.close()
    assert view.get(1, b"a") == b"1"
    assert f"{path}/00000001.mdb (deleted)" in Path("/proc/self/maps").read_text()
    view.close()
    assert f"{path}/00000001.mdb" not in Path("/proc/self/maps").read_text()


def test_names_of_ended_installations_are_gone(path: Path) -> None:
    checkpoint = opened(path)
    for number in range(3):
        install = checkpoint.install()
        install.add(put((b"n", b"%d" % number)))
        install.finish()
        checkpoint.install().abandon()
    names = sorted(file.name for file in path.iterdir())
    assert names == ["00000004.mdb", "00000004.mdb-lock"]
    checkpoint.install()
    shutil.copytree(path, path.with_name("copy"))
    checkpoint.close()
    copy = opened(path.with_name("copy"))
    assert sorted(file.name for file in path.with_name("copy").iterdir()) == names
    assert copy.get(1, b"n") == b"2"
    copy.close()


@pytest.mark.parametrize("left", ["old and new", "old and unfinished"])
def test_a_start_finishes_what_a_sudden_end_left(path: Path, left: str) -> None:
    checkpoint = opened(path)
    checkpoint.write(put((b"old", b"1")))
    checkpoint.close()
    shutil.copy(path / "00000001.mdb", path.with_name("saved"))
    checkpoint = opened(path)
    install = checkpoint.install()
    install.add(put((b"new", b"1")))
    install.finish()
    checkpoint.close()
    if left == "old and unfinished":
        (path / "00000002.mdb").rename(path / "00000001.unfinished")
    shutil.copy(path.with_name("saved"), path / "00000001.mdb")
    checkpoint = opened(path)
    assert [key for key, _ in checkpoint.scan(1)] == [b"new" if left == "old and new" else b"old"]
    checkpoint.close()
    assert len(list(path.iterdir())) == 2


def test_another_thread_writes_and_installs_and_every_read_sees_one_state(checkpoint: LmdbCheckpoint) -> None:
    keys = [b"a", b"b" * 600, b"c" * 1200, b"d"]
    rounds = 60
    failures: list[Exception] = []

    def state(number: int) -> list[Rows]:
        return put(*((key, b"%d" % number) for key in keys))

    def change() -> None:
        try:
            for number in range(1, rounds):
                if number % 5:
                    checkpoint.write(state(number))
                else:
                    install = checkpoint.install()
                    install.add(state(number))
                    install.finish()
        except Exception as error:  # noqa: BLE001 - the test fails with it
            failures.append(error)

    checkpoint.write(state(0))
    thread = threading.Thread(target=change)
    thread.start()
    last = 0
    while thread.is_alive():
        seen = list(checkpoint.scan(1))
        numbers = {int(value) for _, value in seen}
        assert [key for key, _ in seen] == keys
        assert len(numbers) == 1
        assert last <= min(numbers)
        last = int(checkpoint.get(1, keys[1]) or b"")
        view = checkpoint.view()
        assert {view.get(1, key) for key in keys} == {view.get(1, keys[0])}
        view.close()
    thread.join(DEADLINE_S)
    assert not failures
    assert checkpoint.get(1, b"a") == b"%d" % (rounds - 1)


WRITER = """
import sys
from pathlib import Path
from libelli.host.chunks import Rows
from libelli.live.lmdb_checkpoint import LmdbCheckpoint

checkpoint = LmdbCheckpoint(Path(sys.argv[1]), cluster="0123456789abcdef" * 2, node=1)
number = int(checkpoint.get(1, b"number") or 0)
while True:
    number += 1
    rows = [(b"%08d" % n, b"%d" % number) for n in range(number % 50)]
    runs = [Rows(1, [*rows, (b"long" * 200, b"%d" % number), (b"number", b"%d" % number)])]
    if number % 3:
        gone = [Rows(1, [(b"%08d" % n, None) for n in range(number % 50, 50)])]
        checkpoint.write(runs + gone)
    else:
        install = checkpoint.install()
        install.add(runs)
        install.finish()
    print(number, flush=True)
"""


def kill_once(path: Path, dice: random.Random) -> int:
    """Lets a process write and install until it is killed, and returns the last number that it said was durable."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout as output:
        for _ in range(dice.randrange(1, 12)):
            assert output.readline()
        timer = threading.Timer(dice.random() * 0.004, process.kill)  # somewhere inside the next steps
        timer.start()
        said = output.read().split(b"\n")
        timer.join(DEADLINE_S)
    whole = [int(line) for line in said[:-1]]
    return whole[-1] if whole else 0


def check_after_kill(path: Path, said: int) -> None:
    checkpoint = opened(path)
    number = int(checkpoint.get(1, b"number") or b"0")
    assert number >= said
    expected = [(b"%08d" % n, b"%d" % number) for n in range(number % 50)]
    assert list(checkpoint.scan(1)) == [*expected, (b"long" * 200, b"%d" % number), (b"number", b"%d" % number)]
    checkpoint.close()
    assert len(list(path.iterdir())) == 2


def test_a_killed_process_leaves_the_state_after_its_last_write_or_the_one_in_flight(path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(3):
        check_after_kill(path, kill_once(path, dice))


@pytest.mark.slow
def test_a_process_that_is_killed_many_times_loses_nothing(path: Path, seed: int) -> None:
    dice = random.Random(seed + 1)
    for _ in range(60):
        check_after_kill(path, kill_once(path, dice))


@pytest.mark.slow
def test_two_million_keys_cost_no_memory(checkpoint: LmdbCheckpoint) -> None:
    before = anonymous_bytes()
    for first in range(0, 2_000_000, 50_000):
        checkpoint.write(put(*((b"key%012d" % n, b"v" * 128) for n in range(first, first + 50_000))))
    assert checkpoint.get(1, b"key%012d" % 1_999_999) == b"v" * 128
    assert anonymous_bytes() - before < 64 * MIB


def anonymous_bytes() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("smaps_rollup does not say")


def test_it_holds_the_same_as_the_checkpoint_in_memory_after_thousands_of_random_rows(
    checkpoint: LmdbCheckpoint, seed: int
) -> None:
    dice = random.Random(seed)
    twin = MemoryCheckpoint()
    for _ in range(10):
        rows = {dice.randbytes(dice.choice((1, 2, 8, 600))): dice.randbytes(20) for _ in range(300)}
        runs = put(*((key, value if dice.random() < 0.8 else None) for key, value in rows.items()))
        checkpoint.write(runs)
        twin.write(runs)
    assert list(checkpoint.scan(1)) == list(twin.scan(1))
    assert list(checkpoint.scan(1, reverse=True)) == list(twin.scan(1, reverse=True))
