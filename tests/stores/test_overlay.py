"""What an overlay adds to an engine; that it is one, the conformance suite shows."""

from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.overlay import ROW_OVERHEAD_BYTES, Overlay


def test_many_rows_at_once_are_the_same_as_one_after_the_other() -> None:
    together, single = Overlay(MemoryCheckpoint()), Overlay(MemoryCheckpoint())
    rows = {b"%03d" % number: b"v" * 7 for number in range(0, 100, 3)}
    for overlay in (together, single):
        overlay.put(1, b"000", b"old")
        overlay.delete(1, b"003")
    together.put_all(1, rows)
    together.put_all(2, {})
    for key, value in rows.items():
        single.put(1, key, value)
    assert list(together.scan(1)) == list(single.scan(1)) == sorted(rows.items())
    assert together.count == single.count


def test_the_size_grows_with_new_rows_and_falls_to_nothing_when_frozen() -> None:
    overlay = Overlay(MemoryCheckpoint())
    overlay.put_all(1, {b"a": b"1" * 10, b"b": b"2" * 20})
    assert overlay.size_bytes == 2 * (ROW_OVERHEAD_BYTES + 16)
    overlay.put_all(1, {b"a": b"1" * 10})
    assert overlay.size_bytes == 2 * (ROW_OVERHEAD_BYTES + 16)
    overlay.freeze()
    assert overlay.size_bytes == 0
