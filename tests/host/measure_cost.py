"""What a put or a get costs in processor time, part by part: `python -m tests.host.measure_cost put --in-flight 256`.

A client, three nodes and their logs run in this process, without sockets, threads or TLS; disks and checkpoints are
memory. So the figures are those of our own code alone, and hold still on a noisy machine.
"""

import argparse
import gc
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from libelli.client import DialogueOptions
from libelli.client.dialogue import Dialogue
from libelli.client.effects import Complete, Connect, Send
from libelli.client.effects import WakeAt as ClientWakeAt
from libelli.client.queues import NEVER_MS
from libelli.core.ids import DEFAULT_COLLECTION, ClusterId, NodeId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import LogWriter, recover
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.host.world import FlushCheckpoint, ReadLog, SendClient, SendPeer, WakeAt, WriteLog
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import Put, Range

CLUSTER = ClusterId("51" * 16)
KEYS = 10_000
SEGMENT_SIZE = 64 << 20
TIMEOUT_MS = 100_000
MEMBERS = tuple(Member(NodeId(n), f"n{n}", "", f"p{n}", f"c{n}") for n in (1, 2, 3))


class Memory:
    """A `Disk` in memory, as fast as can be."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def names(self) -> list[str]:
        return sorted(self.files)

    def size(self, name: str) -> int:
        return len(self.files[name])

    def read(self, name: str, *, offset: int, size: int) -> bytes:
        return bytes(self.files[name][offset : offset + size])

    def create(self, name: str, *, size: int) -> None:
        self.files[name] = bytearray(size)

    def write(self, name: str, *, offset: int, data: bytes) -> None:
        self.files[name][offset : offset + len(data)] = data

    def sync(self, name: str) -> None: ...

    def sync_directory(self) -> None: ...

    def truncate(self, name: str, *, size: int) -> None:
        del self.files[name][size:]

    def rename(self, name: str, new_name: str) -> None:
        self.files[new_name] = self.files.pop(name)

    def remove(self, name: str) -> None:
        del self.files[name]


class Costs:
    """Processor time by part."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def call(self, part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        began = time.process_time()
        result = function(*arguments)
        self.seconds[part] += time.process_time() - began  # type: ignore[assignment]  # seconds are no counts
        return result


class Process:
    """A node, its log and its checkpoint."""

    def __init__(self, number: int, costs: Costs) -> None:
        self.costs = costs
        disk = Memory()
        log = recover(disk, cluster=CLUSTER, node=NodeId(number))
        self.checkpoint = MemoryCheckpoint()
        self.node = Node(
            identity=Identity(CLUSTER, NodeId(number), f"n{number}", ""),
            log=log,
            checkpoints=dict.fromkeys((1,), self.checkpoint),  # type: ignore[misc]  # plain numbers
            founding=Configuration(MEMBERS),
            random=random.Random(number),
            options=NodeOptions(),
        )
        self.log = LogWriter(disk, log, random=random.Random(number), segment_size=SEGMENT_SIZE)
        self.number = number
        self.is_due = True
        self.wake_ms = 0

    @property
    def role(self) -> str:
        return self.node.status().groups[0].role

    def carry_out(self, effect: Any) -> None:
        match effect:
            case WriteLog(ticket, records):
                self.costs.call(f"log of {self.role}", self.log.append, records)
                self.node.written(ticket)
            case FlushCheckpoint(group, runs):
                self.costs.call(f"flush of {self.role}", self.checkpoint.write, runs)
                self.node.flushed(group)
            case ReadLog(group, first, last, size_max):
                entries = self.log.read(group, first_index=first, last_index=last, size_max=size_max)
                self.node.loaded(group, first, entries)
            case _:
                return
        self.is_due = True


class World:
    """Three nodes and a client that keeps `in_flight` commands under way."""

    def __init__(self, *, in_flight: int) -> None:
        self.costs = Costs()
        self.processes = {number: Process(number, self.costs) for number in (1, 2, 3)}
        self.dialogue = Dialogue(endpoints=["c1", "c2", "c3"], random=random.Random(3), options=DialogueOptions())
        self.in_flight = in_flight
        self.dice = random.Random(1)
        self.values = [self.dice.randbytes(128) for _ in range(64)]
        self.connections: dict[int, Process] = {}
        self.is_client_due = True
        self.client_wake_ms = NEVER_MS
        self.now_ms = 0
        self.done = 0

    def run(self, kind: str, count: int) -> None:
        """Carries out `count` commands."""
        self.done = sent = 0
        while self.done < count:
            free = min(self.in_flight - (sent - self.done), count - sent)
            if free:
                self.costs.call("client", self._submit, kind, free)
                sent, self.is_client_due = sent + free, True
            self._turn()

    def _submit(self, kind: str, count: int) -> None:
        for _ in range(count):
            number = int(self.dice.random() * KEYS)
            key = b"bench/%010d" % number
            command = Put(key, self.values[number & 63]) if kind == "put" else Range(key)
            self.dialogue.submit(command, 1, collection=DEFAULT_COLLECTION, timeout_ms=TIMEOUT_MS)

    def _turn(self) -> None:
        is_busy = self.is_client_due or self.client_wake_ms <= self.now_ms
        if is_busy:
            self.is_client_due, self.client_wake_ms = False, NEVER_MS
            for effect in self.costs.call("client", self.dialogue.step, self.now_ms):
                self._carry_out_client(effect)
        for process in self.processes.values():
            if process.is_due or process.wake_ms <= self.now_ms:
                process.is_due, is_busy = False, True
                for effect in self.costs.call(process.role, process.node.step, self.now_ms):
                    self._carry_out(process, effect)
        self.now_ms += not is_busy

    def _carry_out_client(self, effect: Any) -> None:
        match effect:
            case Connect(connection, address):
                process = self.connections[connection] = self.processes[int(address[1:])]
                process.node.client_connected(connection, "bench")
                self.dialogue.connected(connection, peer=f"n{process.number}")
                process.is_due = self.is_client_due = True
            case Send(connection, body):
                self.connections[connection].node.receive_client(connection, body)
                self.connections[connection].is_due = True
            case Complete(waiters, _):
                self.done += len(waiters)
            case ClientWakeAt(at_ms):
                self.client_wake_ms = at_ms

    def _carry_out(self, process: Process, effect: Any) -> None:
        match effect:
            case SendPeer(node, body):
                other = self.processes[node]
                self.costs.call(f"frames to {other.role}", other.node.receive_peer, NodeId(process.number), body)
                other.is_due = True
            case SendClient(connection, body):
                self.dialogue.received(connection, body)
                self.is_client_due = True
            case WakeAt(at_ms):
                process.wake_ms = at_ms
            case _:
                process.carry_out(effect)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("put", "get"))
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--count", type=int, default=100_000)
    chosen = parser.parse_args()
    gc.disable()  # as good as off in a node
    world = World(in_flight=chosen.in_flight)
    world.run("put", 2 * KEYS)
    world.costs.seconds.clear()
    began = time.process_time()
    world.run(chosen.kind, chosen.count)
    spent = time.process_time() - began
    lines = [f"{chosen.kind}, {chosen.in_flight:,} in flight: {spent / chosen.count * 1e6:.1f} µs each; of these"]
    lines += [f"  {part:20} {took / chosen.count * 1e6:6.2f}" for part, took in sorted(world.costs.seconds.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
