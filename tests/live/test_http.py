"""The pages for those who look after a node, served by a server that does not run."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from libelli.core.calls import GroupStatus, NodeStatus
from libelli.core.errors import ConfigurationError
from libelli.core.ids import NodeId
from libelli.live.addresses import Address
from libelli.live.http import HttpDoor
from libelli.live.metrics import Metrics
from libelli.live.server import Server

DEADLINE_S = 20


def server(*, leader: int = 2, is_stopping: bool = False, **statistics: float) -> Server:
    group = GroupStatus(1, "default", "follower", 3, NodeId(leader), 9, 8, 1, 9, 1, 7, 0, 4096, (), ())
    status = NodeStatus(0, NodeId(1), "n1", "here", "c" * 32, 7, "1.0", 99, (group,))
    return cast(
        "Server",
        SimpleNamespace(
            node=SimpleNamespace(status=lambda: status, statistics=lambda: statistics),
            peers=SimpleNamespace(streams={2: None}, dropped_frames=4),
            clients=SimpleNamespace(turned_away=5),
            storage=SimpleNamespace(writes_per_block=(30, 10), missing_room="no room"),
            certificates=SimpleNamespace(days_left=lambda: 10.0),
            leader_changes=6,
            is_stopping=is_stopping,
        ),
    )


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def page(made: Server, port: int, request: str) -> str:
    """Returns the whole answer to a request."""
    answers = []

    async def test() -> None:
        metrics = Metrics()
        metrics.watch(made, quota_bytes=8192)
        metrics.observe_sync(0.003)
        door = HttpDoor(made, metrics)
        await door.listen(Address("127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answers.append((await reader.read()).decode())
        writer.close()
        door.close()

    run(test)
    return answers[0]


def test_a_node_that_takes_turns_is_alive(port: int) -> None:
    answer = page(server(leader=0), port, "GET /livez HTTP/1.1")
    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith("ok\n")


@pytest.mark.parametrize(
    ("state", "why"),
    [({"leader": 0}, "collection default: no leader is known"), ({"is_stopping": True}, "this node is stopping")],
)
def test_a_node_that_cannot_serve_says_why(port: int, state: dict[str, Any], why: str) -> None:
    answer = page(server(**state), port, "GET /readyz HTTP/1.1")
    assert answer.startswith("HTTP/1.1 503 ")
    assert answer.endswith(f"{why}\n")
    assert page(server(), port, "GET /readyz HTTP/1.1").startswith("HTTP/1.1 200 ")


def test_nothing_can_be_changed_over_http(port: int) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert page(server(), port, f"{method} /livez HTTP/1.1").startswith("HTTP/1.1 405 ")
    assert page(server(), port, "GET /v1/keys HTTP/1.1").startswith("HTTP/1.1 404 ")
    assert page(server(), port, "nonsense").startswith("HTTP/1.1 400 ")


def test_metrics_have_the_names_that_alerts_ask_for(port: int) -> None:
    made = server(calls=11, refused=2, replicas_differing=1, watchers=3)
    lines = page(made, port, "GET /metrics HTTP/1.1").splitlines()
    wanted = {
        'has_leader{collection="default"}': 1, 'is_leader{collection="default"}': 0,
        'commit_index{collection="default"}': 9, 'applied_index{collection="default"}': 8,
        'store_size_bytes{collection="default"}': 4096, 'store_quota_bytes{collection="default"}': 8192,
        "leader_changes_total": 6, "refused_total": 2, "calls_total": 11, "replicas_differing": 1, "watchers": 3,
        "disk_full": 1, "peers_connected": 1, "log_blocks_total": 10, 'disk_sync_seconds_bucket{le="0.005"}': 1,
        'disk_sync_seconds_bucket{le="0.002"}': 0,
    }  # fmt: skip
    for name, value in wanted.items():
        assert f"libelli_{name} {float(value)}" in lines, name


def test_a_taken_port_is_told_with_a_way_out(port: int) -> None:
    async def test() -> None:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with pytest.raises(ConfigurationError, match=r"metrics: cannot listen on .*stop what uses it, or choose"):
                await HttpDoor(server(), Metrics()).listen(Address("127.0.0.1", port))

    run(test)
