"""Libelli under the benchmark's `Target` seam."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from libelli import __version__
from libelli.client import AsyncClient
from libelli.core.calls import NodeStatus
from libelli.core.errors import LibelliError
from libelli.lab.bench.generator import run_generators
from libelli.lab.bench.load import Load, Measured
from libelli.lab.bench.target import BenchError
from libelli.lab.bench.workload import VALUES_COUNT, Workload
from libelli.live.cluster_file import ClusterFile, Place
from libelli.live.founding import Wish, ensure_cluster
from libelli.live.replica_files import log_path
from libelli.live.up import Replicas, tail_of

DRIVER = "libelli.lab.bench.libelli.driver:LibelliDriver"
PORT_FIRST = 17_400
READY_SECONDS = 60.0
POLL_SECONDS = 0.05


class LibelliTarget:
    """Three replicas as `libelli up` makes them: mutual TLS, default settings, each write synced on a majority."""

    name = "libelli"
    generators_max = 8

    def __init__(self) -> None:
        self.notes: Sequence[str] = (
            f"Libelli {__version__}, three replicas as `libelli up` makes them, mutual TLS, fdatasync on;"
            " one AsyncClient a generator; gets are linearizable",
        )
        self._folder = Path()
        self._content: ClusterFile | None = None
        self._replicas: Replicas | None = None
        self._pids: Sequence[int] = ()

    async def start(self, directory: Path) -> None:
        self._folder = directory
        await asyncio.to_thread(self._folder.mkdir, parents=True)
        _, self._content, _ = ensure_cluster(self._folder, Wish(port=PORT_FIRST))
        self._replicas = Replicas(self._folder, self._content)
        self._pids = [change.process for change in self._replicas.start() if change.process]
        try:
            await self.revision()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._replicas is not None:
            await asyncio.to_thread(self._replicas.stop)

    async def load(self, workload: Workload) -> None:
        values = workload.values()
        async with self._client() as client, client.pipeline() as pipeline:
            for index in range(workload.key_count):
                await pipeline.put(workload.key(index), values[index % VALUES_COUNT])

    async def measure(self, load: Load, *, generators: int = 1) -> Measured:
        return await run_generators(
            DRIVER,
            settings={"endpoints": self._endpoints(), "bundle": self._bundle()},
            load=load,
            generators=generators,
            servers=list(self.pids()),
        )

    async def revision(self) -> int:
        try:
            async with self._client() as client:
                return (await client.transact(timeout_ms=round(READY_SECONDS * 1000))).revision
        except LibelliError as error:
            raise BenchError(f"Libelli does not answer: {error}; {self._words()}") from error

    async def restart_one(self) -> float:
        async with self._client() as client:
            leader = next(node for node, status in (await self._statuses(client)).items() if _leads(status))
            place = next(place for place in self._cluster().members if place.node != leader)
            replicas = Replicas(self._folder, self._alone(place))
            applied = await self._stopped(client, place, replicas)
            begin = time.monotonic()
            replicas.start()
            while not await self._caught_up(client, place, applied):
                if time.monotonic() - begin > READY_SECONDS:
                    raise BenchError(f"{place.name} did not catch up in {READY_SECONDS:.0f} s: {self._words()}")
                await asyncio.sleep(POLL_SECONDS)
            return time.monotonic() - begin

    def pids(self) -> Sequence[int]:
        return self._pids

    async def _stopped(self, client: AsyncClient, place: Place, replicas: Replicas) -> int:
        """Stops a replica; returns how far it had applied."""
        status = (await self._statuses(client))[place.node]
        await asyncio.to_thread(replicas.stop)
        return status.groups[0].applied

    async def _caught_up(self, client: AsyncClient, place: Place, applied: int) -> bool:
        status = (await self._statuses(client)).get(place.node)
        return status is not None and status.groups[0].applied >= applied

    async def _statuses(self, client: AsyncClient) -> dict[int, NodeStatus]:
        found: dict[int, NodeStatus] = {}
        for member, status in await client.statuses(timeout_ms=1_000):
            if isinstance(status, NodeStatus):
                found[member.node] = status
        return found

    def _alone(self, place: Place) -> ClusterFile:
        content = self._cluster()
        return ClusterFile(version=content.version, cluster=content.cluster, bundle=content.bundle, members=(place,))

    def _cluster(self) -> ClusterFile:
        if self._content is None:
            raise BenchError("Libelli is not started")
        return self._content

    def _client(self) -> AsyncClient:
        return AsyncClient(endpoints=self._endpoints(), certificates=self._bundle())

    def _endpoints(self) -> list[str]:
        return [place.client for place in self._cluster().members]

    def _bundle(self) -> str:
        return str(self._folder / self._cluster().bundle)

    def _words(self) -> str:
        lines = [line for place in self._cluster().members for line in tail_of(log_path(self._folder, place), lines=3)]
        return " | ".join(lines)


def _leads(status: NodeStatus) -> bool:
    return status.groups[0].role == "leader"
