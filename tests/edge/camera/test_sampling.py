import itertools
from random import Random

import pytest

from edge.camera.sampling import Sampler


def taken(sampler: Sampler, moments: list[float]) -> list[float]:
    return [at for at in moments if sampler.due(at)]


@pytest.mark.parametrize(
    ("source_rate", "rate", "expected"),
    [(10, 10, 600), (30, 10, 600), (25, 10, 600), (12, 10, 600), (5, 10, 300), (10, 3, 180), (15, 15, 900)],
    ids=str,
)
def test_a_minute_gives_the_rate_or_all_there_is(source_rate: int, rate: int, expected: int) -> None:
    moments = [i / source_rate for i in range(60 * source_rate)]
    assert len(taken(Sampler(rate=rate), moments)) == pytest.approx(expected, abs=2)


def test_rounded_presentation_times_lose_nothing() -> None:
    random = Random(3)
    moments = [i / 10 + random.uniform(-0.01, 0.01) for i in range(1000)]
    assert taken(Sampler(rate=10), moments) == moments


def test_a_whole_fraction_of_the_rate_stays_even() -> None:
    moments = [i / 30 for i in range(900)]
    steps = taken(Sampler(rate=10), moments)
    assert {round(b - a, 6) for a, b in itertools.pairwise(steps)} == {0.1}


def test_after_a_gap_there_is_no_catching_up() -> None:
    sampler = Sampler(rate=5)
    taken(sampler, [i / 25 for i in range(50)])
    assert len(taken(sampler, [60 + i / 25 for i in range(50)])) == pytest.approx(10, abs=1)


def test_without_a_rate_every_frame_is_due() -> None:
    assert taken(Sampler(rate=None), [0.0, 0.001, 0.002]) == [0.0, 0.001, 0.002]


def test_the_rate_may_change_on_the_way() -> None:
    sampler = Sampler(rate=1)
    taken(sampler, [i / 10 for i in range(100)])
    sampler.rate = 10
    assert len(taken(sampler, [10 + i / 10 for i in range(100)])) >= 99
