"""What a strong store knows about itself: one row, written with every frame of commands."""

from msgspec import Struct

from libelli.core import Decoder, encode
from libelli.stores.engine import Engine
from libelli.stores.mvcc.tables import META, NOWHERE

_ROW = b"totals"


class Totals(Struct, array_like=True):
    """The store's counters.

    Attributes:
        revision: of the last change; a fresh store has 1 (B1).
        compact_revision: history before it is gone; -1 before the first compaction, so that compacting to 0
            succeeds once, as in etcd.
        keys: how many keys exist.
        last_lease: the number that was last chosen for a lease.
        size_bytes: of all records: keys, values and history. This and what follows depends on how far the
            freeing of compacted history has come, which is each replica's own business.
        deleted: how many rows DELETED has.
        scrubbed: the compaction whose history was freed last.
        scrub_target: the compaction whose history is being freed, or was.
        scrub_position: where freeing goes on.
    """

    revision: int = 1
    compact_revision: int = -1
    keys: int = 0
    last_lease: int = 0
    size_bytes: int = 0
    deleted: int = 0
    scrubbed: int = -1
    scrub_target: int = -1
    scrub_position: bytes = NOWHERE


_decoder: Decoder[Totals] = Decoder(Totals, name="totals of a strong store")


def load_totals(engine: Engine) -> Totals:
    """Returns the totals in `engine`; those of a fresh store when it is empty.

    Raises:
        CodecError: the row is something else.
    """
    row = engine.get(META, _ROW)
    return Totals() if row is None else _decoder.decode(row)


def save_totals(engine: Engine, totals: Totals) -> None:
    """Writes the totals."""
    engine.put(META, _ROW, encode(totals))
