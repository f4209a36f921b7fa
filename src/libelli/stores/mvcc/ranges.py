"""Answers ranges: which keys, in which order, and how many of them fit into an answer.

The answers to one frame share `RANGE_ANSWER_SIZE_MAX` bytes, so a frame of many ranges cannot fill the memory.
"""

from collections.abc import Callable, Iterator
from operator import itemgetter

from libelli.core import Code, Refused
from libelli.core.limits import RANGE_ANSWER_SIZE_MAX
from libelli.stores.mvcc.commands import FROM_KEY, KeyValue, Range, RangeDone, SortOrder, SortTarget
from libelli.stores.mvcc.lookups import Found, Lookups
from libelli.stores.mvcc.tables import RECORD_SIZE, revision_of
from libelli.stores.mvcc.totals import Totals
from libelli.stores.mvcc.writer import Writer

Selected = tuple[list[Found], int, bool]
"""What goes into the answer, how many keys the range has, and whether there are more."""

_SPARE = 1024
"""Found keys that a sort may hold beyond its limit before it throws the last ones away."""


class Ranges:
    """Answers ranges over one store.

    Attributes:
        left_bytes: what the answers to the rest of this frame may take.
    """

    def __init__(self, lookups: Lookups, writer: Writer, totals: Totals) -> None:
        self._lookups = lookups
        self._writer = writer
        self._totals = totals
        self.left_bytes = RANGE_ANSWER_SIZE_MAX

    def check_revision(self, revision: int) -> None:
        """Checks that a revision can be read (C4); 0 and less mean now.

        Raises:
            Refused: it is compacted, or does not exist yet.
        """
        totals = self._totals
        if revision > totals.revision:
            message = f"revision {revision} does not exist yet; the newest is {totals.revision}: read that, or later"
            raise Refused(message, code=Code.FUTURE_REVISION)
        if 0 < revision < totals.compact_revision:
            message = (
                f"revision {revision} is compacted; the oldest is {totals.compact_revision}: read that or a newer one"
            )
            raise Refused(message, code=Code.COMPACTED)

    def reserve(self, size_bytes: int) -> None:
        """Takes room for a part of an answer that cannot be left out.

        Raises:
            Refused: there is no more.
        """
        if size_bytes > self.left_bytes:
            raise self._full()
        self.left_bytes -= size_bytes

    def answer(self, command: Range, *, may_be_empty: bool = False) -> RangeDone:
        """Answers a range whose revision was checked.

        Args:
            command: the range.
            may_be_empty: answer without items rather than not at all when there is no room for any; `more` and
                `count` tell of them. For ranges inside a transaction, which is too late to refuse.

        Raises:
            Refused: there is room for none of what was found.
        """
        if not command.end and command.revision <= 0 and not (command.count_only or _has_filter(command)):
            found = self._lookups.now(command.key)
            if found is None:
                return RangeDone(self._writer.revision, 0, False, ())
            if found[5] <= self.left_bytes:  # the hottest read there is
                self.left_bytes -= found[5]
                item = self._lookups.item(found, keys_only=command.keys_only)
                return RangeDone(self._writer.revision, 1, False, (item,))
        kept, count, more = self._select(command)
        if more and not kept and not may_be_empty:
            raise self._full()
        return RangeDone(self._writer.revision, count, more, self._items(kept, keys_only=command.keys_only))

    def _items(self, kept: list[Found], *, keys_only: bool) -> tuple[KeyValue, ...]:
        if keys_only:
            self.left_bytes -= sum(RECORD_SIZE + len(each[0]) for each in kept)
            return tuple([self._lookups.item(each, keys_only=True) for each in kept])
        self.left_bytes -= sum([each[5] for each in kept])
        return tuple([self._lookups.item(each) for each in kept])

    def _full(self) -> Refused:
        message = (
            f"the answers to one frame may have {RANGE_ANSWER_SIZE_MAX:,} bytes, and {self.left_bytes:,} are not "
            f"enough for the rest: ask for less at once"
        )
        return Refused(message, code=Code.TOO_LARGE)

    def _select(self, command: Range) -> Selected:
        is_past = 0 < command.revision < self._writer.revision
        reverse = command.target is SortTarget.KEY and command.order is SortOrder.DESCEND
        revision = command.revision if is_past else None
        found = self._lookups.range(command.key, command.end, revision=revision, reverse=reverse)
        # with millions of keys, counting them one by one would stop a node for seconds
        is_everything = not is_past and command.key == b"\x00" and command.end == FROM_KEY
        if command.count_only:
            return [], self._totals.keys if is_everything else sum(1 for _ in found), False
        if command.target is not SortTarget.KEY:
            return self._sort(command, found)
        kept, count, more = self._take(command, found)
        if more:
            count = self._totals.keys if is_everything else count + sum(1 for _ in found)
        return kept, count, more

    def _take(self, command: Range, found: Iterator[Found]) -> Selected:
        """Takes keys as they come, until there are enough."""
        passes = _filter(command) if _has_filter(command) else None
        limit, left_bytes, keys_only = command.limit, self.left_bytes, command.keys_only
        kept: list[Found] = []
        count = 0
        for each in found:
            count += 1
            if passes is not None and not passes(each):
                continue
            left_bytes -= RECORD_SIZE + len(each[0]) if keys_only else each[5]
            if left_bytes < 0 or 0 < limit == len(kept):
                return kept, count, True
            kept.append(each)
        return kept, count, False

    def _sort(self, command: Range, found: Iterator[Found]) -> Selected:
        """Takes the first keys in another order than that of the keys (C3); equals stand in key order."""
        passes = _filter(command) if _has_filter(command) else None
        value_of = self._sort_value(command.target)
        best: list[tuple[int | bytes, int, Found]] = []
        count = passed = size = 0
        for each in found:
            count += 1
            if passes is not None and not passes(each):
                continue
            passed += 1
            # a value that is sorted by is held until then, also when only the key is asked for
            keys_only = command.keys_only and command.target is not SortTarget.VALUE
            cost = RECORD_SIZE + len(each[0]) if keys_only else each[5]
            best.append((value_of(each), cost, each))
            size += cost
            if size > 2 * RANGE_ANSWER_SIZE_MAX or 0 < 2 * command.limit + _SPARE < len(best):
                best, size = self._best(command, best)
        best, _ = self._best(command, best)
        return [each for _, _, each in best], count, len(best) < passed

    def _sort_value(self, target: SortTarget) -> Callable[[Found], int | bytes]:
        match target:
            case SortTarget.VERSION:
                return itemgetter(3)
            case SortTarget.CREATE:
                return itemgetter(2)
            case SortTarget.MOD:
                return lambda found: revision_of(found[1])
            case _:
                return self._lookups.value

    def _best(
        self, command: Range, best: list[tuple[int | bytes, int, Found]]
    ) -> tuple[list[tuple[int | bytes, int, Found]], int]:
        """Returns the first ones that fit into the answer, and their size."""
        best.sort(key=itemgetter(0), reverse=command.order is SortOrder.DESCEND)
        size = 0
        kept = []
        for each in best[: command.limit] if command.limit > 0 else best:
            if size + each[1] > self.left_bytes:
                break
            size += each[1]
            kept.append(each)
        return kept, size


def _has_filter(command: Range) -> bool:
    return bool(
        command.min_mod_revision
        or command.max_mod_revision
        or command.min_create_revision
        or command.max_create_revision
    )


def _filter(command: Range) -> Callable[[Found], bool]:
    """Returns what tells whether a key is wanted by its revisions (C3)."""
    min_mod, max_mod = command.min_mod_revision, command.max_mod_revision
    min_create, max_create = command.min_create_revision, command.max_create_revision

    def passes(found: Found) -> bool:
        mod, create = revision_of(found[1]), found[2]
        return not (
            (min_mod and mod < min_mod)
            or (max_mod and mod > max_mod)
            or (min_create and create < min_create)
            or (max_create and create > max_create)
        )

    return passes
