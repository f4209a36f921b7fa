"""Runs the replicas of a cluster that live on this machine, one process each, and says what becomes of them.

::

    Replicas.start ──► libelli serve --config n1/libelli.toml     its own session: Ctrl-C reaches `up` alone
                       libelli serve --config n2/libelli.toml
    Replicas.look  ──► who has stopped, who runs again since the last look
    Replicas.stop  ──► SIGTERM to all that run, wait, SIGKILL to what is left

A replica that runs already is taken over: it was started by hand, or by an `up` that was killed. One that ends is not
started again: what a killed replica means for the cluster is to be seen, and a replica that cannot start would only
be hidden. The lock on its data folder tells whether it runs, whoever started it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libelli.core.errors import ConfigurationError
from libelli.live.cluster_file import ClusterFile, Place
from libelli.live.configuration import ENVIRONMENT_PREFIX
from libelli.live.lock import lock_holder
from libelli.live.replica_files import REPLICA_OPTIONS, configuration_path, data_path, log_path

STOP_TIMEOUT_S = 30.0
LOOK_INTERVAL_S = 0.1
TAIL_SIZE = 8 * 1024
SAID_BY_FILE = frozenset(f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in REPLICA_OPTIONS)
COMMAND = (sys.executable, "-m", "libelli.cli", "serve", "--config")


@dataclass(frozen=True, slots=True)
class Change:
    """Something became of a replica.

    Attributes:
        place: which one.
        process: its process id; None: it does not run any more.
        ending: how it ended, in words, when it did.
    """

    place: Place
    process: int | None
    ending: str = ""


@dataclass(slots=True)
class Replica:
    """One replica of this machine, and what was last seen of it."""

    place: Place
    folder: Path
    child: "subprocess.Popen[bytes] | None" = None
    process: int | None = None
    ending: str = field(default="")
    is_removed: bool = False
    """Whether the cluster does without it: nobody waits for it to run again."""

    def look(self) -> int | None:
        """Returns the id of the process that runs it, or None."""
        if self.child is not None:
            code = self.child.poll()
            if code is None:
                return self.child.pid
            self.ending = ending_of(code)
            self.child = None
        return lock_holder(data_path(self.folder, self.place))

    def start(self) -> None:
        """Starts it, unless it runs.

        Raises:
            ConfigurationError: its log cannot be written.
        """
        self.process = self.look()
        if self.process is None:
            self.child = _spawn(self.folder, self.place)
            self.process = self.child.pid

    def reap(self) -> None:
        """Takes note of the end of its process, if that is ours."""
        if self.child is not None and self.child.poll() is not None:
            self.child = None


class Replicas:
    """All replicas of a cluster that run on this machine.

    Args:
        folder: of the cluster's file.
        content: what the file says.
    """

    def __init__(self, folder: Path, content: ClusterFile) -> None:
        self._folder = folder
        self._replicas = [Replica(place, folder) for place in content.members if place.folder]

    def start(self) -> list[Change]:
        """Starts those that do not run; returns which process each is. After a failure, those are stopped again.

        Raises:
            ConfigurationError: a replica's log cannot be written.
        """
        try:
            for replica in self._replicas:
                replica.start()
        except BaseException:
            _stop([replica for replica in self._replicas if replica.child is not None], timeout_s=STOP_TIMEOUT_S)
            raise
        return [Change(replica.place, replica.process) for replica in self._replicas]

    def follow(self, content: ClusterFile) -> tuple[list[Place], list[Change]]:
        """Takes in members that were added, and takes note of those that were removed.

        A removed one that still runs is kept until it ends, so that `stop` stops it, too.

        Returns:
            Those that are new, and those that were removed.
        """
        there = {place.node for place in content.members}
        known = {replica.place.node for replica in self._replicas}
        added = [place for place in content.members if place.folder and place.node not in known]
        removed = [each for each in self._replicas if each.place.node not in there and not each.is_removed]
        for replica in removed:
            replica.is_removed = True
            replica.process = replica.look()
        self._drop_ended()
        self._replicas += [Replica(place, self._folder) for place in added]
        return added, [Change(replica.place, replica.process) for replica in removed]

    def _drop_ended(self) -> None:
        self._replicas = [each for each in self._replicas if not each.is_removed or each.look() is not None]

    def look(self) -> list[Change]:
        """Returns what has changed since the last look; removed members are not told of any more."""
        changes = []
        self._drop_ended()
        for replica in self._replicas:
            process = replica.look()
            if process != replica.process and not replica.is_removed:
                replica.process = process
                changes.append(Change(replica.place, process, "" if process else replica.ending))
        return changes

    @property
    def running(self) -> int:
        """How many ran at the last look."""
        return sum(replica.process is not None for replica in self._replicas)

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> list[Place]:
        """Stops all in good order; returns those that had to be killed."""
        return [replica.place for replica in _stop(self._replicas, timeout_s=timeout_s)]


def tail_of(path: Path, *, lines: int) -> list[str]:
    """Returns the last lines of a log; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_SIZE))
            return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def ending_of(code: int) -> str:
    """Returns in words how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def environment_of_replicas(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that a replica is started with.

    What a replica is, its file says; other options may be set for all replicas in the environment.
    """
    return {name: value for name, value in environment.items() if name not in SAID_BY_FILE}


def _stop(replicas: Sequence[Replica], *, timeout_s: float) -> list[Replica]:
    """Stops `replicas` in good order; returns those that had to be killed."""
    _signal_all(replicas, signal.SIGTERM)
    deadline_s = time.monotonic() + timeout_s
    while (left := [replica for replica in replicas if replica.look()]) and time.monotonic() < deadline_s:
        time.sleep(LOOK_INTERVAL_S)
    _signal_all(left, signal.SIGKILL)
    for replica in left:
        if replica.child is not None:
            replica.child.wait()
    return left


def _signal_all(replicas: Sequence[Replica], number: signal.Signals) -> None:
    for replica in replicas:
        process = replica.look()
        if process:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                replica.reap()


def _spawn(folder: Path, place: Place) -> "subprocess.Popen[bytes]":
    path = log_path(folder, place)
    try:
        log = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    with log:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, str(configuration_path(folder, place))],
            env=environment_of_replicas(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
