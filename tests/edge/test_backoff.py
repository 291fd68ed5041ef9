from random import Random

import pytest

from edge.backoff import BASE_SECONDS, CAP_SECONDS, HEALTHY_SECONDS, Backoff


class Highest(Random):
    """Always draws the upper end, so that the ceiling shows."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_ceilings_double_up_to_the_cap() -> None:
    backoff = Backoff(random=Highest())
    ceilings = [backoff.delay(played_seconds=0.0) for _ in range(8)]
    assert ceilings == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_delays_fill_the_whole_range() -> None:
    backoff = Backoff(random=Random(1))
    delays = [backoff.delay(played_seconds=0.0) for _ in range(2000)][10:]
    assert min(delays) < 0.1
    assert CAP_SECONDS - 0.1 < max(delays) <= CAP_SECONDS
    assert sum(delays) / len(delays) == pytest.approx(CAP_SECONDS / 2, rel=0.05)


@pytest.mark.parametrize(
    ("played_seconds", "ceiling"),
    [(HEALTHY_SECONDS, BASE_SECONDS), (HEALTHY_SECONDS - 1, 8.0)],
    ids=["a sound connection starts anew", "a flapping camera does not"],
)
def test_what_resets_the_count(played_seconds: float, ceiling: float) -> None:
    backoff = Backoff(random=Highest())
    for _ in range(4):
        backoff.delay(played_seconds=0.0)
    assert backoff.delay(played_seconds=played_seconds) == ceiling


def test_years_of_failures_stay_at_the_cap() -> None:
    backoff = Backoff(random=Highest(), cap_seconds=3.0)
    assert {backoff.delay(played_seconds=0.0) for _ in range(5000)} == {0.5, 1.0, 2.0, 3.0}


def test_the_same_seed_gives_the_same_delays() -> None:
    first, second = (Backoff(random=Random(5)) for _ in range(2))
    assert [first.delay(played_seconds=0.0) for _ in range(9)] == [second.delay(played_seconds=0.0) for _ in range(9)]
