"""Which seqs were settled before: sets of whole numbers as ranges, and their rows in the database.

`RangeSet` is pure. `load_receipts` and `save_receipts` read and write one epoch's ranges under its box's lock, and
change only the rows that differ.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, bindparam, delete, select

from cloud.store.tables import Receipt
from cloud.store.upsert import replace, table_of

__all__ = ["Range", "RangeSet", "load_receipts", "save_receipts"]

Range = tuple[int, int]
"""First and last, both included."""

_RECEIPT = table_of(Receipt)
_DELETE = delete(_RECEIPT).where(
    _RECEIPT.c.box == bindparam("of_box"),
    _RECEIPT.c.epoch == bindparam("of_epoch"),
    _RECEIPT.c.first_seq == bindparam("of_first"),
)


class RangeSet:
    """Whole numbers from 1 on, as disjoint ranges that never touch."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._firsts, self._lasts, strict=True)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def covers(self, first: int, last: int) -> bool:
        """Whether all of first..last are in."""
        place = bisect_right(self._firsts, first) - 1
        return place >= 0 and last <= self._lasts[place]

    def count(self, first: int, last: int) -> int:
        """How many of first..last are in."""
        low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        touched = zip(self._firsts[low:high], self._lasts[low:high], strict=True)
        return sum(min(last, ends) - max(first, begins) + 1 for begins, ends in touched)

    @property
    def through(self) -> int:
        """The greatest n for which all of 1..n are in; 0 when 1 is not."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 1 else 0

    def beyond(self, limit: int) -> tuple[Range, ...]:
        """The lowest ranges beyond `through`."""
        skip = 1 if self.through else 0
        return tuple(zip(self._firsts[skip : skip + limit], self._lasts[skip : skip + limit], strict=True))

    def add(self, first: int, last: int) -> tuple[Range, ...]:
        """Add first..last; the parts of it that were not in before."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        touched = list(zip(self._firsts[low:high], self._lasts[low:high], strict=True))
        new = tuple(_holes(first, last, touched))
        if touched:
            first, last = min(first, touched[0][0]), max(last, touched[-1][1])
        self._firsts[low:high], self._lasts[low:high] = [first], [last]
        return new


def _holes(first: int, last: int, ranges: Iterable[Range]) -> Iterator[Range]:
    """The parts of first..last that ascending ranges leave free."""
    free = first
    for taken_first, taken_last in ranges:
        if free < taken_first:
            yield free, min(last, taken_first - 1)
        free = max(free, taken_last + 1)
    if free <= last:
        yield free, last


def load_receipts(connection: Connection, *, box: str, epoch: str) -> RangeSet:
    """What was settled of one epoch."""
    query = (
        select(_RECEIPT.c.first_seq, _RECEIPT.c.last_seq)
        .where(_RECEIPT.c.box == box, _RECEIPT.c.epoch == epoch)
        .order_by(_RECEIPT.c.first_seq)
    )
    return RangeSet((first, last) for first, last in connection.execute(query))


def save_receipts(connection: Connection, *, box: str, epoch: str, before: Iterable[Range], after: RangeSet) -> None:
    """Turn the rows of `before` into those of `after`."""
    old, new = dict(before), dict(after)
    key = {"box": box, "epoch": epoch}
    gone = [{"of_box": box, "of_epoch": epoch, "of_first": first} for first in sorted(old.keys() - new.keys())]
    if gone:
        connection.execute(_DELETE, gone)
    changed = [{**key, "first_seq": first, "last_seq": last} for first, last in new.items() if old.get(first) != last]
    replace(connection, Receipt, changed)
