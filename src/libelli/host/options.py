"""What may be chosen for a node, beside the options of its protocols."""

from msgspec import Struct, field

from libelli.core.limits import MIB, QUOTA_BYTES_DEFAULT
from libelli.protocols.raft import LAN, Options, Timing


class NodeOptions(Struct, frozen=True, kw_only=True):
    """Sizes are bytes, times milliseconds, unless a name says otherwise.

    Attributes:
        timing: heartbeats and elections; the same on all nodes.
        raft: of the consensus replicas.
        flush_bytes: what a store keeps in memory before it is flushed to its checkpoint.
        flush_age_ms: a smaller rest is flushed after this time, so that the log stays short.
        quota_bytes: keys, values and history that a group may hold.
        retain_revisions: history longer than this is compacted (0: never).
        retain_ms: history older than this is compacted (0: never).
        comparison_interval_ms: how often the leader compares a part of the data with the others (0: never).
        comparison_keys: how many keys it compares at once.
        step_bytes: entries applied in one step, before other events get their turn.
        scrub_steps: compacted versions removed in one step.
    """

    timing: Timing = LAN
    raft: Options = field(default_factory=Options)
    flush_bytes: int = 32 * MIB
    flush_age_ms: int = 30_000
    quota_bytes: int = QUOTA_BYTES_DEFAULT
    retain_revisions: int = 1_000_000
    retain_ms: int = 3_600_000
    comparison_interval_ms: int = 10_000
    comparison_keys: int = 500
    step_bytes: int = 4 * MIB
    scrub_steps: int = 500
