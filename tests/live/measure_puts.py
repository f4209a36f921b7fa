"""Measures puts per second of real nodes: `python -m tests.live.measure_puts --nodes 3 --frame 256 --window 8`.

One process drives pipelined raw sessions on the leader; frames are encoded beforehand, so that the generator costs
little of the machine that it shares with the nodes. With --profile it prints where the
leader and a follower spent their time.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import uvloop

from libelli.core.calls import ClientHello, Done, OpenSession, SessionOpened, Write, replies_decoder
from libelli.core.codec import FrameReader, encode, frame
from libelli.core.ids import DEFAULT_COLLECTION, Sequence
from libelli.live.addresses import parse_address
from libelli.live.certificates import CertificatePaths, client_context
from libelli.stores.mvcc.commands import Put
from tests.live.cluster import Cluster, NodeProcess

VALUE = bytes(128)
PREPARED = 64


class Load(asyncio.Protocol):
    """One session that keeps `window` frames of `size` puts under way until `count` are answered."""

    def __init__(self, *, number: int, size: int, window: int, count: int, keys: int) -> None:
        self.commands = [
            encode([Put(b"%02d/%012d" % (number, (f * size + k) * 7919 % keys), VALUE) for k in range(size)])
            for f in range(PREPARED)
        ]
        self.window, self.count = window, count
        self.sent = self.answered = 0
        self.began: dict[int, float] = {}
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader = FrameReader(size_max=64 << 20)
        self.welcomed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.write(encode(ClientHello()))

    def write(self, body: bytes) -> None:
        self.transport.write(frame(body))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        for body in self.reader.feed(data):
            if not self.welcomed:
                self.welcomed = True
                self.write(encode([OpenSession(0, DEFAULT_COLLECTION)]))
                continue
            for reply in replies_decoder.decode(body):
                self.take(reply)
        if self.opened.done() and self.began is not None and self.answered:
            self.fill()

    def take(self, reply: object) -> None:
        match reply:
            case SessionOpened(_, session):
                self.session = session
                self.opened.set_result(None)
            case Done(call, _):
                self.latencies.append(time.perf_counter() - self.began.pop(call))
                self.answered += 1
                if self.answered == self.count:
                    self.done.set_result(None)
            case _:
                raise AssertionError(reply)

    def fill(self) -> None:
        calls = []
        while self.sent - self.answered < self.window and self.sent < self.count:
            self.sent += 1
            self.began[self.sent] = time.perf_counter()
            commands = self.commands[self.sent % PREPARED]
            of = Sequence(self.sent)
            calls.append(Write(self.sent, DEFAULT_COLLECTION, self.session, of, self.answered, commands))
        if calls:
            self.write(encode(calls))


def cpu_seconds(node: NodeProcess) -> float:
    """Returns what a node's process has used of the processors."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _same(load: Load) -> Load:
    return load


async def drive(address: str, bundle: Path | None, arguments: argparse.Namespace) -> tuple[float, list[float]]:
    target = parse_address(address)
    context = client_context(CertificatePaths.of(bundle)) if bundle is not None else None
    name = None if context is None else target.host
    loop = asyncio.get_running_loop()
    frames = max(1, arguments.puts // arguments.frame // arguments.sessions)
    loads = []
    for number in range(arguments.sessions):
        load = Load(number=number, size=arguments.frame, window=arguments.window, count=frames, keys=arguments.keys)
        make = partial(_same, load)
        await loop.create_connection(make, target.host, target.port, ssl=context, server_hostname=name)
        loads.append(load)
    await asyncio.gather(*(load.opened for load in loads))
    began = time.perf_counter()
    for load in loads:
        load.fill()
    async with asyncio.timeout(arguments.timeout):
        await asyncio.gather(*(load.done for load in loads))
    seconds = time.perf_counter() - began
    return frames * arguments.sessions * arguments.frame / seconds, sorted(x for each in loads for x in each.latencies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {
        "nodes": 3,
        "frame": 256,
        "window": 8,
        "sessions": 1,
        "puts": 200_000,
        "keys": 1 << 40,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--timing", default="lan")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = {"log_level": "warning", "segment_bytes": 64 << 20, "timing": arguments.timing}
        with Cluster(Path(folder), arguments.nodes, options=options) as cluster:
            if arguments.plain:
                for node in cluster.nodes.values():
                    cluster.configure(node, certificates=None, plain=True)
                cluster.client_bundle = None
            measure(cluster, arguments)


def measure(cluster: Cluster, arguments: argparse.Namespace) -> None:
    if arguments.profile:
        for node in cluster.nodes.values():
            node.environment["LIBELLI_TEST_PROFILE"] = str(node.folder / "profile")
    cluster.found()
    leader = cluster.wait_leader()
    before = {number: cpu_seconds(node) for number, node in cluster.nodes.items()}
    own = time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rate, latencies = runner.run(drive(cluster.nodes[leader].client, cluster.client_bundle, arguments))
    for node in cluster.nodes.values():
        sys.stdout.write("".join(f"{node.name}: {line}\n" for line in node.output().splitlines()[:20]))
    own = time.process_time() - own
    puts = len(latencies) * arguments.frame
    spent = [
        f"{node.name}{'*' if number == leader else ''} {(cpu_seconds(node) - before[number]) / puts * 1e6:.1f}"
        for number, node in cluster.nodes.items()
    ]
    sys.stdout.write(f"processor time a put, in µs: {', '.join(spent)}, generator {own / puts * 1e6:.1f}\n")
    p50, p99 = (latencies[len(latencies) * q // 100] * 1000 for q in (50, 99))
    out = sys.stdout
    out.write(
        f"{arguments.nodes} nodes, {arguments.sessions} sessions x {arguments.window} frames x {arguments.frame} puts:"
        f" {rate:,.0f} puts/s, a frame p50 {p50:.1f} ms, p99 {p99:.1f} ms\n"
    )
    if arguments.profile:
        for node in cluster.nodes.values():
            node.stop()
        for number in (leader, leader % arguments.nodes + 1):
            out.write(f"node {number}{' (leader)' if number == leader else ''}\n")
            out.write((cluster.nodes[number].folder / "profile").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
