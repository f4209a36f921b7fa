"""etcd under the benchmark's `Target` seam."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from libelli.lab.bench.etcd.calls import CallConnection
from libelli.lab.bench.etcd.cluster import Cluster
from libelli.lab.bench.etcd.messages import TXN, prefixed, txn_of_puts
from libelli.lab.bench.generator import run_generators
from libelli.lab.bench.load import Load, Measured
from libelli.lab.bench.target import BenchError
from libelli.lab.bench.workload import VALUES_COUNT, Workload

DRIVER = "libelli.lab.bench.etcd.driver:EtcdDriver"

CONNECTIONS = 2
"""Connections of one generator to the leader."""

TXN_BYTES_MAX = 12_000
"""Puts of one loading transaction, in bytes: one HTTP/2 frame holds them, with room for the wrapping."""

TXN_PUTS_MAX = 64
TXNS_IN_FLIGHT = 32

COMPACT_ABOVE_BYTES = 1 << 30
"""The database is compacted between cells when it is half as large as etcd's default quota (2 GiB)."""


class EtcdTarget:
    """Three members with default settings; generators talk to the leader.

    Args:
        program: name or path of the server.
    """

    name = "etcd"
    generators_max = 8

    def __init__(self, *, program: str = "etcd") -> None:
        self._program = program
        self._cluster: Cluster | None = None
        self.notes: Sequence[str] = ()

    @property
    def cluster(self) -> Cluster:
        """The running cluster.

        Raises:
            BenchError: not started.
        """
        if self._cluster is None:
            raise BenchError("etcd is not started")
        return self._cluster

    async def start(self, directory: Path) -> None:
        program = self._found()
        version = await _version_of(program)
        self.notes = (
            f"etcd {version}, three members, default settings, fsync on; plain HTTP/2 to the leader, "
            f"{CONNECTIONS} connections a generator; gets are linearizable",
        )
        self._cluster = Cluster(program, directory)
        try:
            await self._cluster.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._cluster is not None:
            await self._cluster.stop()

    async def load(self, workload: Workload) -> None:
        loader = Loader(workload)
        connection = await CallConnection.connect(
            host="127.0.0.1", port=await self.cluster.leader_port(), path=TXN, on_answer=loader.on_answer
        )
        try:
            await loader.run(connection)
        finally:
            connection.close()

    async def measure(self, load: Load, *, generators: int = 1) -> Measured:
        cluster = self.cluster
        cluster.check_running()
        leader = await cluster.leader_port()
        if (await cluster.status(leader)).database_bytes > COMPACT_ABOVE_BYTES:
            await cluster.compact()
        measured = await run_generators(
            DRIVER,
            settings={"ports": [leader], "connections": CONNECTIONS},
            load=load,
            generators=generators,
            servers=list(self.pids()),
        )
        cluster.check_running()
        return measured

    async def revision(self) -> int:
        return await self.cluster.revision()

    async def restart_one(self) -> float:
        return await self.cluster.restart_follower()

    def pids(self) -> Sequence[int]:
        return [server.pid for server in self.cluster.servers]

    def _found(self) -> Path:
        found = shutil.which(self._program)
        if found is None:
            raise BenchError(
                f"no program {self._program!r} in PATH: `make bench` fetches Debian's etcd-server; "
                "or give a path with --etcd, or leave etcd out of --targets"
            )
        return Path(found)


async def _version_of(program: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        str(program), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    return output.decode(errors="replace").partition("\n")[0].rpartition(" ")[2]


class Loader:
    """Writes every key once, in transactions of many puts, some of them under way at a time."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._values = workload.values()
        each_bytes = len(txn_of_puts([(workload.key(0), self._values[0])]))
        self._step = max(1, min(TXN_PUTS_MAX, TXN_BYTES_MAX // each_bytes))
        self._room = asyncio.Semaphore(TXNS_IN_FLIGHT)
        self._failure: str | None = None

    def on_answer(self, token: int, size_bytes: int, failure: str | None) -> None:
        """Hears of the end of one transaction."""
        self._failure = self._failure or failure
        self._room.release()

    async def run(self, connection: CallConnection) -> None:
        """Loads all keys.

        Raises:
            BenchError: a transaction failed.
        """
        for first in range(0, self._workload.key_count, self._step):
            await self._room.acquire()
            self._check()
            behind = min(first + self._step, self._workload.key_count)
            connection.call(prefixed(self._puts(first, behind)), first)
        for _ in range(TXNS_IN_FLIGHT):
            await self._room.acquire()
        self._check()

    def _puts(self, first: int, behind: int) -> bytes:
        key_of, values = self._workload.key, self._values
        return txn_of_puts((key_of(index), values[index % VALUES_COUNT]) for index in range(first, behind))

    def _check(self) -> None:
        if self._failure is not None:
            raise BenchError(f"loading etcd failed: {self._failure}")
