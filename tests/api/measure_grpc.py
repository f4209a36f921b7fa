"""What a put through the gRPC door costs: python -m tests.api.measure_grpc [--seconds 2]

Client, door and node share one process here, and times are of the processor: a figure is what one core gives to
all three together.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator

import uvloop
from grpc import aio

import libelli.api.grpc.libelli_pb2 as pb
from libelli.api.grpc import serve_grpc
from libelli.api.grpc.libelli_pb2_grpc import StrongStub
from tests.client.alone import Alone

VALUE = b"v" * 100


async def unary(stub: StrongStub, *, in_flight: int, ends: float) -> int:
    done = 0

    async def work() -> None:
        nonlocal done
        while time.process_time() < ends:
            await stub.Put(pb.PutRequest(put=pb.Put(key=b"key-%06d" % (done % 1000), value=VALUE)))
            done += 1

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return done


async def streamed(stub: StrongStub, *, batch: int, in_flight: int, ends: float) -> int:
    room = asyncio.Semaphore(max(1, in_flight // batch))
    done = 0

    async def batches() -> AsyncIterator[pb.Batch]:
        while time.process_time() < ends:
            await room.acquire()
            commands = [pb.Command(put=pb.Put(key=b"key-%06d" % number, value=VALUE)) for number in range(batch)]
            yield pb.Batch(commands=commands)

    async for answered in stub.Exchange(batches()):
        done += len(answered.answers)
        room.release()
    return done


async def measure(seconds: float) -> None:
    async with Alone() as alone:
        door = await serve_grpc("127.0.0.1:0", endpoints=[alone.endpoint], certificates=None)
        async with aio.insecure_channel(f"127.0.0.1:{door.port}") as channel:
            stub = StrongStub(channel)
            for name, batch in (("one put a call", 0), ("batches of 10", 10), ("batches of 100", 100)):
                began = time.process_time()
                ends = began + seconds
                if batch:
                    done = await streamed(stub, batch=batch, in_flight=1000, ends=ends)
                else:
                    done = await unary(stub, in_flight=64, ends=ends)
                rate = done / (time.process_time() - began)
                sys.stdout.write(f"{name:>16}: {rate:>9,.0f} puts a processor second, {1e6 / rate:.1f} µs\n")
        await door.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    uvloop.run(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
