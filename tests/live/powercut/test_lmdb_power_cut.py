"""After a power cut at any moment the checkpoint is what its last acknowledged write left, or the one under way.

A process writes under strace. From its calls the disk is built up again, one call after the other, and cut before
and after each: what was synced stays, what was not stays in part (`disk.py`). Every such disk is opened.
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from libelli.core.errors import LibelliError
from libelli.host.chunks import Rows
from libelli.live.lmdb_checkpoint import LmdbCheckpoint
from tests.live.powercut.disk import Disk
from tests.live.powercut.trace import Operation, Said, record, why_no_strace
from tests.live.powercut.workload import CLUSTER, MUTANTS, NODE, TABLE, states_of, steps_of

pytestmark = pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace())


def recorded(place: Path, *, seed: int, steps: int, mutant: str = "") -> list[Operation]:
    root = place / "root"
    root.mkdir()
    arguments = [str(root / "checkpoint"), str(seed), str(steps), *([mutant] if mutant else [])]
    command = [sys.executable, "-B", "-m", "tests.live.powercut.workload", *arguments]
    return record(command, root, place / "calls")


@pytest.fixture
def place() -> Iterator[Path]:
    """Where disks are built up: in memory, where there is such a place, for each is synced several times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


def violations(operations: list[Operation], place: Path, *, seed: int, steps: int, cuts: int) -> Iterator[str]:
    """Yields what is wrong after each cut; `cuts` disks are thrown for each moment."""
    dice = random.Random(seed)
    root = str(place / "root")
    disk = Disk(root)
    states = states_of(steps_of(seed, steps))
    begun = done = 0
    for at, operation in enumerate(operations):
        disk.begin(operation)
        if isinstance(operation, Said):
            word, number = operation.line.split()
            begun, done = (int(number), done) if word == "begin" else (begun, int(number))
        for moment in ("in",) if isinstance(operation, Said) else ("in", "after"):
            if moment == "after":
                disk.end(operation)
            for cut in range(cuts):
                target = place / f"cut-{at}-{moment}-{cut}"
                disk.cut(dice, target, root)
                why = why_wrong(target / "checkpoint", states[done], states[begun])
                if why is not None:
                    yield f"cut {moment} call {at} ({str(operation)[:100]}), {done} done: {why}"
                shutil.rmtree(target)


def why_wrong(path: Path, last: dict[bytes, bytes], coming: dict[bytes, bytes]) -> str | None:
    try:
        checkpoint = LmdbCheckpoint(path, cluster=CLUSTER, node=NODE)
        try:
            found = dict(checkpoint.scan(TABLE))
            if found not in (last, coming):
                return f"step {found.get(b'step')!r} with {len(found)} rows; expected {last.get(b'step')!r}"
            checkpoint.write([Rows(TABLE, [(b"after the cut", b"v" * 10_000)])])
            if dict(checkpoint.scan(TABLE)) != {**found, b"after the cut": b"v" * 10_000}:
                return "what was written after the cut is not there"
        finally:
            checkpoint.close()
    except LibelliError as error:
        return str(error)
    return None


def test_a_power_cut_loses_nothing_that_was_acknowledged(place: Path, seed: int) -> None:
    operations = recorded(place, seed=seed, steps=20)
    assert [str(found) for found in violations(operations, place, seed=seed, steps=20, cuts=4)] == []


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_checkpoint_that_forgets_a_sync_is_caught(place: Path, seed: int, mutant: str) -> None:
    operations = recorded(place, seed=seed, steps=12, mutant=mutant)
    assert next(violations(operations, place, seed=seed, steps=12, cuts=2), None) is not None


@pytest.mark.slow
@pytest.mark.parametrize("life", range(3))
def test_many_power_cuts_lose_nothing_that_was_acknowledged(place: Path, seed: int, life: int) -> None:
    operations = recorded(place, seed=seed + life, steps=30)
    assert [str(found) for found in violations(operations, place, seed=seed + life, steps=30, cuts=10)] == []
