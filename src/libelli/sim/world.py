"""A whole world from one seed: nodes, clients, a network between them, and the hands that break things.

::

    World(seed=7) ── processes "n1" … "n3" ── disks, checkpoints
         │              │
         ├─ network ────┤   partition, isolate, heal, reset
         │              │
         ├─ clients "c1" …  ── history
         └─ trace           ── the same seed, the same bytes
"""

import random
from collections.abc import Callable, Iterable, Mapping

from libelli.client.options import DialogueOptions
from libelli.core.ids import NodeId
from libelli.core.members import Configuration, Member
from libelli.sim.client import SimulatedClient
from libelli.sim.clock import Clock
from libelli.sim.disk import DiskTimes, SimulatedDisk, Tear
from libelli.sim.history import History, Operation
from libelli.sim.kernel import MS, Kernel
from libelli.sim.network import Link, Network
from libelli.sim.process import Process, ProcessOptions
from libelli.sim.trace import Trace

CLUSTER = "51" * 16
"""The cluster's id in every simulated world."""
WAIT_MS_MAX = 60_000
"""How long a condition is waited for, in virtual time."""

MakeDisk = Callable[[random.Random], SimulatedDisk]


def member_of(node: int, *, region: str = "") -> Member:
    """Returns the member that a simulated node is."""
    name = f"n{node}"
    return Member(NodeId(node), name, region, peer_address=f"{name}:peer", client_address=f"{name}:client")


class World:
    """Nodes 1 … `nodes`, voters from the start.

    Args:
        seed: of everything that is random.
        nodes: how many there are at first.
        options: of their processes; those of single nodes in `special`.
        link: what the network is like.
        disk_times: what the disks are like.
        clocks: of nodes whose clock is not the world's.
        special: other options for single nodes.
        looked: called after every step of a process, for judges.
        make_disk: makes other disks than usual.
    """

    def __init__(
        self,
        seed: int,
        *,
        nodes: int = 3,
        options: ProcessOptions | None = None,
        link: Link | None = None,
        disk_times: DiskTimes | None = None,
        clocks: Mapping[int, Clock] | None = None,
        special: Mapping[int, ProcessOptions] | None = None,
        looked: Callable[[Process], object] = lambda _: None,
        make_disk: MakeDisk | None = None,
    ) -> None:
        self.seed = seed
        self.kernel = Kernel()
        self.trace = Trace(self.kernel)
        self.history = History()
        self.network = Network(self.kernel, random=self.dice("network"), link=link)
        self.processes: dict[int, Process] = {}
        self.clients: list[SimulatedClient] = []
        self._options = options or ProcessOptions()
        self._special = special or {}
        self._clocks = clocks or {}
        self._looked = looked
        self._make_disk = make_disk or (lambda dice: SimulatedDisk(random=dice, times=disk_times))
        founding = Configuration(tuple(member_of(node) for node in range(1, nodes + 1)))
        for node in range(1, nodes + 1):
            self._add(node, founding)

    def dice(self, name: str) -> random.Random:
        """Returns a generator of its own for whoever is called `name`."""
        return random.Random(f"{self.seed} {name}")

    # ── who is there ──────────────────────────────────────────────────────────────────────────────────────

    def join(self, node: int) -> Process:
        """Starts a node that no cluster knows yet; somebody must add it as a member."""
        return self._add(node, Configuration(()))

    def _add(self, node: int, founding: Configuration) -> Process:
        process = self.processes[node] = Process(
            self.kernel,
            self.network,
            member=member_of(node),
            cluster=CLUSTER,
            founding=founding,
            random=self.dice(f"n{node}"),
            disk=self._make_disk(self.dice(f"disk of n{node}")),
            trace=self.trace,
            options=self._special.get(node, self._options),
            clock=self._clocks.get(node, Clock()),
            looked=self._looked,
        )
        process.start()
        return process

    def client(self, *, options: DialogueOptions | None = None, endpoints: Iterable[int] = ()) -> SimulatedClient:
        """Adds a client, which knows the addresses of all nodes or of those in `endpoints`."""
        name = f"c{len(self.clients) + 1}"
        known = [self.processes[node].member.client_address for node in endpoints or self.processes]
        client = SimulatedClient(
            name,
            self.kernel,
            self.network,
            endpoints=known,
            random=self.dice(name),
            history=self.history,
            trace=self.trace,
            options=options,
        )
        self.clients.append(client)
        return client

    @property
    def up(self) -> list[Process]:
        """The processes that run, by number."""
        return [self.processes[node] for node in sorted(self.processes) if self.processes[node].is_up]

    def leader(self) -> Process | None:
        """Returns who leads in the highest term, or None."""
        leaders = [process for process in self.up if process.node.group().replica.role == "leader"]
        return max(leaders, key=lambda process: process.node.group().replica.term, default=None)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────

    def run_ms(self, duration_ms: int) -> None:
        """Lets time pass."""
        self.kernel.run_to(self.kernel.now_us + duration_ms * MS)

    def run_until(self, condition: Callable[[], bool], what: str, *, wait_ms: int = WAIT_MS_MAX) -> None:
        """Lets time pass until `condition()` holds.

        Raises:
            TimeoutError: it does not come to hold in `wait_ms` of virtual time.
        """
        if not self.kernel.run_until(condition, deadline_us=self.kernel.now_us + wait_ms * MS):
            raise TimeoutError(f"seed {self.seed}: not within {wait_ms} ms of virtual time: {what}")

    def wait_leader(self, *, other_than: Process | None = None) -> Process:
        """Lets time pass until there is a leader, and returns it."""
        self.run_until(lambda: self.leader() not in {None, other_than}, "a leader")
        leader = self.leader()
        if leader is None:
            raise TimeoutError(f"seed {self.seed}: no leader")
        return leader

    def wait(self, *operations: Operation) -> None:
        """Lets time pass until the operations have ended."""
        self.run_until(lambda: not any(operation.is_open for operation in operations), "operations to end")

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────

    def crash(self, node: int, tear: Tear | None = None) -> None:
        """The power of a node fails."""
        self.processes[node].crash(tear)

    def restart(self, node: int) -> None:
        """Starts a node again, crashing it first if it runs."""
        if self.processes[node].is_up:
            self.crash(node)
        self.processes[node].start()

    def partition(self, *sides: Iterable[str | int]) -> None:
        """Cuts all links from one side to another; sides name nodes by number, and clients by name."""
        hosts = [[f"n{each}" if isinstance(each, int) else each for each in side] for side in sides]
        self.trace.note("network", "partition", sides=hosts)
        for side in hosts:
            for other in hosts:
                if side is not other:
                    for source in side:
                        for dest in other:
                            self.network.cut(source, dest)

    def isolate(self, node: int) -> None:
        """Cuts a node off from all other nodes; clients still reach it."""
        self.partition([node], [other for other in self.processes if other != node])

    def cut(self, source: int, dest: int) -> None:
        """Nothing passes from one node to another; the other direction is as it was."""
        self.trace.note("network", "cut", source=source, dest=dest)
        self.network.cut(f"n{source}", f"n{dest}")

    def heal(self) -> None:
        """All links are whole again."""
        self.trace.note("network", "heal")
        self.network.mend_all()

    def reset(self, one: int | str, other: int | str) -> None:
        """Breaks the streams between two hosts."""
        hosts = [f"n{each}" if isinstance(each, int) else each for each in (one, other)]
        self.trace.note("network", "reset", hosts=hosts)
        self.network.reset(*hosts)
