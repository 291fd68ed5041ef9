import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.histograms import DURATION_BOUNDS_SECONDS, SCORE_BOUNDS, bin_of, percentile

BINS = len(DURATION_BOUNDS_SECONDS) + 1
EDGES = (0.0, *DURATION_BOUNDS_SECONDS, 2.0 * DURATION_BOUNDS_SECONDS[-1])
COUNTS = st.lists(st.integers(0, 1000), min_size=BINS, max_size=BINS).filter(any)
SECONDS = st.floats(0, 57_000)


@pytest.mark.parametrize(
    ("seconds", "index"), [(0, 0), (4.999, 0), (5, 1), (9.99, 1), (10, 2), (28_799.9, 22), (28_800, 23), (1e7, 23)]
)
def test_a_bin_holds_its_lower_bound(seconds: float, index: int) -> None:
    assert bin_of(seconds) == index


@given(value=st.floats(0, 100))
def test_a_score_falls_into_the_bin_around_it(value: float) -> None:
    index = bin_of(value, SCORE_BOUNDS)
    edges = (0, *SCORE_BOUNDS, float("inf"))
    assert edges[index] <= value < edges[index + 1]


def test_an_empty_histogram_has_no_percentile() -> None:
    assert percentile([0] * BINS, 0.5) is None


def test_a_percentile_is_linear_within_its_bin() -> None:
    counts = [0] * BINS
    counts[bin_of(60)] = 10
    assert percentile(counts, 0.5) == 75
    assert percentile(counts, 0.0) == 60
    assert percentile(counts, 1.0) == 90


def test_the_best_scores_stay_within_a_hundred() -> None:
    counts = [0] * len(SCORE_BOUNDS) + [4]
    assert percentile(counts, 1.0, SCORE_BOUNDS, highest=100) == 100
    assert percentile(counts, 0.5, SCORE_BOUNDS, highest=100) == 95


@given(counts=COUNTS, one=st.floats(0, 1), other=st.floats(0, 1))
def test_percentiles_do_not_fall(counts: list[int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    lower, higher = percentile(counts, low), percentile(counts, high)
    assert lower is not None
    assert higher is not None
    assert lower <= higher + 1e-9


@given(values=st.lists(SECONDS, min_size=1, max_size=60), fraction=st.floats(0.01, 1))
def test_a_percentile_lies_in_the_bin_of_the_true_one(values: list[float], fraction: float) -> None:
    counts = [0] * BINS
    for value in values:
        counts[bin_of(value)] += 1
    rank = next(index for index in range(1, len(values) + 1) if index >= fraction * len(values))
    index = bin_of(sorted(values)[rank - 1])
    found = percentile(counts, fraction)
    assert found is not None
    assert EDGES[index] - 1e-6 <= found <= EDGES[index + 1] + 1e-6


@given(one=COUNTS, other=COUNTS, fraction=st.floats(0, 1))
def test_the_percentile_of_a_sum_lies_between(one: list[int], other: list[int], fraction: float) -> None:
    parts = [found for found in (percentile(one, fraction), percentile(other, fraction)) if found is not None]
    whole = percentile([a + b for a, b in zip(one, other, strict=True)], fraction)
    assert whole is not None
    # Within the bins of the two, since a sum is exact and only the place within a bin is not.
    assert EDGES[max(bin_of(min(parts)) - 1, 0)] <= whole <= EDGES[min(bin_of(max(parts)) + 1, BINS)]
