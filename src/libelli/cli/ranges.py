"""Ranges of any length, read page by page at one revision."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from libelli.cli.documents import Document
from libelli.core.errors import CodecError
from libelli.stores.mvcc.commands import KeyValue, Range, RangeDone, SortOrder, SortTarget

if TYPE_CHECKING:
    from libelli.client import Client

PAGE_KEYS = 1_000
"""Keys in one request of a range that is read page by page."""


def read_range(client: "Client", wanted: Range, *, collection: str, serializable: bool = False) -> RangeDone:
    """Returns the answer to one request.

    Raises:
        CallError: it was refused.
    """
    answer = client.execute(wanted, collection=collection, serializable=serializable)
    if not isinstance(answer, RangeDone):
        raise CodecError(f"{type(answer).__name__} in answer to a range: node and client do not fit each other")
    return answer


class Pages:
    """A range, read in pages; all of them stand at the revision of the first.

    A range that is not sorted by its keys, the first one first, is one request, and ends at the size of one answer.

    Args:
        client: whom to ask.
        wanted: the whole range.
        collection: where.
        serializable: any node may answer.
    """

    def __init__(self, client: "Client", wanted: Range, *, collection: str, serializable: bool) -> None:
        self._client = client
        self._wanted = wanted
        self._collection = collection
        self._serializable = serializable
        self._is_paged = wanted.target is SortTarget.KEY and wanted.order is not SortOrder.DESCEND
        self.fields: Document = {"collection": collection, "revision": 0, "count": 0, "shown": 0, "more": False}
        """What is known of the whole; complete when all items were taken."""

    def items(self) -> Iterator[KeyValue]:
        """Yields what is found."""
        answer = self._ask(self._wanted)
        self.fields |= {"revision": answer.revision, "count": answer.count}
        while True:
            yield from answer.items
            self.fields["shown"] += len(answer.items)
            self.fields["more"] = self.fields["shown"] < self.fields["count"]
            if not self._has_following(answer):
                return
            # at the revision of the first page, unless an older one was asked for
            revision = self._wanted.revision or self.fields["revision"]
            key = answer.items[-1].key + b"\0"
            answer = self._ask(msgspec.structs.replace(self._wanted, key=key, revision=revision))

    def _has_following(self, answer: RangeDone) -> bool:
        is_enough = 0 < self._wanted.limit <= self.fields["shown"]
        return self._is_paged and answer.more and bool(answer.items) and not is_enough

    def _ask(self, asked: Range) -> RangeDone:
        limit = self._wanted.limit - self.fields["shown"] if self._wanted.limit else 0
        if self._is_paged:
            limit = min(limit, PAGE_KEYS) or PAGE_KEYS
        wanted = msgspec.structs.replace(asked, limit=limit)
        return read_range(self._client, wanted, collection=self._collection, serializable=self._serializable)
