"""What a put costs the client: python -m tests.client.measure_client [--loop asyncio|uvloop] [--seconds 3]

The node is in the same process and does next to nothing: it counts the commands of a frame and answers with
bytes that were made before. Its share and that of the sockets is measured too, so the figure is an upper bound.
Times are of the processor, so that what else the machine does matters less.
"""

import argparse
import asyncio
import sys
import threading
import time
from random import Random
from typing import Any

import uvloop

from libelli.client import AsyncClient, Client
from libelli.client.dialogue import Dialogue
from libelli.client.effects import Complete, Connect, Send
from libelli.core.calls import (
    Collection,
    Done,
    OpenSession,
    SessionOpened,
    Welcome,
    Write,
    calls_decoder,
)
from libelli.core.codec import FrameReader, encode, frame
from libelli.core.ids import DEFAULT_COLLECTION, NodeId, SessionId
from libelli.core.limits import MIB
from libelli.core.members import Member
from libelli.stores.mvcc.commands import Put, PutDone

VALUE = b"v" * 100


def count_of(commands: bytes) -> int:
    """The length of an encoded list, from its first bytes."""
    head = commands[0]
    return head & 15 if head < 0xA0 else int.from_bytes(commands[1:3], "big")


class QuickNode:
    """Answers writes with bytes that were made before."""

    def __init__(self, address: str) -> None:
        members = (Member(NodeId(1), "n1", client_address=address),)
        collections = (Collection(DEFAULT_COLLECTION, "strong", NodeId(1)),)
        self.welcome = encode(Welcome("c" * 32, NodeId(1), 1, members, collections))
        self.answers = [encode([PutDone(1_000_000)] * count) for count in range(4097)]
        self.frames = 0

    def take(self, body: bytes) -> bytes:
        replies: list[Any] = []
        for call in calls_decoder.decode(body):
            match call:
                case Write():
                    self.frames += 1
                    replies.append(Done(call.call, self.answers[count_of(call.commands)]))
                case OpenSession(number):
                    replies.append(SessionOpened(number, SessionId(5)))
        return encode(replies)


class QuickServer(asyncio.Protocol):
    def __init__(self, node: QuickNode) -> None:
        self.node = node
        self.reader = FrameReader(size_max=16 * MIB)
        self.greeted = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for body in self.reader.feed(data):
            answer = self.node.take(body) if self.greeted else self.node.welcome
            self.greeted = True
            self.transport.write(frame(answer))


def measure_dialogue(in_flight: int, seconds: float) -> tuple[float, int]:
    """Puts a processor second of the dialogue alone: submit, step, answer, step."""
    node = QuickNode("h:1")
    dialogue = Dialogue(endpoints=["h:1"], random=Random(1))
    keys = [b"key-%06d" % number for number in range(1000)]
    waiting, done, greeted = 0, 0, False
    began = time.process_time()
    while time.process_time() - began < seconds:
        for number in range(in_flight - waiting):
            dialogue.submit(Put(keys[number % 1000], VALUE), number, collection=DEFAULT_COLLECTION, timeout_ms=10_000)
        waiting = in_flight
        for effect in dialogue.step(int(time.monotonic() * 1000)):
            match effect:
                case Complete(waiters):
                    waiting -= len(waiters)
                    done += len(waiters)
                case Send(connection, body):
                    dialogue.received(connection, node.take(body) if greeted else node.welcome)
                    greeted = True
                case Connect(connection):
                    dialogue.connected(connection)
    return done / (time.process_time() - began), node.frames


async def measure_client(in_flight: int, seconds: float, *, style: str) -> tuple[float, int]:
    """Puts a processor second of the whole client over loopback, the node's share included."""
    loop = asyncio.get_running_loop()
    node = QuickNode("")
    server = await loop.create_server(lambda: QuickServer(node), "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    done, ends = 0, time.process_time() + seconds

    async def work(client: AsyncClient) -> None:
        nonlocal done
        while time.process_time() < ends:
            for number in range(16):
                await client.put(b"key-%06d" % number, VALUE)
            done += 16

    async with AsyncClient(endpoints=[address], certificates=None) as client:
        await client.put("a", "b")
        began = time.process_time()
        if style == "tasks":
            await asyncio.gather(*(work(client) for _ in range(in_flight)))
        else:
            async with client.pipeline(in_flight=in_flight) as pipeline:
                while time.process_time() < ends:
                    for number in range(16):
                        await pipeline.put(b"key-%06d" % number, VALUE)
                    done += 16
        elapsed = time.process_time() - began
    server.close()
    return done / elapsed, node.frames


def measure_threads(in_flight: int, seconds: float) -> tuple[float, int]:
    """Puts a processor second of the blocking client's pipeline, its two threads and the node's share included."""
    node, loop = QuickNode(""), asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: QuickServer(node), "127.0.0.1", 0))
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    done = 0
    with Client(endpoints=[address], certificates=None) as client:
        client.put("a", "b")
        began = time.process_time()
        with client.pipeline(in_flight=in_flight) as pipeline:
            while time.process_time() < began + seconds:
                for number in range(16):
                    pipeline.put(b"key-%06d" % number, VALUE)
                done += 16
        elapsed = time.process_time() - began
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    return done / elapsed, node.frames


def say(name: str, in_flight: int, measured: tuple[float, int]) -> None:
    rate, frames = measured
    each_us = 1e6 / rate
    sys.stdout.write(f"{name:>14}, {in_flight:>5} in flight: {rate:>9,.0f} puts, {each_us:5.2f} µs, {frames} frames\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    run = uvloop.run if arguments.loop == "uvloop" else asyncio.run
    for in_flight in (256, 2048):
        say("dialogue alone", in_flight, measure_dialogue(in_flight, arguments.seconds))
        for style in ("tasks", "pipeline"):
            say(style, in_flight, run(measure_client(in_flight, arguments.seconds, style=style)))
        say("threads", in_flight, measure_threads(in_flight, arguments.seconds))


if __name__ == "__main__":
    main()
