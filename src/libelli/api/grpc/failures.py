"""How a call that failed ends in gRPC: a status, and trailers that say what the status cannot.

`UNAVAILABLE` is repeated by many gRPC clients on their own, so only what did not happen ends with it.
"""

from typing import Any, NoReturn

import grpc

from libelli.client import Compacted
from libelli.core.errors import CallError, Code, MayHaveHappened

OUTCOME = "libelli-outcome"
CODE = "libelli-code"
COMPACT_REVISION = "libelli-compact-revision"

Status = grpc.StatusCode

STATUSES = {
    Code.INVALID: Status.INVALID_ARGUMENT,
    Code.TOO_LARGE: Status.INVALID_ARGUMENT,
    Code.KEY_NOT_FOUND: Status.NOT_FOUND,
    Code.DUPLICATE_KEY: Status.INVALID_ARGUMENT,
    Code.COMPACTED: Status.OUT_OF_RANGE,
    Code.FUTURE_REVISION: Status.OUT_OF_RANGE,
    Code.LEASE_NOT_FOUND: Status.NOT_FOUND,
    Code.LEASE_EXISTS: Status.ALREADY_EXISTS,
    Code.UNKNOWN_COLLECTION: Status.NOT_FOUND,
    Code.MEMBER_EXISTS: Status.ALREADY_EXISTS,
    Code.MEMBER_NOT_FOUND: Status.NOT_FOUND,
    Code.LEARNER_NOT_READY: Status.FAILED_PRECONDITION,
    Code.CHANGE_IN_PROGRESS: Status.FAILED_PRECONDITION,
    Code.UNSAFE_CHANGE: Status.FAILED_PRECONDITION,
    Code.DENIED: Status.PERMISSION_DENIED,
    Code.UNSUPPORTED: Status.UNIMPLEMENTED,
    Code.TTL_TOO_LARGE: Status.INVALID_ARGUMENT,
    Code.TOO_MANY_OPERATIONS: Status.INVALID_ARGUMENT,
    Code.NO_SPACE: Status.RESOURCE_EXHAUSTED,
    Code.OVERLOADED: Status.RESOURCE_EXHAUSTED,
    Code.NOT_LEADER: Status.UNAVAILABLE,
    Code.NO_LEADER: Status.UNAVAILABLE,
    Code.STOPPING: Status.UNAVAILABLE,
    Code.NOT_CONNECTED: Status.UNAVAILABLE,
    Code.SESSION_UNKNOWN: Status.UNAVAILABLE,
    Code.OUT_OF_ORDER: Status.UNAVAILABLE,
    Code.TIMED_OUT: Status.DEADLINE_EXCEEDED,
    Code.LEADER_CHANGED: Status.UNKNOWN,
    Code.CONNECTION_LOST: Status.UNKNOWN,
    Code.SESSION_EXPIRED: Status.UNKNOWN,
}


def trailers_of(error: CallError) -> tuple[tuple[str, str], ...]:
    """Returns the trailers that say what became of a call."""
    outcome = "may-have-happened" if isinstance(error, MayHaveHappened) else "did-not-happen"
    trailers = ((OUTCOME, outcome), (CODE, error.code.name))
    if isinstance(error, Compacted) and error.compact_revision:
        return (*trailers, (COMPACT_REVISION, str(error.compact_revision)))
    return trailers


async def abort(context: Any, error: CallError) -> NoReturn:
    """Ends a call with what `error` says."""
    await context.abort(STATUSES.get(error.code, Status.UNKNOWN), str(error), trailers_of(error))
    raise error  # `abort` has raised already
