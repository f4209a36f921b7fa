"""What a dialogue asks of the world that it runs in: connections to open, bodies to send, calls that ended."""

from typing import Any

from msgspec import Struct

from libelli.core.errors import CallError
from libelli.stores.mvcc.commands import WatchEvent


class Connect(Struct, frozen=True):
    """Open a stream to `address`; answer `connected(connection, …)` or `lost(connection, …)`."""

    connection: int
    address: str


class Disconnect(Struct, frozen=True):
    """End a connection, or the attempt to make it; nothing is said about it afterwards."""

    connection: int
    reason: str


class Send(Struct, frozen=True):
    """Send `body` as one frame, or drop it when the connection is gone."""

    connection: int
    body: bytes


class WakeAt(Struct, frozen=True):
    """Call `step` at `at_ms` at the latest; replaces the last one."""

    at_ms: int


class Complete(Struct, frozen=True):
    """Calls ended: `outcomes[i]` belongs to `waiters[i]`.

    An outcome is the store's answer to a command (`Failed` too), a node's reply to any other call, or a
    `CallError`.
    """

    waiters: list[Any]
    outcomes: list[Any]


class WatchBegan(Struct, frozen=True):
    """The watch sees every change after `revision`; said again after each reconnection."""

    watcher: Any
    revision: int


class WatchChanged(Struct, frozen=True):
    """The next changes of a watch, whole revisions in order; all up to `revision` have been told now."""

    watcher: Any
    revision: int
    events: list[WatchEvent]


class WatchEnded(Struct, frozen=True):
    """The watch cannot go on."""

    watcher: Any
    error: CallError


ClientEffect = Connect | Disconnect | Send | WakeAt | Complete | WatchBegan | WatchChanged | WatchEnded
