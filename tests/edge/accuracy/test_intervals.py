from collections.abc import Sequence

import numpy as np
import pytest

from edge.accuracy.intervals import difference, jackknife, poisson


@pytest.mark.parametrize(
    ("count", "expected"), [(0, (0.0, 3.6889)), (1, (0.0253, 5.5716)), (10, (4.7954, 18.3904)), (100, (81.36, 121.63))]
)
def test_of_a_count(count: int, expected: tuple[float, float]) -> None:
    assert poisson(count) == pytest.approx(expected, abs=6e-3)


def test_no_mistake_in_a_small_film_is_no_proof() -> None:
    assert difference(0, 0) == pytest.approx((-3.6889, 3.6889), abs=1e-3)


def test_a_difference_turned_around_has_the_interval_turned_around() -> None:
    low, high = difference(7, 2)
    assert difference(2, 7) == (-high, -low)
    assert low < 5 < high


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    more, fewer = rng.poisson(3.0, 1500), rng.poisson(5.0, 1500)
    spans = [difference(one, other) for one, other in zip(more.tolist(), fewer.tolist(), strict=True)]
    assert np.mean([low <= -2.0 <= high for low, high in spans]) >= 0.95


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def test_the_jackknife_of_a_mean_is_students() -> None:
    # Mean 3, standard error √0.5, and t is 2.776 with four degrees of freedom.
    low, high = jackknife([1.0, 2.0, 3.0, 4.0, 5.0], mean) or (0.0, 0.0)
    assert (low, high) == pytest.approx((3 - 2.7764 * 0.5**0.5, 3 + 2.7764 * 0.5**0.5), abs=1e-3)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_too_few_people_tell_nothing(values: list[float]) -> None:
    assert jackknife(values, mean) is None
