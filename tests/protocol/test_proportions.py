import pytest

from protocol.proportions import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [
        (8, 10, (0.4902, 0.9433)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (19, 20, (0.7639, 0.9911)),
        (20, 20, (0.8389, 1.0)),
        (81, 263, (0.2553, 0.3662)),  # the example of Newcombe 1998, table I
    ],
)
def test_of_a_share(successes: int, trials: int, expected: tuple[float, float]) -> None:
    assert wilson(successes, trials) == pytest.approx(expected, abs=1e-4)


def test_a_share_of_nothing_has_none() -> None:
    assert wilson(0, 0) is None
