import random
from itertools import pairwise

import pytest

from cloud.heatmaps import covering
from cloud.palette import PALETTE
from cloud.periods import Period

QUARTER, HOUR, DAY = 900_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("start", "end", "stretches"),
    [
        pytest.param(0, DAY, [(86_400, 0, DAY)], id="a day"),
        pytest.param(0, HOUR, [(3_600, 0, HOUR)], id="an hour"),
        pytest.param(QUARTER, 2 * QUARTER, [(0, QUARTER, 2 * QUARTER)], id="a bucket"),
        pytest.param(3 * QUARTER, 5 * QUARTER, [(0, 3 * QUARTER, 5 * QUARTER)], id="two buckets, no whole hour"),
        pytest.param(-HOUR, DAY - HOUR, [(3_600, -HOUR, DAY - HOUR)], id="a day of hours"),
        pytest.param(
            DAY - HOUR - QUARTER,
            3 * DAY + 2 * HOUR + QUARTER,
            [
                (0, DAY - HOUR - QUARTER, DAY - HOUR),
                (3_600, DAY - HOUR, DAY),
                (86_400, DAY, 3 * DAY),
                (3_600, 3 * DAY, 3 * DAY + 2 * HOUR),
                (0, 3 * DAY + 2 * HOUR, 3 * DAY + 2 * HOUR + QUARTER),
            ],
            id="edges, hours and days",
        ),
    ],
)
def test_a_period_is_covered_by_the_longest_tiles(start: int, end: int, stretches: list[tuple[int, int, int]]) -> None:
    assert list(covering(Period(start_ms=start, end_ms=end))) == stretches


def test_every_moment_is_covered_once() -> None:
    rng = random.Random(11)
    for _ in range(500):
        start = rng.randrange(2000) * QUARTER
        end = start + rng.randrange(1, 2000) * QUARTER
        stretches = list(covering(Period(start_ms=start, end_ms=end)))
        assert stretches[0][1] == start
        assert stretches[-1][2] == end
        assert all(left[2] == right[1] for left, right in pairwise(stretches))
        assert all(low % (level * 1000) == high % (level * 1000) == 0 for level, low, high in stretches if level)
        assert len(stretches) <= 5


def test_the_palette_grows_lighter_evenly_and_its_zero_is_transparent() -> None:
    """Lightness after CIE 1976, which is not how the palette was made."""
    share = PALETTE[:, :3] / 255.0
    linear = [[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour] for colour in share]
    luminance = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in linear]
    lightness = [116 * max(y, 0.0089) ** (1 / 3) - 16 for y in luminance]
    steps = [after - before for before, after in pairwise(lightness)]
    assert lightness[-1] - lightness[0] > 70
    assert min(steps) > -0.15
    assert max(sum(steps[start : start + 16]) for start in range(0, 240, 16)) < 8
    assert min(sum(steps[start : start + 16]) for start in range(0, 240, 16)) > 2
    assert PALETTE[:, 3].tolist() == [0] + [255] * 255
