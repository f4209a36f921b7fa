"""A range that is read page by page, every page at the revision of the first."""

from libelli.client.keys import Data, data_bytes
from libelli.stores.mvcc.commands import Range, RangeDone

PAGE_KEYS = 1_000
"""Keys in one request."""


class Pages:
    """The requests for one range, in the order of its keys.

    Args:
        key: the first.
        end: the first that is left out; empty: `key` alone.
        limit: at most so many keys; 0: all.
        revision: 0: the newest, from the second page on that of the first.
        keys_only: without values.
        page_keys: keys in one request.
    """

    def __init__(
        self, key: Data, end: Data, *, limit: int, revision: int, keys_only: bool, page_keys: int = PAGE_KEYS
    ) -> None:
        self._key = data_bytes(key, what="the key")
        self._end = data_bytes(end, what="the end of a range")
        self._limit = limit
        self._left = limit
        self._revision = revision
        self._keys_only = keys_only
        self._page_keys = max(1, page_keys)
        self._has_more = True

    def next(self) -> Range | None:
        """Returns the next request, None when there is nothing more to read."""
        if not self._has_more:
            return None
        count = min(self._page_keys, self._left) if self._limit else self._page_keys
        return Range(self._key, self._end, limit=count, revision=self._revision, keys_only=self._keys_only)

    def take(self, page: RangeDone) -> None:
        """Notes the answer to the last request."""
        self._left -= len(page.items)
        self._revision = self._revision or page.revision
        self._has_more = page.more and bool(page.items) and (not self._limit or self._left > 0)
        if page.items:
            self._key = page.items[-1].key + b"\0"
