"""PySyncObj under the benchmark's `Target` seam."""

import asyncio
import importlib.metadata
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from libelli.lab.bench.generator import LEAD_SECONDS, servers_cpu_seconds
from libelli.lab.bench.load import Load, Measured
from libelli.lab.bench.loops import Window
from libelli.lab.bench.processes import Server, free_ports
from libelli.lab.bench.syncobj.member import Ask, CellAsk, LoadAsk, Settings, Status, StatusAsk
from libelli.lab.bench.target import BenchError
from libelli.lab.bench.workload import Workload

MEMBERS_COUNT = 3
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
ANSWER_SECONDS = 900.0
"""Longest of all asks: loading two million keys."""

APPEND_SECONDS = 0.005
"""The default of 0.1 s lets 64 commands in flight through only ten times a second."""


Answer = TypeVar("Answer")


class SyncObjTarget:
    """Three processes with a journal each; the one that leads makes its own commands."""

    name = "pysyncobj"
    generators_max = 1

    def __init__(self, *, append_seconds: float = APPEND_SECONDS, batch: bool = True) -> None:
        version = importlib.metadata.version("pysyncobj")
        self.notes: Sequence[str] = (
            f"PySyncObj {version}, three processes with journal, which it never syncs: a power cut loses writes",
            f"PySyncObj's leader makes its own commands (no client, no network); "
            f"appendEntriesPeriod {append_seconds} s, batches {'on' if batch else 'off'}",
            "PySyncObj's gets go through its log, its only linearizable read; its generator is a server",
        )
        self._append_seconds = append_seconds
        self._batch = batch
        self._members: list[Server] = []

    async def start(self, directory: Path) -> None:
        ports = free_ports(MEMBERS_COUNT)
        try:
            for number, port in enumerate(ports):
                await self._start_member(directory / f"m{number}", port, ports)
            await self._leader()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await asyncio.gather(*(member.stop() for member in self._members))

    async def load(self, workload: Workload) -> None:
        await self._ask(await self._leader(), LoadAsk(workload), answer=Status)

    async def measure(self, load: Load, *, generators: int = 1) -> Measured:
        if generators != 1:
            raise BenchError(f"PySyncObj makes its own commands; it cannot have {generators} generators")
        leader = await self._leader()
        begin_ns = time.monotonic_ns() + round(LEAD_SECONDS * 1e9)
        sampler = asyncio.create_task(servers_cpu_seconds(list(self.pids()), Window.of(load, begin_ns)))
        try:
            measured = await self._ask(leader, CellAsk(load, begin_ns), answer=Measured)
            measured.servers_cpu_seconds = await sampler
        finally:
            sampler.cancel()
        measured.generator_cpu_seconds = 0.0  # the leader's, which is among the servers
        return measured

    async def revision(self) -> int:
        return (await self._ask(await self._leader(), StatusAsk(), answer=Status)).applied

    async def restart_one(self) -> float:
        return math.nan

    def pids(self) -> Sequence[int]:
        return [member.pid for member in self._members]

    async def _start_member(self, directory: Path, port: int, ports: list[int]) -> None:
        await asyncio.to_thread(directory.mkdir, parents=True)
        settings = Settings(
            port=port,
            partners=[other for other in ports if other != port],
            directory=str(directory),
            append_seconds=self._append_seconds,
            batch=self._batch,
        )
        words = msgspec.json.encode(settings).decode()
        command = [sys.executable, "-m", "libelli.lab.bench.syncobj.member", words]
        member = Server(command, log=directory.with_suffix(".log"))
        self._members.append(member)
        await member.start(pipes=True)

    async def _leader(self) -> Server:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        while loop.time() < deadline:
            for member in self._members:
                if (await self._ask(member, StatusAsk(), answer=Status)).leads:
                    return member
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"PySyncObj had no leader for {READY_SECONDS:.0f} s: {self._words()}")

    async def _ask(self, member: Server, ask: Ask, *, answer: type[Answer]) -> Answer:
        process = member.process
        if process is None or process.stdin is None or process.stdout is None:
            raise BenchError("PySyncObj is not started")
        process.stdin.write(msgspec.json.encode(ask) + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await process.stdout.readline()
        if not line:
            raise BenchError(f"a PySyncObj member ended: {self._words()}")
        return msgspec.json.decode(line, type=answer)

    def _words(self) -> str:
        return "; ".join(f"{member.log}: …{member.last_words(400)!r}" for member in self._members)
