"""One node as a process: from its configuration to its exit code.

::

    lock, identity ─► log, checkpoints ─► node ─► listen ─► "node is ready" ─► turns … ─► SIGTERM ─► hand over ─► 0
                                                                                 └─► broken disk or promise ─► 6, 70
"""

import asyncio
import gc
import logging
import os
import random
import resource
import secrets
import signal
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvloop

from libelli import __version__
from libelli.core.errors import ConfigurationError, InvariantError
from libelli.host.node import Node
from libelli.live.addresses import Address
from libelli.live.certificates import CertificatePaths, CertificateWatch, Kind
from libelli.live.configuration import ServeConfiguration
from libelli.live.http import HttpDoor, cannot_listen
from libelli.live.logs import configure_logs, fields
from libelli.live.metrics import Metrics
from libelli.live.server import EXIT_DEFECT, EXIT_OK, Ending, Server
from libelli.live.storage import Storage

if TYPE_CHECKING:
    from libelli.api.grpc import GrpcDoor

SWITCH_INTERVAL_S = 0.0002
"""How long a thread that comes back from the disk waits for the interpreter: by default 5 ms, which would be most of
the time of a small write."""
COLLECT_AFTER = (10_000, 20, 50)
"""Allocations before the garbage collector looks at the youngest objects, and how many such looks until it takes in
older ones. A node makes few cycles, and what it holds of sessions, watchers and leases lives long. Puts alone are
neither faster nor slower by it: rows are bytes, which the collector does not look at."""
HAND_OVER_S = 5.0
"""How long a leader that was asked to stop waits for another to take its place."""
HANDSHAKE_TIMEOUT_S = 10.0
GRPC_GRACE_S = 1.0
"""What calls over gRPC get to end, once the node has handed over."""
DRAIN_S = 1.0
"""How long the last answers may take to go out."""
DESCRIPTORS_WANTED = 4096
"""Open files and connections: all clients that may be here, and as many handshakes that lead to none."""
SIGNAL_EXIT = 128

_log = logging.getLogger(__name__)


def serve(configuration: ServeConfiguration) -> int:
    """Runs a node until it is told to stop or cannot go on; returns the process's exit code.

    Raises:
        ConfigurationError: it cannot start as it is configured.
        StorageError: the data folder cannot be used.
    """
    configure_logs(level=configuration.log_level, form=configuration.log_format)
    for unknown in configuration.unknown_variables:
        _log.warning("unknown variable in the environment", extra=fields(variable=unknown))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*COLLECT_AFTER)
    allow_descriptors()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Process(configuration).run())


class Process:
    """One node and what it listens on."""

    def __init__(self, configuration: ServeConfiguration) -> None:
        self._configuration = configuration
        self._metrics = Metrics()
        self._listeners: list[asyncio.Server] = []
        self._grpc: GrpcDoor | None = None

    async def run(self) -> int:
        """Starts, waits for the end, stops; returns the exit code."""
        configuration = self._configuration
        certificates = watch_certificates(configuration)
        storage = Storage(
            configuration.data,
            identity=configuration.identity,
            beginning=configuration.begin,
            members=configuration.founders,
            segment_size=configuration.segment_bytes,
            on_sync=self._metrics.observe_sync,
        )
        try:
            server = self._make_server(storage, certificates)
            http = HttpDoor(server, self._metrics)
            await self._listen(server, http)
        except BaseException:
            storage.stop()
            raise
        server.start()
        await self._open_grpc(certificates)
        self._say_ready(server)
        ending = await self._until_ended(server)
        if ending.code > SIGNAL_EXIT:
            return self._say_ended(ending)
        if self._grpc is not None:
            await self._grpc.close(grace_s=GRPC_GRACE_S)
        http.close()
        for listener in self._listeners:
            listener.close()
        server.close("this node stops")
        await self._drain(server)
        return self._say_ended(ending)

    def _make_server(self, storage: Storage, certificates: CertificateWatch | None) -> Server:
        configuration = self._configuration
        dice = random.Random(secrets.randbits(128))
        node = Node(
            identity=configuration.identity,
            log=storage.log,
            checkpoints=storage.checkpoints,
            founding=storage.founding,
            random=dice,
            options=configuration.options,
            process=os.getpid(),
            software=__version__,
        )
        if storage.log.torn_bytes:
            _log.warning("the log's torn tail was cut", extra=fields(torn_bytes=storage.log.torn_bytes))
        # What was read from the disk lives as long as the node: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        server = Server(node, storage=storage, certificates=certificates, random=dice)
        self._metrics.watch(server, quota_bytes=configuration.quota_bytes)
        return server

    async def _listen(self, server: Server, http: HttpDoor) -> None:
        configuration = self._configuration
        context = server.certificates.server_context if server.certificates else None
        await self._listen_on(configuration.peer_address, "peers", server.peers.accept, context)
        await self._listen_on(configuration.client_address, "clients", server.clients.new_stream, context)
        if (address := configuration.metrics_address) is not None:
            await http.listen(address)

    async def _listen_on(
        self, address: Address, what: str, make: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None
    ) -> None:
        timeout_s = None if context is None else HANDSHAKE_TIMEOUT_S
        loop = asyncio.get_running_loop()
        try:
            self._listeners.append(
                await loop.create_server(
                    make, address.host, address.port, backlog=512, ssl=context, ssl_handshake_timeout=timeout_s
                )
            )
        except OSError as error:
            raise cannot_listen(address, what, error) from error

    async def _open_grpc(self, certificates: CertificateWatch | None) -> None:
        """Opens the door for gRPC, which is a native client of this node's own door."""
        address = self._configuration.grpc_address
        if address is not None:
            from libelli.api.grpc import serve_grpc  # its library takes long to load, and most nodes may do without

            self._grpc = await serve_grpc(
                str(address),
                endpoints=[str(reachable(self._configuration.client_address))],
                certificates=certificates,
                cluster=self._configuration.cluster_id,
            )

    def _say_ready(self, server: Server) -> None:
        configuration = self._configuration
        _log.info("node is ready", extra=fields(
            name=configuration.name,
            node=configuration.identity.node,
            cluster=configuration.cluster_id,
            peers=str(configuration.peer_address),
            clients=str(configuration.client_address),
            grpc=str(configuration.grpc_address or ""),
            metrics=str(configuration.metrics_address or ""),
            tls=server.certificates is not None,
            data=str(configuration.data),
            process=os.getpid(),
        ))  # fmt: skip

    async def _until_ended(self, server: Server) -> Ending:
        """Waits until the node cannot go on, or was asked to stop and nobody needs it any more."""
        asked: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_broken_callback(server))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.put_nowait, number)
        first: asyncio.Future[int] = loop.create_task(asked.get())
        await _any_of(first, server.ended)
        if server.ended.done():
            return server.ended.result()
        _log.info("node stops")
        server.stop()
        at_once: asyncio.Future[int] = loop.create_task(asked.get())
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_S):
                await _any_of(at_once, server.handed_over, server.ended)
        if at_once.done():
            return Ending(SIGNAL_EXIT + at_once.result(), "stopped at once by a second signal")
        return server.ended.result() if server.ended.done() else Ending(EXIT_OK)

    @staticmethod
    async def _drain(server: Server) -> None:
        """Lets the last answers go out to whoever reads them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while server.clients.streams or server.peers.streams:  # noqa: ASYNC110 - once in a life
                    await asyncio.sleep(DRAIN_S / 100)

    @staticmethod
    def _say_ended(ending: Ending) -> int:
        if ending.reason:
            _log.error("node ends", extra=fields(why=ending.reason, exit=ending.code))
        else:
            _log.info("node has stopped")
        return ending.code


def allow_descriptors() -> None:
    """Raises this process's limit of open files as far as it may: shells give 1,024, as many as clients may be here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def reachable(address: Address) -> Address:
    """Returns how this process reaches what it listens on."""
    if address.host in ("0.0.0.0", "::"):  # noqa: S104 - it is compared, not bound
        return Address("127.0.0.1" if address.host == "0.0.0.0" else "::1", address.port)  # noqa: S104
    return address


def watch_certificates(configuration: ServeConfiguration) -> CertificateWatch | None:
    """Returns the node's certificates, or None for plain text.

    Raises:
        ConfigurationError: they cannot be used, or are another's.
    """
    if configuration.certificates is None:
        return None
    watch = CertificateWatch(CertificatePaths.of(configuration.certificates))
    identity = watch.identity
    if identity.kind is not Kind.PEER or identity.name != configuration.name:
        raise ConfigurationError(
            f"{configuration.certificates} is the bundle of {identity}, and this node is {configuration.name!r}: issue"
            f" its own with `libelli ca issue {configuration.name} --kind peer`"
        )
    return watch


async def _any_of(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _broken_callback(server: Server) -> Callable[[asyncio.AbstractEventLoop, dict[str, object]], None]:
    """Returns what the loop calls when one of our callbacks raised."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError):  # a connection that ended in the middle of things, TLS errors included
            _log.debug("connection failed", extra=fields(why=str(error)))
            return
        _log.error(
            "a callback failed: %s", context.get("message"), exc_info=error if isinstance(error, Exception) else None
        )
        if isinstance(error, InvariantError):
            server.end(Ending(EXIT_DEFECT, str(error)))

    return handle
