"""A small world with a ledger and one client, and short ways to say what happens in it."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from libelli.core.calls import ChangeMember, GetStatus, NodeStatus
from libelli.core.ids import NodeId
from libelli.host.group import Group
from libelli.host.options import NodeOptions
from libelli.protocols.raft import Options, Timing
from libelli.sim.history import Operation
from libelli.sim.process import Process, ProcessOptions
from libelli.sim.world import World, member_of
from libelli.stores.mvcc.commands import Command, Put, PutDone, Range
from tests.sim.judges import Ledger, judge

TIMING = Timing(heartbeat_ms=60, tick_ms=10)


def options(**changes: Any) -> ProcessOptions:
    """Options with short times, whose history is kept; `changes` are of the node, or of raft, or the process."""
    raft_names, process_names = Options.__struct_fields__, ProcessOptions.__struct_fields__
    raft = {name: changes.pop(name) for name in list(changes) if name in raft_names}
    process = {name: changes.pop(name) for name in list(changes) if name in process_names}
    node = {"timing": TIMING, "retain_revisions": 0, "retain_ms": 0, "raft": Options(**raft), **changes}
    return ProcessOptions(node=NodeOptions(**node), **process)


SHORT_LOG = {"flush_bytes": 2_000, "flush_age_ms": 200, "retain_entries": 5, "retain_bytes": 2_000}
"""The log forgets soon, so that whoever was away needs a snapshot."""


class Scene:
    """A world of `nodes` with a leader, looked at by a ledger."""

    def __init__(self, *, seed: int = 1, nodes: int = 3, chosen: ProcessOptions | None = None, **more: Any) -> None:
        self.ledger = Ledger()
        self.world = World(seed, nodes=nodes, options=chosen or options(), looked=self.ledger.look, **more)
        self.client = self.world.client()
        self.leader = self.world.wait_leader()

    def group(self, node: int) -> Group:
        return self.world.processes[node].node.group()

    def followers(self) -> list[Process]:
        return [process for process in self.world.up if process is not self.leader]

    def ask(self, command: Command, **named: Any) -> Any:
        """Submits, waits, and returns the answer."""
        operation = self.client.submit(command, **named)
        self.world.wait(operation)
        return operation.answer

    def put(self, key: bytes, value: bytes, **named: Any) -> Any:
        return self.ask(Put(key, value), **named)

    def puts(self, count: int, *, size: int = 0, tag: str = "v", key: bytes = b"k") -> None:
        """Puts unique values, each in a frame of its own."""
        for number in range(count):
            assert isinstance(self.put(key, f"{tag}{number}".encode().ljust(size, b"."), timeout_ms=20_000), PutDone)

    def get(self, key: bytes, **named: Any) -> bytes | None:
        answer = self.ask(Range(key), **named)
        return answer.items[0].value if answer.items else None

    def change(self, action: str, node: int) -> Operation:
        """Changes members; waits for the answer."""
        operation = self.client.ask(
            lambda call: ChangeMember(call, action, member_of(NodeId(node))), is_repeatable=False, timeout_ms=20_000
        )
        self.world.wait(operation)
        return operation

    def status(self, node: int) -> NodeStatus:
        operation = self.client.ask(GetStatus, node=NodeId(node))
        self.world.wait(operation)
        return operation.answer

    def run_until(self, condition: Callable[[], bool], what: str) -> None:
        self.world.run_until(condition, what)

    def holds_all(self, node: int) -> bool:
        """Whether a node has applied what the leader has."""
        leader = self.world.leader()
        if leader is None or not self.world.processes[node].is_up:
            return False
        return self.group(node).machine.applied >= leader.node.group().machine.applied

    def finish(self) -> None:
        """Waits until everybody who is up holds the same, then judges."""
        self.run_until(lambda: all(self.holds_all(process.member.node) for process in self.world.up), "all to agree")
        judge(self.world.history, self.ledger)


def with_node(chosen: ProcessOptions, **changes: Any) -> ProcessOptions:
    return replace(chosen, node=replace(chosen.node, **changes))
