"""The tables of a strong store, and the bytes in them.

::

    KEYS        key      ─► head       every key that exists now
    DELETED     key      ─► head       deleted keys that history still knows; none of them is in KEYS
    REVISIONS   pointer  ─► record     every change since the last compaction, and what survived it
    LEASES      lease    ─► ttl
    LEASE_KEYS  lease key ─► (nothing)
    META        name     ─► totals

    pointer   revision u64, sub u32 (its place among the changes of that revision); order of bytes is order of time
    head      create, version, shape, lease, size of the last record; then a stack of pointers
    record    previous, jump, size of the previous record, create, version, lease, size of key; key; value
    lease key lease, key

The records of a key form a chain, newest first: each points to the one before (*previous*) and to one further
back (*jump*), so that the record that was current at an old revision is a logarithm of steps away, and no table
needs a row for every (key, revision). A chain is cut into blocks of 1, 3, 7, 15, … records, small ones newest, and
only the two newest may be of one size. A new record is a block of its own, with a jump to the one before it;
but when two blocks of one size stand at the end, it joins both to one block, and jumps over them::

    records    1 ◄─ 2 ◄─ 3 ◄─ 4 ◄─ 5 ◄─ 6 ◄─ 7 ◄─ 8        blocks     1 · 1 1 · 3 · 3 1 · 3 1 1 · 3 3 · 7 · 7 1
    jump to    –    1    –    3    4    3    –    7         stack of 8  [–, 7, 8]

The head's stack has the newest record of each block, above NOWHERE. Its shape says how large they are: bit k
stands for a block of 2**k - 1 records, bit 0 for another one of the smallest size there is.

A pointer into compacted history is left where it is; nobody who may read needs to follow it. A key that begins
a new life goes on with the chain of the old one while its deletion is younger than the last compaction, and
begins a chain otherwise: so what is written never depends on how far a replica has come with freeing.

Source: Myers, "An applicative random-access stack", Information Processing Letters 17, 1983.
Differs: etcd keeps an index of all keys and their revisions in memory; here nothing grows with the data.
"""

import struct

KEYS = 1
DELETED = 2
REVISIONS = 3
LEASES = 4
LEASE_KEYS = 5
META = 6

_POINTER = struct.Struct(">QI")
POINTER_SIZE = _POINTER.size
NOWHERE = bytes(POINTER_SIZE)
"""The pointer of a chain's end."""

pack_pointer = _POINTER.pack
unpack_pointer = _POINTER.unpack

_HEAD = struct.Struct(">QQQqI")
HEAD_SIZE = _HEAD.size
pack_head = _HEAD.pack
unpack_head = _HEAD.unpack_from

_RECORD = struct.Struct(f">{POINTER_SIZE}s{POINTER_SIZE}sIQQqI")
RECORD_SIZE = _RECORD.size
FIELDS_AT = 2 * POINTER_SIZE + 4
"""Where a record's own fields begin, behind those that tie it to others."""
pack_record = _RECORD.pack
unpack_record = _RECORD.unpack_from

LEASE_SIZE = 8
LEASE_MIN = -(2**63)
LEASE_MAX = 2**63 - 1


def first_pointer(revision: int) -> bytes:
    """Returns the pointer to the first change of `revision`; all earlier ones are smaller."""
    return pack_pointer(revision, 0)


def revision_of(pointer: bytes) -> int:
    """Returns the revision that a pointer points into."""
    return int.from_bytes(pointer[:8], "big")


def pack_lease(lease: int) -> bytes:
    """Returns the key of a lease."""
    return lease.to_bytes(LEASE_SIZE, "big", signed=True)


def unpack_lease(row: bytes) -> int:
    """Returns the lease whose key, or whose key of an attached key, `row` is."""
    return int.from_bytes(row[:LEASE_SIZE], "big", signed=True)


class _Joined(dict[int, int]):
    """Shapes of stacks, and those after one more record; there are few, so each is worked out once."""

    def __missing__(self, shape: int) -> int:
        after = shape
        if shape & 1:
            after -= 1
            block = after & -after
            after ^= block
            after |= 1 if after & 2 * block else 2 * block
        else:
            after |= 1 if after & 2 else 2
        self[shape] = after
        return after


JOINED = _Joined()


def link(head: bytes, shape: int, pointer: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Returns previous, jump, the new shape and the new stack for a record at `pointer` on top of `head`."""
    kept = head[HEAD_SIZE:]
    if shape & 1:
        kept = kept[: -2 * POINTER_SIZE]
    return head[-POINTER_SIZE:], kept[-POINTER_SIZE:], JOINED[shape], kept + pointer
