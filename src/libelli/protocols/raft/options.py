"""What may be chosen for a replica beside its timing: sizes, windows and how reads are confirmed."""

from enum import StrEnum

from msgspec import Struct

from libelli.core.errors import ConfigurationError
from libelli.core.limits import KIB, MIB, UNAPPLIED_BYTES_MAX


class ReadMode(StrEnum):
    """How a leader makes sure that it still leads before it answers a query."""

    ROUND = "round"
    """A round of heartbeats for each batch of queries (§6.4): depends on no clock."""
    LEASE = "lease"
    """The last round counts for almost 2T (§6.4.1): no message, but it relies on the bound on clock drift."""


class Options(Struct, frozen=True, kw_only=True):
    """Sizes are bytes of entries, headers included.

    Attributes:
        message_bytes: at most this much in one AppendEntries, but always one entry (§10.2.2: about a megabyte).
        probe_bytes: the same while the leader still looks for where the logs part (§3.5): it may be in vain.
        inflight_messages: AppendEntries to one follower that are not answered yet.
        inflight_bytes: entries to one follower that are not answered yet. The pipe is full when it is bandwidth
            times round trip: 8 MiB fill 300 ms at 220 Mbit/s.
        commit_bytes: at most this much in one Commit, but always one entry.
        load_bytes: at most this much is read back from the log at once, but always one entry.
        memory_bytes: data of recent entries kept in memory, for followers and the store.
        retain_entries: how many entries stay in the log behind a checkpoint, for slow followers.
        retain_bytes: how many bytes of entries stay in the log behind a checkpoint.
        unapplied_bytes: a leader refuses proposals beyond this much that is not applied yet.
        queries: queries that may wait for their confirmation; beyond it they are refused.
        read_rounds: rounds of confirmation that may be under way at once.
        read_mode: how a leader makes sure that it still leads.

    Raises:
        ConfigurationError: a number is not positive.
    """

    message_bytes: int = MIB
    probe_bytes: int = 64 * KIB
    inflight_messages: int = 256
    inflight_bytes: int = 8 * MIB
    commit_bytes: int = 256 * KIB
    load_bytes: int = MIB
    memory_bytes: int = 64 * MIB
    retain_entries: int = 100_000
    retain_bytes: int = 64 * MIB
    unapplied_bytes: int = UNAPPLIED_BYTES_MAX
    queries: int = 65_536
    read_rounds: int = 4
    read_mode: ReadMode = ReadMode.ROUND

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            least = 0 if name.startswith("retain_") else 1
            if isinstance(value, int) and value < least:
                raise ConfigurationError(f"{name} is {value}; it must be at least {least}")
