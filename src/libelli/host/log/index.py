"""Where each group's entries lie in the segments, so that old ones can be read back.

One span for each record of entries: a few words for a frame of commands, whatever its size.
"""

from bisect import bisect_right

from msgspec import Struct

from libelli.core.ids import Index


class Span(Struct, frozen=True):
    """Entries `first` … `last` in one record of a segment; `offset` and `size` in bytes."""

    first: Index
    last: Index
    segment: int
    offset: int
    size: int


class EntryIndex:
    """The spans of one group, in order, without gap from the log's start to its end."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._firsts: list[int] = []

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans, in order."""
        return tuple(self._spans)

    def add(self, span: Span) -> None:
        """Adds a span; whatever it overlaps, or lies behind it, is gone."""
        while self._spans and self._spans[-1].last >= span.first:
            old = self._spans.pop()
            self._firsts.pop()
            if old.first < span.first:
                self._push(Span(old.first, Index(span.first - 1), old.segment, old.offset, old.size))
        self._push(span)

    def drop_through(self, index: Index) -> None:
        """Forgets the spans that end at or before `index`."""
        keep = 0
        while keep < len(self._spans) and self._spans[keep].last <= index:
            keep += 1
        del self._spans[:keep]
        del self._firsts[:keep]

    def clear(self) -> None:
        """Forgets everything."""
        self._spans.clear()
        self._firsts.clear()

    def find(self, index: Index) -> Span | None:
        """Returns the span that holds `index`, or None."""
        at = bisect_right(self._firsts, index) - 1
        if at < 0 or self._spans[at].last < index:
            return None
        return self._spans[at]

    def first_segment(self) -> int | None:
        """Returns the oldest segment that is still needed, or None when none is.

        Later entries never lie in an older segment: what is written again is written with all that follows it.
        """
        return self._spans[0].segment if self._spans else None

    def _push(self, span: Span) -> None:
        self._spans.append(span)
        self._firsts.append(span.first)
