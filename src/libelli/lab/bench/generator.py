"""A generator process: drives one store for one cell, and says what happened.

::

    python -m libelli.lab.bench.generator  <  one line: Order (JSON)  >  one line: Measured (JSON)

Several generators of one cell agree on the time through the monotonic clock, which all processes share.
"""

import asyncio
import gc
import sys
import time
from typing import Any

import msgspec
import uvloop

from libelli.lab.bench.driver import driver_class
from libelli.lab.bench.load import Closed, Load, Measured, combined
from libelli.lab.bench.loops import ClosedLoop, OpenLoop, Window
from libelli.lab.bench.processes import cpu_seconds
from libelli.lab.bench.target import BenchError

LEAD_SECONDS = 1.0
"""From the start of a generator process to its first command: time to import and to connect."""

DRAIN_POLL_SECONDS = 0.005


class Order(msgspec.Struct, frozen=True):
    """What a generator process is told.

    Args:
        driver: ``package.module:Name`` of the driver.
        settings: what the driver needs to know, as plain JSON: addresses, certificates.
        number: which generator of the cell this is; each draws other keys.
        begin_ns: when the first command starts, on the monotonic clock.
    """

    driver: str
    settings: dict[str, Any]
    load: Load
    number: int
    begin_ns: int


async def generate(order: Order) -> Measured:
    """Carries out an order on the running event loop."""
    load, clock, loop = order.load, time.monotonic_ns, asyncio.get_running_loop()
    window = Window.of(load, order.begin_ns)
    pick = load.workload.picker(order.number)
    driver = driver_class(order.driver)(operation=load.operation, workload=load.workload, settings=order.settings)
    tally: ClosedLoop | OpenLoop
    if isinstance(load.pace, Closed):
        tally = closed = ClosedLoop(
            load.pace,
            window=window,
            clock=clock,
            submit=driver.submit,
            pick=pick,
            wake=lambda: _call_soon(loop, closed),
        )
    else:
        tally = OpenLoop(load.pace, window=window, clock=clock, submit=driver.submit, pick=pick)
    await driver.open(tally)
    try:
        await _sleep_until(window.begin_ns)
        return await _run(tally, load)
    finally:
        await driver.close()


def _call_soon(loop: asyncio.AbstractEventLoop, tally: ClosedLoop) -> None:
    loop.call_soon(tally.turn)


async def _run(tally: ClosedLoop | OpenLoop, load: Load) -> Measured:
    sampler = asyncio.create_task(_own_cpu_seconds(tally.window))
    while tally.clock() < tally.window.until_ns:
        tally.turn()
        await _sleep_until(min(tally.next_ns, tally.window.until_ns))
    deadline_ns = tally.window.until_ns + round(load.drain_seconds * 1e9)
    while tally.outstanding and tally.clock() < deadline_ns:  # noqa: ASYNC110 - a driver has no event for "all answered"
        await asyncio.sleep(DRAIN_POLL_SECONDS)
    measured = tally.measured()
    measured.generator_cpu_seconds = await sampler
    return measured


async def _own_cpu_seconds(window: Window) -> float:
    await _sleep_until(window.from_ns)
    before = time.process_time()
    await _sleep_until(window.until_ns)
    return time.process_time() - before


async def _sleep_until(when_ns: int) -> None:
    await asyncio.sleep(max(0.0, (when_ns - time.monotonic_ns()) / 1e9))


async def run_generators(
    driver: str,
    *,
    settings: dict[str, Any],
    load: Load,
    generators: int,
    servers: list[int],
) -> Measured:
    """Runs one cell in `generators` processes beside the servers, whose processor time is taken as well.

    Args:
        driver: ``package.module:Name`` of the driver.
        settings: handed to the driver, as JSON.
        servers: process ids of the servers.

    Raises:
        BenchError: a generator died; its last words are in the message.
    """
    begin_ns = time.monotonic_ns() + round(LEAD_SECONDS * 1e9)
    orders = [
        Order(driver, settings, msgspec.structs.replace(load, pace=pace), number, begin_ns)
        for number, pace in enumerate(load.pace.split(generators))
    ]
    window = Window.of(load, begin_ns)
    sampler = asyncio.create_task(servers_cpu_seconds(servers, window))
    try:
        parts = await asyncio.gather(*(_run_process(order) for order in orders))
        measured = combined(parts)
        measured.servers_cpu_seconds = await sampler
    finally:
        sampler.cancel()
    return measured


async def servers_cpu_seconds(pids: list[int], window: Window) -> float:
    """Returns the processor time that `pids` use from the start of counting to its end."""
    await _sleep_until(window.from_ns)
    before = cpu_seconds(pids)
    await _sleep_until(window.until_ns)
    return cpu_seconds(pids) - before


async def _run_process(order: Order) -> Measured:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "libelli.lab.bench.generator",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        answer, complaint = await process.communicate(msgspec.json.encode(order))
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        words = complaint.decode(errors="replace").strip()[-1500:]
        raise BenchError(f"a generator for {order.driver} ended with {process.returncode}: {words}")
    return msgspec.json.decode(answer, type=Measured)


def main() -> None:
    """Reads an order from standard input, and writes what was measured to standard output."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    # Nothing here makes reference cycles that matter in a few seconds; a collection would be a pause.
    gc.freeze()
    gc.disable()
    measured = uvloop.run(generate(order))
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
