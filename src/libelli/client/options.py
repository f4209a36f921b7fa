"""The numbers that a dialogue goes by: limits of what it holds, and times in milliseconds."""

from msgspec import Struct

from libelli.core.limits import KIB, MIB, SESSION_FRAMES_MAX


class DialogueOptions(Struct, frozen=True, kw_only=True):
    """Times and limits; the defaults suit nodes within 200 ms of each other.

    Attributes:
        window_frames: frames of one session that wait for answers; commands submitted meanwhile gather.
        window_bytes: bytes of them.
        eager_frames: so many frames are sent as soon as there are commands; while they wait for answers, further
            commands gather, until there is a frame's worth of them or an answer comes.
        gather_bytes: a frame's worth.
        gather_ms: but they gather no longer than this.
        pending_commands_max: commands of one collection that wait to be sent; more are refused.
        pending_bytes_max: bytes of them.
        connect_timeout_ms: how long a connection may take, its greeting included.
        hedge_ms: while no leader is found, one more node is tried after this long.
        ping_after_ms: a connection that owes answers and is silent for this long is asked for a sign of life.
        silent_ms: a connection that owes answers and is silent for this long is given up.
        back_off_ms: the first pause after a refusal; it doubles each time and is cut short by a random part.
        back_off_max_ms: the longest pause.
    """

    window_frames: int = SESSION_FRAMES_MAX
    window_bytes: int = 16 * MIB
    eager_frames: int = 4
    gather_bytes: int = 16 * KIB
    gather_ms: int = 2
    pending_commands_max: int = 262_144
    pending_bytes_max: int = 64 * MIB
    connect_timeout_ms: int = 3_000
    hedge_ms: int = 250
    ping_after_ms: int = 1_000
    silent_ms: int = 3_000
    back_off_ms: int = 20
    back_off_max_ms: int = 500
