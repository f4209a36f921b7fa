"""A process's own clock: it began at some number and runs a little fast or slow, as real ones do."""

from msgspec import Struct

from libelli.sim.kernel import MS

MILLION = 1_000_000


class Clock(Struct, frozen=True, kw_only=True):
    """Turns the world's microseconds into a process's milliseconds, and back.

    Attributes:
        offset_ms: what it shows when the world begins.
        drift_ppm: how many millionths it is faster than the world.
    """

    offset_ms: int = 0
    drift_ppm: int = 0

    def ms(self, world_us: int) -> int:
        """Returns what the clock shows."""
        return self.offset_ms + world_us * (MILLION + self.drift_ppm) // (MILLION * MS)

    def world_us(self, ms: int) -> int:
        """Returns the first microsecond at which the clock shows `ms`."""
        return max(0, -(-(ms - self.offset_ms) * MILLION * MS // (MILLION + self.drift_ppm)))
