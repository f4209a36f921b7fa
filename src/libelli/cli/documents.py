"""What answers look like in JSON; docs/commands.md describes the same fields.

Bytes are a string when they are UTF-8, otherwise `{"base64": "…"}`; both forms are read back by `txn`.
"""

import base64
import binascii
from typing import Any

from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import (
    Answer,
    CompactDone,
    DeleteDone,
    Failed,
    KeyValue,
    LeaseDone,
    LeaseReadDone,
    LeaseState,
    PutDone,
    RangeDone,
    TransactionDone,
    WatchEvent,
)

Document = dict[str, Any]


def text_of(data: bytes) -> str | dict[str, str]:
    """Returns `data` as a JSON value."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def bytes_of(value: object, *, field: str) -> bytes:
    """Returns the bytes that a JSON value stands for.

    Raises:
        UsageError: it is neither a string nor `{"base64": "…"}`.
    """
    match value:
        case str():
            return value.encode("utf-8", errors="surrogateescape")
        case {"base64": str() as encoded}:
            try:
                return base64.b64decode(encoded, validate=True)
            except binascii.Error as error:
                raise UsageError(f"{field}: {encoded!r} is not base64: {error}") from None
        case _:
            raise UsageError(f'{field}: {value!r} is neither a string nor {{"base64": "…"}}')


def item_document(item: KeyValue, *, keys_only: bool = False) -> Document:
    """Returns a key as it stands at a revision."""
    document: Document = {"key": text_of(item.key)}
    if not keys_only:
        document["value"] = text_of(item.value)
    document |= {
        "create_revision": item.create_revision,
        "mod_revision": item.mod_revision,
        "version": item.version,
        "lease": item.lease,
    }
    return document


def event_document(event: WatchEvent, *, previous: bool) -> Document:
    """Returns one change; a deletion has key and mod_revision only."""
    item = event.item
    document: Document = {"event": "put" if item.version else "delete"}
    if item.version:
        document |= item_document(item)
    else:
        document |= {"key": text_of(item.key), "mod_revision": item.mod_revision}
    if previous:
        document["previous"] = previous_document(event.previous)
    return document


def previous_document(item: KeyValue | None) -> Document | None:
    """Returns the key before a change, or None when it was not there."""
    return None if item is None else item_document(item)


def lease_document(lease: LeaseState) -> Document:
    """Returns a lease."""
    return {
        "lease": lease.lease,
        "ttl_s": lease.ttl_s,
        "remaining_ms": lease.remaining_ms,
        "keys": [text_of(key) for key in lease.keys],
    }


def answer_document(answer: Answer) -> Document:
    """Returns the answer to one command; within a transaction it is nested under the operation's name."""
    match answer:
        case PutDone(revision, previous):
            return {"revision": revision, "previous": previous_document(previous)}
        case RangeDone(revision, count, more, items):
            found = [item_document(item) for item in items]
            return {"revision": revision, "count": count, "more": more, "items": found}
        case DeleteDone(revision, deleted, gone):
            return {"revision": revision, "deleted": deleted, "previous": [item_document(item) for item in gone]}
        case TransactionDone(revision, succeeded, answers):
            nested = [{operation_name(each): answer_document(each)} for each in answers]
            return {"revision": revision, "succeeded": succeeded, "answers": nested}
        case CompactDone(revision):
            return {"revision": revision}
        case LeaseDone(revision, lease, ttl_s):
            return {"revision": revision, "lease": lease, "ttl_s": ttl_s}
        case LeaseReadDone(revision, leases):
            return {"revision": revision, "leases": [lease_document(lease) for lease in leases]}
        case Failed(code, message):
            return {"code": code.name, "error": message}


def operation_name(answer: Answer) -> str:
    """Returns the name of the operation that `answer` belongs to."""
    match answer:
        case PutDone():
            return "put"
        case RangeDone():
            return "range"
        case DeleteDone():
            return "delete"
        case TransactionDone():
            return "transaction"
        case _:
            return "failed"
