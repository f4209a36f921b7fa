"""What a node says of itself to Prometheus: numbers read when they are asked for, without keys and values.

The names are those that `packaging/alerts.yml` asks for. Whatever is counted elsewhere is read there; only the
time of syncs is gathered here, as it is a distribution.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from libelli.core.ids import NO_NODE

if TYPE_CHECKING:
    from libelli.core.calls import NodeStatus
    from libelli.live.server import Server

PREFIX = "libelli_"
SYNC_BUCKETS_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

COUNTED: Mapping[str, str] = {
    "steps": "turns of the node",
    "calls": "calls of clients",
    "refused": "calls refused because a limit of this node was reached",
    "applied_commands": "commands applied for clients of this node",
    "compared_keys": "keys compared between replicas",
}
"""Counters in `Node.statistics`; all else there is a gauge."""

GAUGES: Mapping[str, str] = {
    "client_connections": "native sessions' connections",
    "watchers": "watchers",
    "leases": "leases whose time this node keeps",
    "sessions": "registered sessions",
    "replicas_differing": "replicas that hold other data at the same revision, as found by this leader",
    "overlay_bytes": "changes that are in memory and in the log, and not yet in a checkpoint",
    "log_writes_waiting": "writes of the log that are not durable yet",
}


class Metrics:
    """The registry of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._sync_seconds = Histogram(
            PREFIX + "disk_sync_seconds",
            "how long syncs of the log took",
            buckets=SYNC_BUCKETS_S,
            registry=self.registry,
        )

    def observe_sync(self, seconds: float) -> None:
        """Counts one sync; from any thread."""
        self._sync_seconds.observe(seconds)

    def watch(self, server: "Server", *, quota_bytes: int) -> None:
        """Shows what `server` knows, each time the registry is read; in the server's loop."""
        self.registry.register(ServerCollector(server, quota_bytes=quota_bytes))


class ServerCollector:
    """Reads a server's numbers; see `prometheus_client.registry.Collector`."""

    def __init__(self, server: "Server", *, quota_bytes: int) -> None:
        self._server = server
        self._quota_bytes = quota_bytes

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: names are not looked at before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics."""
        server = self._server
        status = server.node.status()
        yield _info(status)
        yield from self._groups(status)
        yield from _statistics(server.node.statistics())
        yield from self._streams()
        yield from self._disk()
        if server.certificates is not None:
            yield _gauge(
                "certificate_expires_timestamp_seconds",
                "when the certificate in use ends",
                time.time() + 86_400 * server.certificates.days_left(),
            )

    def _groups(self, status: "NodeStatus") -> Iterator[Metric]:
        of_groups = {
            "has_leader": ("1 when a leader is known", lambda group: group.leader != NO_NODE),
            "is_leader": ("1 when this node leads", lambda group: group.role == "leader"),
            "term": ("Raft's term", lambda group: group.term),
            "commit_index": ("last entry known to be committed", lambda group: group.commit),
            "applied_index": ("last entry in the store", lambda group: group.applied),
            "log_entries": ("entries in the log", lambda group: group.last_index - group.first_index + 1),
            "store_revision": ("revision of the store", lambda group: group.revision),
            "store_size_bytes": ("keys, values and history", lambda group: group.size_bytes),
            "store_quota_bytes": ("what they may take", lambda _: self._quota_bytes),
        }
        for name, (text, value_of) in of_groups.items():
            family = GaugeMetricFamily(PREFIX + name, text, labels=("collection",))
            for group in status.groups:
                family.add_metric((group.collection,), float(value_of(group)))
            yield family

    def _streams(self) -> Iterator[Metric]:
        server = self._server
        yield _counter("leader_changes", "how often another leader was seen", server.leader_changes)
        yield _gauge("peers_connected", "streams to other nodes", len(server.peers.streams))
        yield _counter("peer_frames_dropped", "frames for peers that did not read", server.peers.dropped_frames)
        yield _counter("clients_turned_away", "connections over the limit", server.clients.turned_away)

    def _disk(self) -> Iterator[Metric]:
        storage = self._server.storage
        writes, blocks = storage.writes_per_block
        yield _gauge("disk_full", "1 while writes wait for room", float(bool(storage.missing_room)))
        yield _counter("log_writes", "writes of the log that are durable", writes)
        yield _counter("log_blocks", "blocks that they became, a sync each", blocks)


def _statistics(statistics: Mapping[str, float]) -> Iterator[Metric]:
    for name, value in statistics.items():
        if name in COUNTED:
            yield _counter(name, COUNTED[name], value)
        else:
            yield _gauge(name, GAUGES.get(name, name.replace("_", " ")), value)


def _info(status: "NodeStatus") -> Metric:
    family = GaugeMetricFamily(PREFIX + "info", "who this is", labels=("name", "node", "region", "cluster", "version"))
    labels = (status.name, str(status.node), status.region, status.cluster, status.version)
    family.add_metric(labels, 1)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=value)
