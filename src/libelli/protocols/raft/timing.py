"""One number, T, from which all of Raft's times follow.

::

    heartbeat        T
    election         uniform in [2T, 4T], drawn anew for each election
    leader is lost   2T without a word: only then may a server grant votes (§4.2.3)
    leader resigns   4T without a majority, or with a disk that does not answer (§6.2)

Times are counted in ticks of one timer, so a replica needs no clock; only the opt-in lease for reads (§6.4.1)
compares milliseconds, and only those of one node.

T should be several times the round trip to the farthest voter, disk included (§3.9: broadcast time ≪ election
timeout).

Source: D. Ongaro (2014), §3.4, §3.9, §6.4.1, chapter 9; B. Bengfort (2019), T and U(2T, 4T).
"""

from msgspec import Struct

from libelli.core.errors import ConfigurationError

ELECTION_MIN_HEARTBEATS = 2
ELECTION_MAX_HEARTBEATS = 4


class Timing(Struct, frozen=True, kw_only=True):
    """The timing model; the same for all replicas of a group.

    Attributes:
        heartbeat_ms: T; a multiple of `tick_ms`.
        tick_ms: the period of the one timer. Smaller ticks spread elections better and cost more events.
        clock_drift_percent: how much faster one node's clock may run than another's. Too small a bound would let
            a lease outlive its leader; nothing else depends on it.

    Raises:
        ConfigurationError: the numbers do not fit each other.
    """

    heartbeat_ms: int
    tick_ms: int
    clock_drift_percent: int = 5

    def __post_init__(self) -> None:
        if self.tick_ms < 1:
            raise ConfigurationError(f"a tick of {self.tick_ms} ms; it must last at least 1 ms")
        if self.heartbeat_ms < self.tick_ms or self.heartbeat_ms % self.tick_ms:
            raise ConfigurationError(
                f"a heartbeat of {self.heartbeat_ms} ms is no multiple of a tick of {self.tick_ms} ms: choose one"
            )
        if not 0 <= self.clock_drift_percent < 100:
            raise ConfigurationError(
                f"a clock drift of {self.clock_drift_percent} %; it must be at least 0 and less than 100"
            )

    @property
    def heartbeat_ticks(self) -> int:
        """T in ticks."""
        return self.heartbeat_ms // self.tick_ms

    @property
    def election_min_ticks(self) -> int:
        """2T in ticks: the shortest election timeout."""
        return ELECTION_MIN_HEARTBEATS * self.heartbeat_ticks

    @property
    def election_max_ticks(self) -> int:
        """4T in ticks: the longest election timeout."""
        return ELECTION_MAX_HEARTBEATS * self.heartbeat_ticks

    @property
    def lease_ms(self) -> int:
        """How long after the start of a confirmed round nobody else can lead (§6.4.1).

        A follower keeps its vote to itself for 2T of its own ticks, the first of which may be cut short by the
        arrival of the heartbeat; and `now_ms` is rounded down, which costs one more millisecond.
        """
        kept_ms = (self.election_min_ticks - 1) * self.tick_ms
        return max(0, kept_ms * (100 - self.clock_drift_percent) // 100 - 1)


LAN = Timing(heartbeat_ms=100, tick_ms=20)
"""One room or one region: round trips up to some 10 ms."""

REGIONS = Timing(heartbeat_ms=300, tick_ms=50)
"""Regions of one continent: round trips up to some 60 ms."""

WAN = Timing(heartbeat_ms=1000, tick_ms=100)
"""All the world: round trips up to some 300 ms."""

TIMINGS: dict[str, Timing] = {"lan": LAN, "regions": REGIONS, "wan": WAN}
"""The timing models by the names that configuration files use."""
