"""Runs the real command against real replicas, as people do in terminals."""

import contextlib
import io
import json
import os
import random
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from libelli.cli import run
from libelli.cli.connection import connect
from libelli.cli.settings import Invocation
from tests.live.cluster import DEADLINE_S, wait_until

COMMAND = (sys.executable, "-m", "libelli.cli")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIBELLI_")}
    small = {"LIBELLI_SEGMENT_BYTES": str(1 << 20)}
    return kept | small | {"PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"}


class Terminal:
    """A folder in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs a command to its end; returns what it wrote to stdout, or to stderr when it was to fail.

        It runs in this process, which saves the start of an interpreter for each.
        """
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = run(list(arguments), invocation=Invocation(connect=connect, environment={}))
        written, said = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
        assert found == code, f"{arguments}: exit {found}\n{written}\n{said}"
        return str(written if code == 0 else said)

    def is_done(self, *arguments: str) -> bool:
        """Runs a command that may be refused for now."""
        try:
            self.run(*arguments)
        except AssertionError:
            return False
        return True

    def json(self, *arguments: str) -> Any:
        """Runs a command with --json; returns its document."""
        return json.loads(self.run(*arguments, "--json"))

    def replicas(self, *arguments: str) -> dict[str, Any]:
        """Returns the replicas by name."""
        return {replica["name"]: replica for replica in self.json("status", *arguments)}

    def leader(self, *arguments: str) -> dict[str, Any]:
        """Waits until somebody leads, and everybody who runs says the same."""

        def found() -> dict[str, Any] | None:
            up = [replica for replica in self.replicas(*arguments).values() if replica["role"] != "down"]
            leaders = [replica for replica in up if replica["role"] == "leader"]
            agreed = len({replica["leader"] for replica in up}) == 1
            return leaders[0] if len(leaders) == 1 and agreed else None

        return wait_until(found, "a leader")

    def start(self, *arguments: str, output: str) -> "Started":
        """Starts a command in the background, its output in a file."""
        return Started(self.folder / output, [*COMMAND, *arguments], self.folder)

    def start_line(self, line: str, *, output: str) -> "Started":
        """Starts what a printed line says."""
        return Started(self.folder / output, shlex.split(line), self.folder)

    def up(self, *arguments: str, output: str = "up.txt") -> "Started":
        """Starts a cluster and waits until it is ready."""
        started = self.start("up", *arguments, output=output)
        started.wait_for("ready: ")
        return started


class Started:
    """A command that runs in the background."""

    def __init__(self, output: Path, command: list[str], folder: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self._output.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> str:
        """Waits until it has written `words`; returns all that it wrote."""

        def found() -> str | None:
            if words in self.text:
                return self.text
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text}"
            return None

        return wait_until(found, f"{words!r} in the output of {self.process.args!r}: {self.text}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to stop; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def free_port() -> int:
    """Returns a first port for a cluster, below those that connections get as their own end.

    So nobody takes it while its replica is down.
    """
    return random.SystemRandom().randrange(10_000, 30_000, 100)


def kill(process: int) -> None:
    """As a power cut is to a process."""
    os.kill(process, signal.SIGKILL)
