"""`up`: a whole cluster on this machine, for trying things out and for development."""

import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.output import write_line, write_text
from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command
from libelli.core.errors import CallError, LibelliError

if TYPE_CHECKING:
    from libelli.client import Client
    from libelli.core.calls import GroupStatus
    from libelli.live.cluster_file import ClusterFile, Place
    from libelli.live.up import Change, Replicas

commands = typer.Typer()

LOOK_INTERVAL_S = 0.5
READY_TIMEOUT_S = 60.0
STATUS_TIMEOUT_MS = 1_000
TAIL_LINES = 3
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@command(commands, "up", panel="This machine", options=OUTPUT_OPTIONS)
def up(
    settings: Settings,
    *,
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, metavar="N", help="How many, in a new cluster. (default: 3)")
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="NAME", help="A region of a new cluster; several are dealt out in turn."),
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where everything of the cluster is.", file_okay=False)
    ] = Path(".libelli"),
    port: Annotated[
        int | None,
        typer.Option("--port", min=1024, max=65_000, metavar="N", help="First port of a new cluster. (default: 7400)"),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="A new cluster without TLS; on this machine only.")] = False,
) -> None:
    """Start a cluster of replicas on this machine, secured by itself, and keep it until Ctrl-C.

    Run it again to go on with the same data; replicas that run already are taken over. A replica that dies is
    reported and not started again, so that its loss can be seen.
    """
    from libelli.live.founding import PORT_DEFAULT, REGIONS_DEFAULT, Wish, ensure_cluster
    from libelli.live.lock import DirectoryLock
    from libelli.live.up import Replicas

    wish = Wish(
        replicas=replicas or max(3, len(region or ())),
        regions=tuple(region or REGIONS_DEFAULT),
        port=port or PORT_DEFAULT,
        is_plain=plain,
    )
    lock = DirectoryLock(data)
    try:
        path, content, is_new = ensure_cluster(data, wish)
        if not is_new:
            refuse_other_wish(content, replicas=replicas, region=region, port=port, plain=plain, path=path)
        running = Replicas(data, content)
        with stop_signals() as asked:
            Watcher(settings, data, content, running, asked).run(is_new=is_new)
    finally:
        lock.release()


def refuse_other_wish(
    content: "ClusterFile",
    *,
    replicas: int | None,
    region: list[str] | None,
    port: int | None,
    plain: bool,
    path: Path,
) -> None:
    """Refuses options for a new cluster that the one which is there does not fulfil.

    Raises:
        UsageError: naming the option.
    """
    from libelli.cli.usage import UsageError

    members = content.members
    if replicas not in (None, len(members)):
        raise UsageError(
            f"--replicas {replicas}: the cluster in {path} has {len(members)} members: grow it with libelli member "
            "add, or begin another with --data DIR"
        )
    there = [place.region for place in members]
    if region and not set(region) <= set(there):
        raise UsageError(f"--region {region[0]}: the cluster in {path} has {', '.join(there)}: leave the option away")
    if port is not None and not any(place.peer.endswith(f":{port}") for place in members):
        raise UsageError(f"--port {port}: the cluster in {path} has its ports already: leave the option away")
    if plain and content.bundle:
        raise UsageError(f"--plain: the cluster in {path} uses TLS: begin another with --data DIR")


@contextmanager
def stop_signals() -> "Iterator[SimpleQueue[int]]":
    """Yields a queue that gets the signals which ask this process to stop, and a 0 for a child that ended."""
    asked: SimpleQueue[int] = SimpleQueue()
    handlers = {number: signal.signal(number, lambda received, _: asked.put(received)) for number in STOPPING}
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: asked.put(0))
    try:
        yield asked
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Watcher:
    """Starts the replicas, says how they are, and stops them when it is asked to."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        content: "ClusterFile",
        replicas: "Replicas",
        asked: "SimpleQueue[int]",
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._content = content
        self._replicas = replicas
        self._asked = asked
        self._leader = 0

    def run(self, *, is_new: bool) -> None:
        """Runs until it is asked to stop; then all replicas have stopped, too."""
        started = self._replicas.start()
        try:
            self._say_begin(started, is_new=is_new)
            with self._client() as client:
                self._follow(client)
        finally:
            self._say({"event": "stopping"}, "stopping …")
            for place in self._replicas.stop():
                self._say({"event": "killed", "name": place.name}, f"{place.name} did not stop in time and was killed")
            self._say({"event": "stopped"}, f"all replicas have stopped; the data is in {self._folder}")

    def _client(self) -> "Client":
        from libelli.client import Client

        return Client(
            endpoints=[place.client for place in self._content.members],
            certificates=self._folder / self._content.bundle if self._content.bundle else None,
            cluster=self._content.cluster,
            timeout_ms=STATUS_TIMEOUT_MS,
        )

    def _follow(self, client: "Client") -> None:
        """Reports what changes until a signal asks for the end."""
        is_ready, patience_s = False, time.monotonic() + READY_TIMEOUT_S
        while self._wait():
            for change in self._replicas.look():
                self._say_change(change)
                self._leader = 0
            if self._leader == 0 and (found := leader_of(client)) is not None:
                self._say_leader(found, is_ready=is_ready)
                is_ready = True
            if not is_ready and time.monotonic() > patience_s:
                self._say({"event": "waiting"}, "no leader yet: look at the logs above")
                patience_s += READY_TIMEOUT_S

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

    def _say_begin(self, started: "list[Change]", *, is_new: bool) -> None:
        from libelli.live.replica_files import log_path

        what = "new cluster" if is_new else "cluster"
        security = "mutual TLS" if self._content.bundle else "plain text, on this machine only"
        self._say({"event": "cluster", "cluster": self._content.cluster, "file": str(self._folder / "cluster.toml")},
                  f"{what} {self._content.cluster} in {self._folder}, {security}")  # fmt: skip
        for change in started:
            place = change.place
            self._say(
                {"event": "started", "name": place.name, "region": place.region, "process": change.process,
                 "address": place.client, "grpc_address": place.grpc, "metrics": place.http, "log": str(log_path(self._folder, place)),
                 "start": serve_line(self._folder, place)},
                f"  {place.name:<4} {place.region:<12} process {change.process:<8} clients {place.client}  gRPC {place.grpc}  "
                f"metrics http://{place.http}/metrics  log {log_path(self._folder, place)}",
            )  # fmt: skip

    def _say_leader(self, found: "GroupStatus", *, is_ready: bool) -> None:
        self._leader = found.leader
        name = next((place.name for place in self._content.members if place.node == found.leader), str(found.leader))
        document: dict[str, object] = {"event": "leader", "name": name, "term": found.term}
        if is_ready:
            self._say(document, f"{name} leads (term {found.term}); the cluster serves", color=typer.colors.GREEN)
            return
        self._say(document, f"ready: {name} leads (term {found.term})", "", *self._suggestions(), color=None)

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

    def _say_change(self, change: "Change") -> None:
        from libelli.live.replica_files import log_path
        from libelli.live.up import tail_of

        place = change.place
        if change.process:
            self._say(
                {"event": "started", "name": place.name, "process": change.process},
                f"{place.name} runs again (process {change.process})", color=typer.colors.GREEN,
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


def leader_of(client: "Client") -> "GroupStatus | None":
    """Returns the status of the first group by a node that knows its leader, and that can reach a majority.

    A linearizable read decides: a node may still think that a dead one leads.
    """
    try:
        client.get(b"\0", timeout_ms=STATUS_TIMEOUT_MS)
        status = client.status(timeout_ms=STATUS_TIMEOUT_MS)
    except CallError:
        return None
    except LibelliError:
        return None
    return next((group for group in status.groups if group.leader), None)


def serve_line(folder: Path, place: "Place") -> str:
    """Returns the command that starts a replica by hand."""
    from libelli.live.replica_files import configuration_path

    return f"{program()} serve --config {shlex.quote(short(configuration_path(folder, place)))}"


def program() -> str:
    """Returns how people call this program from here: as it was called now."""
    called = Path(sys.argv[0])
    if called.name != "libelli":
        return f"{shlex.quote(sys.executable)} -m libelli.cli"
    return shlex.quote(short(called))


def short(path: Path) -> str:
    """Returns a path as it is written from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)
