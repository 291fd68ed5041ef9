"""Counts beside truths in which each mistake is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.accuracy.account import Account, Passage, Stay
from edge.accuracy.comparison import Figure, Share, compare, in_step, paired
from edge.lines import Direction


def stays(*spans: tuple[float, float]) -> tuple[Stay, ...]:
    return tuple(Stay(first=first, last=last) for first, last in spans)


def passages(*moments: float, line: str = "door", direction: Direction = "in") -> tuple[Passage, ...]:
    return tuple(Passage(at=at, line=line, direction=direction) for at in moments)


def figures(counted: Account, true: Account, lines: tuple[str, ...] = ("door",)) -> dict[str, Figure]:
    return {figure.name: figure for figure in compare(counted, true, lines=lines)}


TWENTY = tuple((10.0 * number, 10.0 * number + 8) for number in range(20))


def test_a_perfect_count_has_no_error_and_an_interval_all_the_same() -> None:
    same = Account(stays=stays(*TWENTY), passages=passages(*range(20)))
    found = figures(same, same)
    assert list(found) == ["visits", "mean dwell", "door in", "door out"]
    visits = found["visits"]
    assert (visits.counted, visits.true, visits.error) == (20, 20, 0.0)
    assert visits.interval == pytest.approx((-0.184, 0.184), abs=1e-3)
    assert (visits.found, visits.right) == (Share(part=20, whole=20),) * 2
    assert (found["mean dwell"].counted, found["mean dwell"].error) == (8.0, 0.0)
    assert found["door in"].error == 0.0


def test_missed_and_invented_visits_cancel_in_the_number_and_not_in_the_shares() -> None:
    counted = stays(*TWENTY[:18], (501, 509), (601, 609))
    visits = figures(Account(stays=counted, passages=()), Account(stays=stays(*TWENTY), passages=()))["visits"]
    assert (visits.error, visits.found, visits.right) == (0.0, Share(part=18, whole=20), Share(part=18, whole=20))
    assert visits.interval is not None
    assert visits.interval[1] - visits.interval[0] > 2 * 0.184, "two mistakes each way make it wider than none"


def test_a_visit_counted_in_two_pieces_is_one_found_and_one_invented() -> None:
    found = figures(Account(stays=stays((0, 60), (63, 100)), passages=()), Account(stays=stays((0, 100)), passages=()))
    assert (found["visits"].error, found["visits"].found) == (1.0, Share(part=1, whole=1))
    assert found["mean dwell"].error == pytest.approx(-0.515)
    assert found["mean dwell"].interval is None, "one person tells nothing of the next"


def test_the_error_of_dwell_is_the_products_mean_beside_the_true_one() -> None:
    short = stays(*((first, last - 0.8 - 0.1 * (first % 20 == 0)) for first, last in TWENTY))
    dwell = figures(Account(stays=short, passages=()), Account(stays=stays(*TWENTY), passages=()))["mean dwell"]
    assert dwell.error == pytest.approx(-0.85 / 8)
    low, high = dwell.interval or (0.0, 0.0)
    assert -0.12 < low < -0.85 / 8 < high < -0.10


def test_crossings_are_compared_line_by_line_and_way_by_way() -> None:
    counted = Account(stays=(), passages=(*passages(1, 2), *passages(3, direction="out"), *passages(4, line="back")))
    true = Account(stays=(), passages=(*passages(1), *passages(3, 9, direction="out")))
    found = figures(counted, true, lines=("door", "back"))
    assert (found["door in"].counted, found["door in"].true, found["door in"].error) == (2, 1, 1.0)
    assert (found["door out"].found, found["door out"].right) == (Share(part=1, whole=2), Share(part=1, whole=1))
    back = found["back in"]
    assert (back.counted, back.true, back.error, back.interval) == (1, 0, None, None)
    assert back.right == Share(part=0, whole=1)


def test_what_the_truth_says_nothing_of_is_not_judged() -> None:
    counted = Account(stays=stays((0, 5)), passages=passages(1))
    assert list(figures(counted, Account(stays=stays((0, 5)), passages=None))) == ["visits", "mean dwell"]
    assert list(figures(counted, Account(stays=None, passages=passages(1)))) == ["door in", "door out"]


@pytest.mark.parametrize(
    ("one", "other", "matched"),
    [
        pytest.param([1, 2, 3], [1, 2, 3], 3, id="all"),
        pytest.param([], [1], 0, id="none"),
        pytest.param([10, 10.1], [10], 1, id="one is not matched twice"),
        pytest.param([0, 3], [1.9, 4.9], 2, id="each to the next"),
        pytest.param([5], [7.1], 0, id="too far"),
    ],
)
def test_moments_in_step(one: list[float], other: list[float], matched: int) -> None:
    assert in_step(one, other, tolerance=2.0) == in_step(other, one, tolerance=2.0) == matched


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([(0, 10), (0, 4)], [(0, 5), (0, 10)], [(0, 1), (1, 0)], id="by what they share"),
        pytest.param([(0, 10)], [(8, 30)], [], id="too little in common"),
        pytest.param([(0, 10)], [(0, 10), (0, 10)], [(0, 0)], id="each at most once"),
        pytest.param([], [(0, 10)], [], id="nobody counted"),
    ],
)
def test_visits_are_paired(
    one: list[tuple[float, float]], other: list[tuple[float, float]], expected: list[tuple[int, int]]
) -> None:
    assert paired(stays(*one), stays(*other)) == expected


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda two: (two[0], two[0] + two[1])), max_size=8
)


@given(spans, spans)
def test_errors_are_what_was_invented_less_what_was_missed(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    visits = figures(Account(stays=stays(*one), passages=()), Account(stays=stays(*other), passages=()))["visits"]
    assert visits.found is not None
    assert visits.right is not None
    assert visits.found.part == visits.right.part <= min(len(one), len(other))
    if visits.error is not None and visits.interval is not None:
        assert visits.interval[0] <= visits.error <= visits.interval[1]
        assert visits.interval[0] >= -1
