"""What a node asks of the world that it runs in, and what the world tells it.

::

    world (sim or live)                              node (pure)
      receive_peer(source, body) ───────────────────►  queues
      receive_client(connection, body) ─────────────►  queues
      written(ticket) · flushed(group) · loaded(…) ─►  queues
      step(now_ms) ─────────────────────────────────►  runs every replica that has something to do
      ◄───────────────── list of world effects          carried out in order, then step again when more came

The world calls `step` once for all that arrived together: that is where batching comes from. It calls `step`
again at the time named by the last `WakeAt`.
"""

from collections.abc import Sequence

from msgspec import Struct

from libelli.core.ids import GroupId, Index, NodeId
from libelli.host.log.layout import LogRecord
from libelli.stores.engine import Run


class WriteLog(Struct, frozen=True):
    """Append `records` to the log as one block and sync it; answer `written(ticket)`.

    Several WriteLogs that wait may become one block and one sync. A full disk is retried until it has room:
    the answer is only late.
    """

    ticket: int
    records: tuple[LogRecord, ...]


class ReadLog(Struct, frozen=True):
    """Read a group's entries back; answer `loaded(group, first_index, entries)`."""

    group: GroupId
    first_index: Index
    last_index: Index
    size_max: int


class SendPeer(Struct, frozen=True):
    """Send `body` as one frame to `node`, or drop it when there is no connection."""

    node: NodeId
    body: bytes


class DialPeers(Struct, frozen=True):
    """Keep streams to these nodes (number, name, address) and to no others."""

    peers: tuple[tuple[NodeId, str, str], ...]


class SendClient(Struct, frozen=True):
    """Send `body` as one frame on a client's connection, or drop it when the connection is gone."""

    connection: int
    body: bytes


class CloseClient(Struct, frozen=True):
    """Send what is queued, then end the connection."""

    connection: int
    reason: str


class WakeAt(Struct, frozen=True):
    """Call `step` at `at_ms` at the latest; replaces the last one."""

    at_ms: int


class FlushCheckpoint(Struct, frozen=True):
    """Write `runs` to the group's checkpoint; answer `flushed(group)`. One at a time a group."""

    group: GroupId
    runs: Sequence[Run]


class InstallChunk(Struct, frozen=True):
    """Add `runs` to the group's new checkpoint contents (begin them when `first`).

    Answer `chunk_installed(group)`.
    """

    group: GroupId
    first: bool
    runs: Sequence[Run]


class FinishInstall(Struct, frozen=True):
    """Put the new contents in the place of the old, durably; answer `installed(group)`."""

    group: GroupId


class AbandonInstall(Struct, frozen=True):
    """Throw the unfinished new contents away."""

    group: GroupId


class Stop(Struct, frozen=True):
    """End the process: `reason` says why it cannot go on and what to do."""

    reason: str


class Trace(Struct, frozen=True):
    """One record for the trace and the log."""

    kind: str
    group: GroupId
    fields: dict[str, object]


WorldEffect = (
    WriteLog
    | ReadLog
    | SendPeer
    | DialPeers
    | SendClient
    | CloseClient
    | WakeAt
    | FlushCheckpoint
    | InstallChunk
    | FinishInstall
    | AbandonInstall
    | Stop
    | Trace
)
