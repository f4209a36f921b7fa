"""The small HTTP door for those who look after a node: is it alive, is it ready, how is it.

::

    /livez     200: the process takes turns; anything else: start it again
    /readyz    200: it knows a leader and takes calls; 503 and the reasons: send no clients here now
    /metrics   for Prometheus

It tells names, addresses and numbers, never keys or values, and changes nothing. So it has no TLS; by default it
listens on loopback, and whoever configures another address decides who may see these numbers. All else that a
node listens on is TLS with certificates on both sides.
"""

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from libelli.core.errors import ConfigurationError
from libelli.core.ids import NO_NODE
from libelli.live.addresses import Address

if TYPE_CHECKING:
    from libelli.live.metrics import Metrics
    from libelli.live.server import Server

CONNECTIONS_MAX = 64
KEEP_ALIVE_S = 5


def why_not_ready(server: "Server") -> list[str]:
    """Returns why clients should not be sent here now."""
    reasons = [
        f"collection {group.collection}: no leader is known"
        for group in server.node.status().groups
        if group.leader == NO_NODE
    ]
    if server.is_stopping:
        reasons.append("this node is stopping")
    return reasons


def application(server: "Server", metrics: "Metrics") -> Starlette:
    """Returns the three pages."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reasons = why_not_ready(server)
        return PlainTextResponse("".join(f"{why}\n" for why in reasons) or "ok\n", status_code=503 if reasons else 200)

    async def all_metrics(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": all_metrics}
    return Starlette(routes=[Route(path, page, methods=["GET"]) for path, page in pages.items()])


class HttpDoor:
    """Listens for HTTP in the server's loop.

    Uvicorn's own `Server` would take over the process's signals, so only its protocol is used.
    """

    def __init__(self, server: "Server", metrics: "Metrics") -> None:
        self._config = Config(
            application(server, metrics),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._config.load()
        self._state = ServerState()
        self._listener: asyncio.Server | None = None

    async def listen(self, address: Address) -> None:
        """Begins to listen.

        Raises:
            ConfigurationError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: H11Protocol(self._config, self._state, app_state={}), address.host, address.port
            )
        except OSError as error:
            raise cannot_listen(address, "metrics", error) from error

    def close(self) -> None:
        """Ends all connections and listens no more."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()


def cannot_listen(address: Address, what: str, error: OSError) -> ConfigurationError:
    """Returns the error for an address that cannot be had."""
    return ConfigurationError(
        f"{what}: cannot listen on {address} ({error.strerror or error}): stop what uses it, or choose another"
    )
