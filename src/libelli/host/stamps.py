"""What a command entry holds: a client's frame, stamped by the leader that put it into the log.

All that could differ between replicas is decided once, by the leader, and travels in the stamp: what time it
is, and whether there is room. So every replica applies an entry alike.
"""

from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.errors import CodecError, InvariantError


class SessionEntry(Struct, frozen=True, array_like=True, tag=1):
    """Opens a session; its id is the index of this entry.

    Attributes:
        time_ms: the group's clock: time that leaders have spent, so it never goes back and no node's own
            clock is compared with another's.
    """

    time_ms: int


class FrameEntry(Struct, frozen=True, array_like=True, tag=2):
    """A frame of commands.

    Attributes:
        time_ms: the group's clock.
        no_space: the quota is reached: what needs room is refused.
        session: whose frame it is (0: the leader's own, applied as it stands).
        sequence: of the frame in its session.
        acked: the client has the answers up to here.
        commands: an encoded list of commands.
    """

    time_ms: int
    no_space: bool
    session: int
    sequence: int
    acked: int
    commands: bytes


Stamped = SessionEntry | FrameEntry

_decoder: Decoder[Stamped] = Decoder(Stamped, name="log entry")

stamp = encode
"""Returns the data of an entry."""


def decode_stamped(data: bytes) -> Stamped:
    """Returns what an entry holds.

    Raises:
        InvariantError: it was checked before it went into the log, so this replica is too old for it.
    """
    try:
        return _decoder.decode(data)
    except CodecError as error:
        raise InvariantError(
            f"a committed entry cannot be read ({error}): upgrade this node to the version of the leader"
        ) from error
