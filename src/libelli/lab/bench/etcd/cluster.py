"""Three etcd members on loopback with default settings, and the little of their JSON gateway that we ask."""

import asyncio
import base64
import http.client
import json
from pathlib import Path
from typing import Any

import msgspec

from libelli.lab.bench.processes import Server, free_ports
from libelli.lab.bench.target import BenchError

MEMBERS_COUNT = 3
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
ANSWER_SECONDS = 60.0


class Status(msgspec.Struct, frozen=True):
    """What a member says of itself.

    Args:
        leads: whether it is the leader.
        database_bytes: size of its database file.
    """

    leads: bool
    database_bytes: int


class Cluster:
    """Starts, asks and stops three members.

    Args:
        program: the etcd server.
        directory: their data and logs go there.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        self._directory = directory
        ports = free_ports(2 * MEMBERS_COUNT)
        self.ports, peers = ports[:MEMBERS_COUNT], ports[MEMBERS_COUNT:]
        everyone = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(peers))
        self.servers = [
            Server(
                [
                    str(program),
                    f"--name=m{n}",
                    f"--data-dir={directory / f'm{n}'}",
                    f"--listen-client-urls=http://127.0.0.1:{self.ports[n]}",
                    f"--advertise-client-urls=http://127.0.0.1:{self.ports[n]}",
                    f"--listen-peer-urls=http://127.0.0.1:{peers[n]}",
                    f"--initial-advertise-peer-urls=http://127.0.0.1:{peers[n]}",
                    f"--initial-cluster={everyone}",
                    "--initial-cluster-state=new",
                ],
                log=directory / f"m{n}.log",
            )
            for n in range(MEMBERS_COUNT)
        ]

    async def start(self) -> None:
        """Starts all members, and returns when each is healthy.

        Raises:
            BenchError: one ended, or they were not healthy in time.
        """
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        for server in self.servers:
            await server.start()
        for port in self.ports:
            await self._until_healthy(port)

    async def restart_follower(self) -> float:
        """Stops a member that does not lead and starts it again.

        Returns:
            Seconds until it is healthy.
        """
        leader = await self.leader_port()
        number = next(number for number, port in enumerate(self.ports) if port != leader)
        await self.servers[number].stop()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await self.servers[number].start()
        await self._until_healthy(self.ports[number])
        return loop.time() - begin

    async def _until_healthy(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        while not await self._healthy(port):
            self.check_running()
            if loop.time() > deadline:
                raise BenchError(f"etcd was not healthy within {READY_SECONDS:.0f} s: {self._words()}")
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stops all members."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    def check_running(self) -> None:
        """Raises a BenchError with its last words if a member has ended."""
        if not all(server.running for server in self.servers):
            raise BenchError(f"an etcd member ended: {self._words()}")

    async def leader_port(self) -> int:
        """Returns the client port of the leader.

        Raises:
            BenchError: there was none for a while.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        while loop.time() < deadline:
            for port in self.ports:
                if (await self.status(port)).leads:
                    return port
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"etcd had no leader for {READY_SECONDS:.0f} s: {self._words()}")

    async def status(self, port: int) -> Status:
        """Returns what the member at `port` says of itself."""
        answer = await self.ask(port, "/v3/maintenance/status", {})
        return Status(
            leads=answer.get("leader") == answer["header"]["member_id"],
            database_bytes=int(answer.get("dbSize", 0)),
        )

    async def revision(self) -> int:
        """Returns the store's revision, read linearizably."""
        key = base64.b64encode(b"bench").decode()
        answer = await self.ask(self.ports[0], "/v3/kv/range", {"key": key, "count_only": True})
        return int(answer["header"]["revision"])

    async def compact(self) -> None:
        """Drops all old versions of keys, and waits until their pages are free again."""
        revision = str(await self.revision())
        await self.ask(self.ports[0], "/v3/kv/compaction", {"revision": revision, "physical": True})

    async def ask(self, port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Posts JSON to a member's gateway, and returns what it answers.

        Raises:
            BenchError: it refused, or did not answer.
        """
        try:
            status, text = await asyncio.to_thread(_post, port, path, json.dumps(body))
        except OSError as error:
            raise BenchError(f"etcd on port {port} does not answer {path}: {error}; {self._words()}") from error
        if status != http.client.OK:
            raise BenchError(f"etcd refused {path} with HTTP {status}: {text[:500]}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def _healthy(self, port: int) -> bool:
        try:
            _, text = await asyncio.to_thread(_post, port, "/health", None)
        except OSError:
            return False
        return '"true"' in text

    def _words(self) -> str:
        return "; ".join(f"{server.log}: …{server.last_words(400)!r}" for server in self.servers)


def _post(port: int, path: str, body: str | None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
