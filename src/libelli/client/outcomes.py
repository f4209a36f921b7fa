"""What a refused, lost or late call means for whoever waits, and whether it may be sent again.

::

    refusal of a frame         the same frame again    when it cannot be sent again in time
      NOT_LEADER, OVERLOADED…  yes, elsewhere or later  did not happen
      LEADER_CHANGED, lost…    yes, same sequence       may have happened
      SESSION_EXPIRED          as a new frame, if no    may have happened
                               earlier try is open
      INVALID, DENIED, …       no                       did not happen
"""

from enum import Enum

from libelli.core.errors import FIRST_INDEFINITE, CallError, Code, MayHaveHappened, Refused, Unavailable, call_error


class Compacted(Refused):
    """History that was asked for is not kept any more.

    Attributes:
        compact_revision: the oldest revision that can still be read or watched (0: unknown).
    """

    def __init__(self, message: str, *, compact_revision: int) -> None:
        super().__init__(message, code=Code.COMPACTED)
        self.compact_revision = compact_revision


class Verdict(Enum):
    """What is to be done about a refusal."""

    FINAL = 0
    """The request itself is refused."""
    AGAIN = 1
    """It did not happen and may pass elsewhere or later."""
    UNCERTAIN = 2
    """It may have happened; repeating the same sequence, or a read, is safe."""
    SESSION = 3
    """The session is gone, and with it the memory of what was applied."""


_SESSION_CODES = frozenset({Code.SESSION_EXPIRED, Code.SESSION_UNKNOWN})


def verdict_of(code: Code) -> Verdict:
    """Returns what a refusal with `code` allows."""
    if code in _SESSION_CODES:
        return Verdict.SESSION
    if code >= FIRST_INDEFINITE:
        return Verdict.UNCERTAIN
    if code >= Code.NOT_LEADER or code is Code.OVERLOADED:
        return Verdict.AGAIN
    return Verdict.FINAL


def refused(code: Code, message: str, *, compact_revision: int = 0) -> CallError:
    """Returns the error for a refusal that ends a call."""
    if code is Code.COMPACTED:
        return Compacted(message, compact_revision=compact_revision)
    return call_error(code, message)


def read_refused(code: Code, message: str) -> CallError:
    """Returns the error for a call that changes nothing: it never *may have happened*."""
    if code >= FIRST_INDEFINITE:
        return Unavailable(message, code=Code.NOT_CONNECTED)
    return refused(code, message)


def never_sent(code: Code, reason: str) -> CallError:
    """Returns the error for a call whose time was over before it was sent."""
    return call_error(code, f"not sent in time, so it did not happen: {reason}")


def unanswered_write(reason: str, *, code: Code = Code.TIMED_OUT) -> CallError:
    """Returns the error for a write that was sent and whose answer is not known."""
    return MayHaveHappened(f"{reason}: it may have happened, so read before you write again", code=code)


def unanswered_read(reason: str) -> CallError:
    """Returns the error for a read that was sent and whose answer is not known."""
    return Unavailable(f"{reason}: nothing was changed, so ask again", code=Code.NOT_CONNECTED)
