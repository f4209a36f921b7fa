"""What the process does whose power is cut: writes and installations that a seed decides, each announced and told.

Run as `python -m tests.live.powercut.workload PATH SEED STEPS [MUTANT]`. A mutant forgets one promise to the disk.
"""

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from libelli.core.ids import ClusterId, NodeId
from libelli.host.chunks import Rows
from libelli.live import lmdb_checkpoint, lmdb_contents
from libelli.live.lmdb_checkpoint import LmdbCheckpoint

CLUSTER = ClusterId("c" * 32)
NODE = NodeId(1)
TABLE = 1
KEYS = [b"%03d" % n + b"k" * size for n in range(30) for size in (0, 20, 600)]


@dataclass(frozen=True)
class Step:
    """Runs that are written at once, or that replace everything."""

    runs: Sequence[Rows]
    is_install: bool


def steps_of(seed: int, count: int) -> list[Step]:
    """Returns the steps; every state differs from the one before, and most pages are used again and again."""
    dice = random.Random(seed)
    steps = []
    for number in range(count):
        is_install = number == count // 2 or dice.random() < 0.15
        rows: dict[bytes, bytes | None] = {b"step": b"%d" % number}
        for key in dice.sample(KEYS, dice.choice((1, 5, 40))):
            is_deleted = not is_install and dice.random() < 0.3
            rows[key] = None if is_deleted else b"%d." % number * dice.choice((1, 10, 200, 3000))
        steps.append(Step([Rows(TABLE, sorted(rows.items()))], is_install))
    return steps


def states_of(steps: Sequence[Step]) -> list[dict[bytes, bytes]]:
    """Returns the rows before all steps, and after each."""
    states: list[dict[bytes, bytes]] = [{}]
    for step in steps:
        state = {} if step.is_install else dict(states[-1])
        for key, value in step.runs[0].items:
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        states.append(state)
    return states


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def work(path: Path, steps: Sequence[Step]) -> None:
    say("begin 0")
    checkpoint = LmdbCheckpoint(path, cluster=CLUSTER, node=NODE)
    say("done 0")
    for number, step in enumerate(steps, 1):
        say(f"begin {number}")
        if step.is_install:
            install = checkpoint.install()
            install.add(step.runs)
            install.finish()
        else:
            checkpoint.write(step.runs)
        say(f"done {number}")


def _open_with(**changes: bool) -> None:
    original: Callable[..., Any] = lmdb.open
    lmdb.open = lambda path, **settings: original(path, **{**settings, **changes})  # type: ignore[assignment]


def _forget_data_sync() -> None:
    _open_with(sync=False)


def _forget_meta_sync() -> None:
    _open_with(metasync=False)


def _forget_install_sync() -> None:
    lmdb_contents.Contents.sync = lambda self: None  # type: ignore[method-assign]


def _forget_names() -> None:
    lmdb_checkpoint._sync_directory = lambda path: None


MUTANTS = {
    "data": _forget_data_sync,
    "meta": _forget_meta_sync,
    "install": _forget_install_sync,
    "names": _forget_names,
}

if __name__ == "__main__":
    for mutant in sys.argv[4:]:
        MUTANTS[mutant]()
    work(Path(sys.argv[1]), steps_of(int(sys.argv[2]), int(sys.argv[3])))
