"""Who waits for entries whose data left memory; one `Load` is under way at a time, each waits its turn."""

from libelli.core.ids import Index, NodeId

STORE = NodeId(0)
"""The replica's own store wants entries to apply."""


class Loads:
    """A queue of wishes, one a wisher."""

    __slots__ = ("_under_way", "_wanted")

    def __init__(self) -> None:
        self._wanted: dict[NodeId, tuple[Index, Index]] = {}
        self._under_way: Index | None = None

    def want(self, wisher: NodeId, *, first: Index, last: Index) -> None:
        """`wisher` (a follower, or `STORE`) needs entries from `first` on; replaces what it wanted before."""
        self._wanted[wisher] = (first, last)

    def next(self) -> tuple[Index, Index] | None:
        """Returns the range to load now, or None when nothing is wanted or a load is under way."""
        if self._under_way is not None or not self._wanted:
            return None
        wisher = next(iter(self._wanted))
        first, last = self._wanted.pop(wisher)
        self._under_way = first
        return first, last

    def finish(self, first: Index) -> bool:
        """Entries from `first` on arrived; returns whether they are the ones that were asked for."""
        expected = self._under_way == first
        if expected:
            self._under_way = None
        return expected
