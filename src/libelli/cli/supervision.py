"""What `up` does while it runs: starts the replicas, reports what becomes of them, stops them.

Differs: supervisors start again what has died. Here it is reported, with the command that starts it: what the loss of
a replica means is to be seen, and one that cannot start is not hidden.
"""

import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import typer

from libelli.cli.hints import program, serve_line, short
from libelli.cli.output import write_line, write_text
from libelli.cli.settings import Settings
from libelli.client import Client
from libelli.core.calls import GroupStatus
from libelli.core.errors import CallError, ConfigurationError
from libelli.live.cluster_file import NAME, ClusterFile, read_cluster_file
from libelli.live.replica_files import log_path
from libelli.live.up import Change, Replicas, tail_of

LOOK_INTERVAL_S = 0.5
LEADER_INTERVAL_S = 2.0
NO_LEADER_S = 5.0
"""Elections are over long before."""
READY_TIMEOUT_S = 60.0
STATUS_TIMEOUT_MS = 1_000
TAIL_LINES = 3
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_signals() -> Iterator[SimpleQueue[int]]:
    """Yields a queue that gets the signals which ask this process to stop, and a 0 for a child that ended."""
    asked: SimpleQueue[int] = SimpleQueue()
    handlers = {number: signal.signal(number, lambda received, _: asked.put(received)) for number in STOPPING}
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: asked.put(0))
    try:
        yield asked
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Supervision:
    """Starts the replicas, says how they are, and stops them when it is asked to."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        content: ClusterFile,
        replicas: Replicas,
        asked: SimpleQueue[int],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._content = content
        self._replicas = replicas
        self._asked = asked
        self._seen = 0
        self._unstarted = set[int]()
        """Members that were added and have not run yet."""
        self._leader = 0
        self._is_ready = False
        self._is_lost = False
        """Whether it was said that nobody leads."""
        self._patience_s = 0.0
        """When that is to be said; 0: somebody leads."""

    def run(self, *, is_new: bool) -> None:
        """Runs until it is asked to stop; then all replicas have stopped, too."""
        started = self._replicas.start()
        try:
            self._say_begin(started, is_new=is_new)
            with self._client() as client:
                self._follow(client)
        finally:
            self._say({"event": "stopping"}, "stopping …")
            self._follow_file()
            for place in self._replicas.stop():
                self._say({"event": "killed", "name": place.name}, f"{place.name} did not stop in time and was killed")
            self._say({"event": "stopped"}, f"all replicas have stopped; the data is in {self._folder}")

    def _client(self) -> Client:
        return Client(
            endpoints=[place.client for place in self._content.members],
            certificates=self._folder / self._content.bundle if self._content.bundle else None,
            cluster=self._content.cluster,
            timeout_ms=STATUS_TIMEOUT_MS,
        )

    def _follow(self, client: Client) -> None:
        """Reports what changes until a signal asks for the end."""
        due_s = 0.0
        while self._wait():
            self._follow_file()
            for change in self._replicas.look():
                self._say_change(change)
                due_s = 0.0
            if time.monotonic() >= due_s:
                self._look_for_leader(leader_of(client))
                due_s = time.monotonic() + (LEADER_INTERVAL_S if self._leader else 0.0)

    def _follow_file(self) -> None:
        """Takes in members that were added to the cluster's file meanwhile, and lets go of removed ones."""
        path = self._folder / NAME
        seen = written_at(path)
        if seen in (self._seen, 0):
            return
        self._seen = seen
        try:
            added, removed = self._replicas.follow(read_cluster_file(path))
        except ConfigurationError as error:
            self._say({"event": "unreadable", "file": str(path)}, str(error), color=typer.colors.YELLOW)
            return
        for place in added:
            self._unstarted.add(place.node)
            start = serve_line(self._folder, place)
            self._say({"event": "added", "name": place.name, "start": start}, f"{place.name} was added: {start}")
        for change in removed:
            name, process = change.place.name, change.process
            rest = f"; kill {process} stops it, and so does the end of this command" if process else ""
            self._say({"event": "removed", "name": name, "process": process}, f"{name} was removed{rest}")

    def _look_for_leader(self, found: GroupStatus | None) -> None:
        """Reports who leads when that has changed, or that nobody does when it lasts."""
        if found is not None:
            if found.leader != self._leader or self._is_lost:
                self._say_leader(found)
            self._leader, self._is_lost, self._patience_s = found.leader, False, 0.0
            return
        self._leader = 0
        now_s = time.monotonic()
        self._patience_s = self._patience_s or now_s + (NO_LEADER_S if self._is_ready else READY_TIMEOUT_S)
        if now_s >= self._patience_s and not self._is_lost:
            self._is_lost = True
            text = "nobody leads: writes are refused until a majority of the replicas runs and reaches each other"
            self._say({"event": "no leader"}, text, color=typer.colors.YELLOW)

    def _wait(self) -> bool:
        """Waits for something to happen, not for long; False: it is time to stop."""
        try:
            return self._asked.get(timeout=LOOK_INTERVAL_S) == 0
        except Empty:
            return True

    # ── what it says ──────────────────────────────────────────────────────────────────────────────────────

    def _say(self, document: dict[str, object], *lines: str, color: str | None = None) -> None:
        if self._settings.json:
            write_line(document)
            return
        for line in lines:
            write_text(line, color=color)
        sys.stdout.flush()

    def _say_begin(self, started: list[Change], *, is_new: bool) -> None:
        what = "new cluster" if is_new else "cluster"
        security = "mutual TLS" if self._content.bundle else "plain text, on this machine only"
        self._say(
            {"event": "cluster", "cluster": self._content.cluster, "file": str(self._folder / "cluster.toml")},
            f"{what} {self._content.cluster} in {self._folder}, {security}",
        )
        for change in started:
            self._say_started(change)

    def _say_started(self, change: Change) -> None:
        place = change.place
        log = str(log_path(self._folder, place))
        document: dict[str, object] = {"event": "started", "name": place.name, "region": place.region}
        document |= {"process": change.process, "address": place.client, "grpc_address": place.grpc}
        document |= {"metrics": place.http, "log": log, "start": serve_line(self._folder, place)}
        self._say(
            document,
            f"  {place.name:<4} {place.region:<12} process {change.process:<8} clients {place.client}  "
            f"gRPC {place.grpc}  metrics http://{place.http}/metrics",
            f"       log {log}",
        )

    def _say_leader(self, found: GroupStatus) -> None:
        name = next((member.name for member in found.voters if member.node == found.leader), f"node {found.leader}")
        document: dict[str, object] = {"event": "leader", "name": name, "term": found.term}
        if self._is_ready:
            self._say(document, f"{name} leads (term {found.term}); the cluster serves", color=typer.colors.GREEN)
            return
        self._is_ready = True
        self._say(document, f"ready: {name} leads (term {found.term})", "", *self._suggestions())

    def _suggestions(self) -> list[str]:
        me, folder = program(), self._folder
        is_found = folder.name == ".libelli" and folder.resolve().parent == Path.cwd()
        where = "" if is_found else f" --cluster {shlex.quote(str(folder / 'cluster.toml'))}"
        return [
            "try in another terminal:",
            f"  {me} put{where} greeting hello",
            f"  {me} get{where} greeting",
            f"  {me} status{where}",
            "then kill a replica (kill -9 PROCESS, as status shows it), and put and get again: nothing is lost",
            "Ctrl-C stops all replicas; the data stays, and the same command goes on with it",
        ]

    def _say_change(self, change: Change) -> None:
        place = change.place
        if change.process:
            again = "" if place.node in self._unstarted else " again"
            self._unstarted.discard(place.node)
            self._say(
                {"event": "started", "name": place.name, "process": change.process},
                f"{place.name} runs{again} (process {change.process})", color=typer.colors.GREEN,
            )  # fmt: skip
            return
        start, log = serve_line(self._folder, place), log_path(self._folder, place)
        lines = [f"{place.name} {change.ending or 'has stopped'}; start it again with:", f"  {start}"]
        if "SIG" not in change.ending:
            lines += [f"  {line}" for line in reasons_in(tail_of(log, lines=TAIL_LINES))]
            lines.append(f"  its log: {short(log)}")
        document: dict[str, object] = {
            "event": "ended",
            "name": place.name,
            "ending": change.ending,
            "start": start,
            "log": str(log),
        }
        self._say(document, *lines, color=typer.colors.YELLOW)


def written_at(path: Path) -> int:
    """Returns when a file was written, in nanoseconds; 0 when it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def reasons_in(lines: Sequence[str]) -> list[str]:
    """Returns what the last lines of a replica's log say went wrong."""
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if isinstance(record, dict) and record.get("level") in ("warning", "error"):
            found.append(f"{record.get('event', '')}: {record.get('why', '')}".rstrip(": "))
    return found


def leader_of(client: Client) -> GroupStatus | None:
    """Returns the status of the first group by a node that knows its leader, and that can reach a majority.

    A linearizable read decides: a node may still think that a dead one leads.
    """
    try:
        client.get(b"\0", timeout_ms=STATUS_TIMEOUT_MS)
        status = client.status(timeout_ms=STATUS_TIMEOUT_MS)
    except CallError:
        return None
    return next((group for group in status.groups if group.leader), None)
