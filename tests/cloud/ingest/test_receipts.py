from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cloud.ingest.receipts import Range, RangeSet, load_receipts, save_receipts
from cloud.store.engine import reading, writing
from cloud.store.tables import Receipt
from tests.support.envelopes import BOX, EPOCH, rows_of

_RANGES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=30
)


@given(_RANGES)
def test_a_range_set_is_a_set_of_numbers(ranges: list[Range]) -> None:
    numbers: set[int] = set()
    receipts = RangeSet()
    for first, last in ranges:
        wanted = set(range(first, last + 1)) - numbers
        covered = [number for low, high in receipts.add(first, last) for number in range(low, high + 1)]
        assert sorted(wanted) == covered
        numbers |= wanted
    assert {number for number in range(1, 80) if number in receipts} == numbers
    pairs = [(first, last) for first in range(1, 75) for last in (first, first + 1, first + 5)]
    assert all(receipts.covers(first, last) == (set(range(first, last + 1)) <= numbers) for first, last in pairs)
    assert [number for low, high in receipts for number in range(low, high + 1)] == sorted(numbers)
    assert receipts.through == next(number for number in range(100) if number + 1 not in numbers)


@given(_RANGES)
def test_ranges_never_touch(ranges: list[Range]) -> None:
    kept = list(RangeSet(ranges))
    assert all(first <= last for first, last in kept)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(kept))


@pytest.mark.parametrize(
    ("ranges", "through", "beyond"),
    [
        pytest.param([], 0, (), id="nothing received"),
        pytest.param([(1, 4)], 4, (), id="everything so far"),
        pytest.param([(2, 4)], 0, ((2, 4),), id="the first is missing"),
        pytest.param([(1, 2), (5, 6), (9, 9)], 2, ((5, 6), (9, 9)), id="two holes"),
        pytest.param([(1, 2), (5, 6), (9, 9), (11, 12)], 2, ((5, 6), (9, 9)), id="no more ranges than asked for"),
    ],
)
def test_what_is_acknowledged(ranges: list[Range], through: int, beyond: tuple[Range, ...]) -> None:
    receipts = RangeSet(ranges)
    assert receipts.through == through
    assert receipts.beyond(2) == beyond


@given(ranges=_RANGES, first=st.integers(1, 40), length=st.integers(1, 20))
def test_how_many_of_a_range_are_in(ranges: list[Range], first: int, length: int) -> None:
    receipts = RangeSet(ranges)
    assert receipts.count(first, first + length - 1) == sum(n in receipts for n in range(first, first + length))


def test_saving_changes_only_the_rows_that_differ(engine: Engine) -> None:
    before = RangeSet([(1, 4), (8, 9), (20, 30)])
    with writing(engine) as connection:
        save_receipts(connection, box=BOX, epoch=EPOCH, before=(), after=before)
        after = RangeSet(before)
        after.add(5, 7)
        after.add(40, 40)
        save_receipts(connection, box=BOX, epoch=EPOCH, before=tuple(before), after=after)
    with reading(engine) as connection:
        assert list(load_receipts(connection, box=BOX, epoch=EPOCH)) == [(1, 9), (20, 30), (40, 40)]
        assert list(load_receipts(connection, box=BOX, epoch="b" * 16)) == []
    assert [(row["first_seq"], row["last_seq"]) for row in rows_of(engine, Receipt)] == [(1, 9), (20, 30), (40, 40)]
