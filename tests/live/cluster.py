"""A cluster of real processes on loopback, with TLS: started, killed, started again, and asked how it is."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from libelli.core.calls import GroupStatus
from libelli.core.errors import LibelliError
from libelli.lab.bench.processes import free_ports
from libelli.live.certificates import Authority, IssueRequest, Kind, ensure_cluster_certificates
from tests.live.sessions import RawSession

T = TypeVar("T")

HOST = "127.0.0.1"
DEADLINE_S = 60.0
POLL_S = 0.02
PROGRAM = Path(__file__).with_name("node_process.py")


def wait_until(condition: Callable[[], T | None], what: str, *, deadline_s: float = DEADLINE_S) -> T:
    """Returns the first result of `condition` that is true."""
    end = time.monotonic() + deadline_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > end:
            raise AssertionError(f"still waiting for {what} after {deadline_s:g} s")
        time.sleep(POLL_S)


@dataclass
class NodeProcess:
    """One node: its files, its addresses, and its process while it runs."""

    number: int
    folder: Path
    peer: str
    client: str
    metrics: str
    grpc: str
    process: "subprocess.Popen[bytes] | None" = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"n{self.number}"

    @property
    def configuration(self) -> Path:
        return self.folder / "libelli.toml"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, *, begin: str | None = None) -> None:
        assert not self.is_running
        arguments = [str(self.configuration), *([begin] if begin else [])]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **self.environment},
            )

    def wait_exit(self) -> int:
        """Waits for an end that is expected."""
        assert self.process is not None
        code = self.process.wait(DEADLINE_S)
        self.process = None
        return code

    def kill(self) -> None:
        """As a power cut is to the process: it has no time for anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_S)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""


def new_node(number: int, folder: Path, ports: Sequence[int]) -> NodeProcess:
    peer, client, metrics, grpc = (f"{HOST}:{port}" for port in ports)
    return NodeProcess(number, folder / f"n{number}", peer, client, metrics, grpc)


class Cluster:
    """Nodes 1 … `count`, with certificates of one authority; use as a context."""

    def __init__(self, folder: Path, count: int = 3, *, options: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.cluster_id = secrets.token_hex(16)
        names = {f"n{number}": (HOST, "localhost") for number in range(1, count + 1)}
        self.certificates = ensure_cluster_certificates(folder / "certificates", peers=names)
        self.client_bundle: Path | None = self.certificates.client.bundle
        self.options = {"log_level": "debug", "segment_bytes": 4 << 20, **(options or {})}
        ports = free_ports(4 * count)
        self.nodes: dict[int, NodeProcess] = {}
        for number in range(1, count + 1):
            self.nodes[number] = new_node(number, folder, ports[4 * number - 4 : 4 * number])
        for node in self.nodes.values():
            node.folder.mkdir(parents=True)
            self.configure(node)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.kill()

    def configure(self, node: NodeProcess, **changes: object) -> None:
        """Writes the node's file, with `changes` to its options."""
        options: dict[str, object] = {
            "name": node.name,
            "cluster_id": self.cluster_id,
            "data": "data",
            "certificates": str(self.certificates.client.bundle.with_name(f"{node.name}.pem")),
            "listen_metrics": node.metrics,
            **self.options,
            **changes,
        }
        lines = [f"{name} = {_toml(value)}" for name, value in options.items() if value is not None]
        for each in self.nodes.values():
            member = {"node": each.number, "name": each.name, "peer": each.peer, "client": each.client}
            lines += ["[[members]]", *(f"{name} = {_toml(value)}" for name, value in member.items())]
        node.configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def add(self, number: int) -> NodeProcess:
        """Makes certificate and files of a further node, which is to join."""
        authority = Authority.open(self.certificates.authority)
        bundle = authority.issue(IssueRequest(name=f"n{number}", kind=Kind.PEER, addresses=(HOST, "localhost"))).path
        node = new_node(number, self.folder, free_ports(4))
        node.folder.mkdir(parents=True)
        self.nodes[number] = node
        self.configure(node, certificates=str(bundle))
        return node

    def found(self) -> "Cluster":
        """Starts all nodes of the new cluster and waits until there is a leader."""
        for node in self.nodes.values():
            node.start(begin="found")
        self.wait_leader()
        return self

    def session(self, number: int, *, timeout_s: float = 10.0) -> RawSession:
        return RawSession(self.nodes[number].client, self.client_bundle, timeout_s=timeout_s)

    def group_status(self, number: int) -> GroupStatus | None:
        """Returns how a node sees the one group, or None while it does not answer."""
        try:
            with self.session(number, timeout_s=2.0) as session:
                return session.status().groups[0]
        except (OSError, LibelliError):
            return None

    def leader(self) -> int | None:
        """Returns the number of a node that leads, is known to a majority as the leader, and runs."""
        statuses = {n: self.group_status(n) for n, node in self.nodes.items() if node.is_running}
        for number, status in statuses.items():
            if status is not None and status.role == "leader":
                believers = [each for each in statuses.values() if each is not None and each.leader == number]
                if 2 * len(believers) > len(self.nodes):
                    return number
        return None

    def wait_leader(self, *, other_than: int | None = None) -> int:
        def found() -> int | None:
            broken = [node for node in self.nodes.values() if node.process and node.process.poll() not in (None, -9)]
            assert not broken, "".join(f"{node.name}:\n{node.output()}" for node in broken)
            leader = self.leader()
            return None if leader == other_than else leader

        return wait_until(found, "a leader")

    def wait_applied(self, index: int) -> None:
        """Waits until every node that runs has applied the entry `index`."""

        def applied() -> bool:
            statuses = [self.group_status(n) for n, node in self.nodes.items() if node.is_running]
            return all(status is not None and status.applied >= index for status in statuses)

        wait_until(applied, f"entry {index} on all nodes")


def _toml(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value).replace("'", '"')
