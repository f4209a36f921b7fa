"""Random runs: whatever breaks, and in whatever order, clients are told the truth and replicas agree.

Each schedule has a seed of its own. `--seed N` begins with others; a failing run prints the one to replay.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libelli.host.sessions import Sessions
from libelli.sim.process import ProcessOptions
from tests.sim.chaos import COMPACTING, SMALL, Chaos

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots come in several pieces."""
    monkeypatch.setattr("libelli.host.transfers.CHUNK_SIZE", 600)


def run(seed: int, chosen: ProcessOptions, *, nodes: int = 3, faults: int = 40) -> Chaos:
    chaos = Chaos(seed, nodes=nodes, options=chosen)
    chaos.run(faults=faults)
    return chaos


@pytest.mark.parametrize("schedule", range(20))
def test_three_nodes_keep_their_promises(seed: int, schedule: int) -> None:
    run(seed + schedule, SMALL)


@pytest.mark.parametrize("schedule", range(10))
def test_three_nodes_that_forget_history_keep_their_promises(seed: int, schedule: int) -> None:
    run(seed + schedule, COMPACTING)


@pytest.mark.parametrize("schedule", range(4))
def test_five_nodes_keep_their_promises(seed: int, schedule: int) -> None:
    run(seed + schedule, SMALL, nodes=5)


@pytest.mark.parametrize("schedule", range(4))
def test_sessions_that_expire_early_lie_to_nobody(seed: int, schedule: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libelli.host.machine.Sessions", lambda engine: Sessions(engine, sessions_max=3))
    run(seed + schedule, SMALL, faults=25)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
@pytest.mark.parametrize("chosen", [SMALL, COMPACTING], ids=["small", "compacting"])
def test_many_random_runs(seed: int, block: int, chosen: ProcessOptions) -> None:
    for schedule in range(20):
        run(seed + 1_000 + 20 * block + schedule, chosen, faults=80)


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    script = (
        "import sys; from tests.sim.chaos import Chaos; chaos = Chaos(42); chaos.run();"
        "sys.stdout.buffer.write(chaos.world.trace.document())"
    )
    documents = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert documents[0] == documents[1]
    assert len(documents[0]) > 10_000


def test_another_seed_gives_another_run(seed: int) -> None:
    assert run(seed, SMALL).world.trace.digest() != run(seed + 1, SMALL).world.trace.digest()
