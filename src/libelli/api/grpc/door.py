"""Starts and stops the gRPC door of a node.

::

    door = await serve_grpc("127.0.0.1:7403", endpoints=["127.0.0.1:7402"], certificates=watch)
    …
    await door.close(grace_s=5)
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

import grpc
from grpc import aio

from libelli.api.grpc.calls import Door
from libelli.api.grpc.cluster import Cluster
from libelli.api.grpc.libelli_pb2_grpc import add_ClusterServicer_to_server, add_StrongServicer_to_server
from libelli.api.grpc.strong import Strong
from libelli.client import AsyncClient
from libelli.core.errors import ConfigurationError
from libelli.core.limits import CONNECTION_CALLS_MAX, FRAME_SIZE_MAX, PEER_FRAME_SIZE_MAX
from libelli.live.certificates import CertificateWatch

CALLS_MAX = CONNECTION_CALLS_MAX
"""Calls and streams of all callers at once; more are refused with RESOURCE_EXHAUSTED."""
METADATA_SIZE_MAX = 16 * 1024
OPTIONS = (
    ("grpc.max_receive_message_length", FRAME_SIZE_MAX),
    ("grpc.max_send_message_length", PEER_FRAME_SIZE_MAX),
    ("grpc.max_metadata_size", METADATA_SIZE_MAX),
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second listener
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)


class GrpcDoor:
    """A door that is open.

    Attributes:
        port: where it listens.
    """

    def __init__(self, server: Any, client: AsyncClient, *, port: int) -> None:
        self.port = port
        self._server = server
        self._client = client

    async def close(self, *, grace_s: float = 1.0) -> None:
        """Takes no new calls, gives those under way some time, and ends."""
        await self._server.stop(grace_s)
        await self._client.close()


async def serve_grpc(
    address: str,
    *,
    endpoints: Sequence[str],
    certificates: CertificateWatch | None,
    cluster: str = "",
) -> GrpcDoor:
    """Opens the gRPC door on the running event loop.

    Args:
        address: `host:port` to listen on; port 0 takes a free one.
        endpoints: `host:port` where nodes take native clients: the own node's, or those of all members.
        certificates: the node's, for both sides of the door; what they are replaced by is used for new
            connections. None: plain text, on loopback only.
        cluster: the cluster's id.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    client = AsyncClient(
        endpoints=endpoints,
        certificates=None if certificates is None else lambda: certificates.client_context,
        cluster=cluster,
    )
    client.open()
    door = Door(client, certificates)
    server = aio.server(options=OPTIONS, maximum_concurrent_rpcs=CALLS_MAX)
    add_StrongServicer_to_server(Strong(door), server)
    add_ClusterServicer_to_server(Cluster(door), server)
    try:
        port = _listen(server, address, certificates)
        await server.start()
    except ConfigurationError:
        await client.close()
        await server.stop(None)
        raise
    return GrpcDoor(server, client, port=port)


def _listen(server: Any, address: str, certificates: CertificateWatch | None) -> int:
    if certificates is None and not _is_loopback(address):
        raise ConfigurationError(f"gRPC on {address} without certificates: plain text is for this machine only")
    try:
        if certificates is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, _credentials(certificates))
    except RuntimeError as error:
        raise ConfigurationError(f"gRPC cannot listen on {address} ({error}): choose another address") from error
    return int(port)


def _credentials(certificates: CertificateWatch) -> Any:
    used: list[Any] = []

    def configuration() -> Any:
        triple = certificates.pem_triple
        used[:] = [triple]
        return grpc.ssl_server_certificate_configuration(
            [(triple.private_key, triple.certificate_chain)], root_certificates=triple.root_certificates
        )

    def newest() -> Any:
        """Asked before each handshake; None keeps what is in use."""
        return None if used == [certificates.pem_triple] else configuration()

    first = configuration()
    return grpc.dynamic_ssl_server_credentials(first, newest, require_client_authentication=True)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
