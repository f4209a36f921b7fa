"""Every error that Libelli raises on purpose.

::

    LibelliError                      anything below; a message gives the value, the limit and the way out
    ├── InvariantError                a promise of ours is broken: the replica stops, nobody catches it
    ├── ConfigurationError            files, flags or certificates that cannot work as they are
    │   └── CertificateError
    ├── CodecError                    bytes that are not what they claim to be
    ├── StorageError                  a disk that cannot be used
    │   ├── DamagedError              checksums fail where no torn write can explain it
    │   ├── ForeignError              written by another cluster, node or format version
    │   └── DiskFullError             no space; what was written so far is intact
    └── CallError                     what a client's call ended with; has a `Code`
        ├── DidNotHappen              nothing changed and nothing will: safe to try again as it is
        │   ├── Refused               the request itself is wrong (bad argument, missing key, …): mend it
        │   ├── Overloaded            a limit of the server: wait, then try again
        │   └── Unavailable           nobody could take it (no leader, not connected)
        └── MayHaveHappened           the answer is lost: look, or repeat inside the same session
"""

from enum import IntEnum


class Code(IntEnum):
    """Why a call ended as it did; the numbers are part of the wire format and are never used again."""

    OK = 0
    # did not happen: the request is wrong
    INVALID = 1
    TOO_LARGE = 2
    KEY_NOT_FOUND = 3
    DUPLICATE_KEY = 4
    COMPACTED = 5
    FUTURE_REVISION = 6
    LEASE_NOT_FOUND = 7
    LEASE_EXISTS = 8
    UNKNOWN_COLLECTION = 9
    MEMBER_EXISTS = 10
    MEMBER_NOT_FOUND = 11
    LEARNER_NOT_READY = 12
    CHANGE_IN_PROGRESS = 13
    UNSAFE_CHANGE = 14
    DENIED = 15
    UNSUPPORTED = 16
    TTL_TOO_LARGE = 17
    TOO_MANY_OPERATIONS = 18
    # did not happen: a limit of the server
    NO_SPACE = 32
    OVERLOADED = 33
    # did not happen: nobody could take it
    NOT_LEADER = 48
    NO_LEADER = 49
    STOPPING = 50
    NOT_CONNECTED = 51
    SESSION_UNKNOWN = 52
    OUT_OF_ORDER = 53
    # may have happened
    TIMED_OUT = 64
    LEADER_CHANGED = 65
    CONNECTION_LOST = 66
    SESSION_EXPIRED = 67


FIRST_INDEFINITE = 64
"""Codes from here on say *may have happened*."""


class LibelliError(Exception):
    """The root of the tree; the message is one line that a person can act on."""


class InvariantError(LibelliError):
    """A promise of the protocol is broken; the replica must stop and is not usable any more."""


class ConfigurationError(LibelliError):
    """Configuration that cannot work as it is."""


class CertificateError(ConfigurationError):
    """A certificate or key that cannot be used."""


class CodecError(LibelliError):
    """Bytes that do not decode to what they should be."""


class StorageError(LibelliError):
    """A disk that cannot be used as it is."""


class DamagedError(StorageError):
    """Stored bytes were changed after they had been made durable."""


class ForeignError(StorageError):
    """Stored bytes belong to another cluster or node, or to a format that this version does not know."""


class DiskFullError(StorageError):
    """The disk has no room; everything made durable before is intact."""


class CallError(LibelliError):
    """What a client's call ended with.

    Args:
        message: one line with the value, the limit and the way out.
        code: the reason in a form for programs.
    """

    def __init__(self, message: str, *, code: Code) -> None:
        super().__init__(message)
        self.code = code


class DidNotHappen(CallError):  # noqa: N818 - the field's words: definite and indefinite, not "…Error"
    """Nothing changed and nothing will."""


class Refused(DidNotHappen):
    """The request itself is wrong; the same request will be refused again."""


class Overloaded(DidNotHappen):
    """A limit of the server is reached; the same request may pass later."""


class Unavailable(DidNotHappen):
    """Nobody could take the request; the same request may pass later."""


class MayHaveHappened(CallError):  # noqa: N818 - see DidNotHappen
    """The outcome is unknown: a timeout, a lost connection or leader, or an expired session."""


def call_error(code: Code, message: str) -> CallError:
    """Returns the error of the tree that `code` belongs to."""
    if code >= FIRST_INDEFINITE:
        return MayHaveHappened(message, code=code)
    if code >= Code.NOT_LEADER:
        return Unavailable(message, code=code)
    if code >= Code.NO_SPACE:
        return Overloaded(message, code=code)
    return Refused(message, code=code)
