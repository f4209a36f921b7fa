"""Hashes of what a store holds at a revision: equal on every replica that holds the same (H2)."""

from hashlib import blake2b

from libelli.core.limits import RANGE_ANSWER_SIZE_MAX
from libelli.stores.mvcc.commands import FROM_KEY
from libelli.stores.mvcc.lookups import Lookups
from libelli.stores.mvcc.tables import FIELDS_AT

DIGEST_SIZE = 16

Digest = tuple[bytes, bytes | None, int]
"""The hash, the first key that is not in it (None: there is none), how many keys are in it."""


def digest_at(lookups: Lookups, revision: int | None, *, start_key: bytes, keys_max: int) -> Digest:
    """Returns the hash of keys with their values, revisions, versions and leases.

    Args:
        lookups: of the store.
        revision: at which; None for now.
        start_key: the first key.
        keys_max: after so many keys it ends; also after so many bytes as an answer may have.
    """
    total = blake2b(digest_size=DIGEST_SIZE)
    count = size = 0
    for found in lookups.range(start_key or b"\x00", FROM_KEY, revision=revision):
        if count == keys_max or size > RANGE_ANSWER_SIZE_MAX:
            return total.digest(), found[0], count
        record = lookups.record(found[1])
        total.update(len(record).to_bytes(4, "big") + found[1])
        total.update(memoryview(record)[FIELDS_AT:])
        size += len(record)
        count += 1
    return total.digest(), None, count
