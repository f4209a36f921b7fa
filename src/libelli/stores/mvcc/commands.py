r"""What clients ask of a strong collection, and what it answers: etcd's model in Libelli's own words.

A command is one revision at most; a transaction is one command. A key range is written `key`, `end`: an empty
`end` means the single key, `b"\x00"` every key from `key` on, otherwise keys with key <= k < end.

Source: etcd's API guarantees and interface (see DESIGN.md for the list of rules B1 … G5 that tests cite).
"""

from enum import IntEnum

from msgspec import Struct

from libelli.core.errors import Code

FROM_KEY = b"\x00"
"""As `end`: every key from `key` on. With `key` also `b"\\x00"`: every key there is."""


class SortTarget(IntEnum):
    """What a range is sorted by."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class SortOrder(IntEnum):
    """In which direction a range is sorted; NONE with a target other than KEY means ASCEND."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class CompareTarget(IntEnum):
    """What a compare looks at."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class CompareResult(IntEnum):
    """What a compare asks for."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class KeyValue(Struct, frozen=True, array_like=True, gc=False):
    """A key as it stands at a revision.

    Attributes:
        key: its name.
        value: its bytes (empty where only keys were asked for, and for a deletion).
        create_revision: when this life of the key began.
        mod_revision: when it was last changed.
        version: changes since it was created, the creation is 1; 0 marks a deletion.
        lease: the lease it ends with (0: none).
    """

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class Put(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Sets `key`. `keep_value` and `keep_lease` leave those of an existing key as they are."""

    key: bytes
    value: bytes
    lease: int = 0
    previous: bool = False
    keep_value: bool = False
    keep_lease: bool = False


class Range(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Reads keys. `limit` 0 means no limit, `revision` 0 means now; bounds of 0 do not filter."""

    key: bytes
    end: bytes = b""
    limit: int = 0
    revision: int = 0
    order: SortOrder = SortOrder.NONE
    target: SortTarget = SortTarget.KEY
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class DeleteRange(Struct, frozen=True, array_like=True, tag=3):
    """Deletes keys; answers the deleted ones when `previous`."""

    key: bytes
    end: bytes = b""
    previous: bool = False


class Compare(Struct, frozen=True, array_like=True):
    """A condition on a key, or with `end` on every key of a range.

    `number` is compared for VERSION, CREATE, MOD and LEASE, `value` for VALUE.
    """

    key: bytes
    target: CompareTarget
    result: CompareResult
    number: int = 0
    value: bytes = b""
    end: bytes = b""


class Transaction(Struct, frozen=True, array_like=True, tag=4):
    """Runs `success` when every compare holds, else `failure`; operations may nest."""

    compares: tuple[Compare, ...] = ()
    success: tuple["Operation", ...] = ()
    failure: tuple["Operation", ...] = ()


class Compact(Struct, frozen=True, array_like=True, tag=5):
    """Forgets history: revisions before `revision` cannot be read any more."""

    revision: int


class LeaseGrant(Struct, frozen=True, array_like=True, tag=6):
    """Makes a lease of `ttl_s` seconds; `lease` 0 lets the store choose the number."""

    lease: int
    ttl_s: int


class LeaseRevoke(Struct, frozen=True, array_like=True, tag=7):
    """Ends a lease and deletes its keys, in one revision, in key order."""

    lease: int


class LeaseRead(Struct, frozen=True, array_like=True, tag=8):
    """Reads a lease's granted time and, when `keys`, the keys attached to it. 0 lists all leases."""

    lease: int
    keys: bool = False


Operation = Put | Range | DeleteRange | Transaction
"""What may stand in a transaction."""

Command = Put | Range | DeleteRange | Transaction | Compact | LeaseGrant | LeaseRevoke | LeaseRead
"""What may stand in a client frame."""


class PutDone(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Answers `Put`."""

    revision: int
    previous: KeyValue | None = None


class RangeDone(Struct, frozen=True, array_like=True, tag=2):
    """Answers `Range`.

    Attributes:
        revision: the store's current revision (also for a read in the past).
        count: keys in the range at that revision, whatever limit and filters say.
        more: there are keys beyond the limit, or beyond the size that one answer may have.
        items: what was found.
    """

    revision: int
    count: int
    more: bool
    items: tuple[KeyValue, ...]


class DeleteDone(Struct, frozen=True, array_like=True, tag=3):
    """Answers `DeleteRange`."""

    revision: int
    deleted: int
    previous: tuple[KeyValue, ...] = ()


class TransactionDone(Struct, frozen=True, array_like=True, tag=4):
    """Answers `Transaction` with the answers of the branch that ran."""

    revision: int
    succeeded: bool
    answers: tuple["Answer", ...]


class CompactDone(Struct, frozen=True, array_like=True, tag=5):
    """Answers `Compact`."""

    revision: int


class LeaseDone(Struct, frozen=True, array_like=True, tag=6):
    """Answers `LeaseGrant` and `LeaseRevoke`."""

    revision: int
    lease: int
    ttl_s: int


class LeaseState(Struct, frozen=True, array_like=True):
    """A lease; `remaining_ms` is known to the leader only (-1: unknown)."""

    lease: int
    ttl_s: int
    keys: tuple[bytes, ...] = ()
    remaining_ms: int = -1


class LeaseReadDone(Struct, frozen=True, array_like=True, tag=7):
    """Answers `LeaseRead`; empty when the lease is not there."""

    revision: int
    leases: tuple[LeaseState, ...]


class Failed(Struct, frozen=True, array_like=True, tag=8):
    """Answers any command that was refused: nothing was changed."""

    code: Code
    message: str


Answer = PutDone | RangeDone | DeleteDone | TransactionDone | CompactDone | LeaseDone | LeaseReadDone | Failed


class WatchEvent(Struct, frozen=True, array_like=True):
    """One change: `item.version` 0 is a deletion, which has key and mod_revision only.

    Attributes:
        item: the key after the change.
        previous: the key before it, when asked for and not yet compacted.
    """

    item: KeyValue
    previous: KeyValue | None = None
