import json
import re
from pathlib import Path

import pytest

from cloud.certainty import (
    BENCHMARK_CROSSINGS,
    BENCHMARK_VISITS,
    Accuracy,
    Interval,
    RestsOn,
    Source,
    accuracy,
    added,
    interval_of,
)

PERFECT = accuracy(counted=20, true=20, matched=20, rests_on=RestsOn.CERTIFICATE)
DOOR, BACK = ("box-1", "door-cam"), ("box-1", "back-cam")


def of(count: int, how: Accuracy = PERFECT, *, share: float | None = 1.0) -> Interval:
    source = Source(accuracy=how, cameras=frozenset({DOOR}))
    return interval_of({source: count}, covered=lambda _: share)


def test_a_count_lies_between_wilsons_bounds_of_precision_and_recall() -> None:
    # Of 20 of 20, Wilson's lower bound is 0.8389.
    assert of(100) == Interval(low=83, high=120, rests_on=RestsOn.CERTIFICATE)
    # 18 of 20 found (0.699 to 0.972), all 18 right (0.824 to 1): 100 × 0.824 ÷ 0.972, and 100 ÷ 0.699.
    missing = accuracy(counted=18, true=20, matched=18, rests_on=RestsOn.CERTIFICATE)
    assert of(100, missing) == Interval(low=84, high=144, rests_on=RestsOn.CERTIFICATE)
    # 40 counted where 20 were: at least 35 % are right, at most 65 %.
    doubling = accuracy(counted=40, true=20, matched=20, rests_on=RestsOn.CERTIFICATE)
    assert of(100, doubling) == Interval(low=35, high=78, rests_on=RestsOn.CERTIFICATE)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        pytest.param(100, 0.5, (83, 239), id="half unwatched, perhaps as busy"),
        pytest.param(100, None, (83, 120), id="nothing scheduled"),
        pytest.param(0, 0.5, (0, 0), id="nobody in what was watched"),
        pytest.param(0, 0.0, (0, None), id="nothing watched"),
        pytest.param(-2, 1.0, (0, 0), id="more staff than people"),
    ],
)
def test_time_that_was_not_watched_raises_the_most(
    count: int, share: float | None, expected: tuple[int, int | None]
) -> None:
    found = of(count, share=share)
    assert (found.low, found.high) == expected


def test_where_nothing_matched_nobody_can_say_how_many_there_are_at_most() -> None:
    blind = accuracy(counted=0, true=20, matched=0, rests_on=RestsOn.CERTIFICATE)
    assert of(3, blind).high is None
    assert of(0, blind) == Interval(low=0, high=0, rests_on=RestsOn.CERTIFICATE)


def test_sources_add_up_each_by_its_own_cameras() -> None:
    door = Source(accuracy=PERFECT, cameras=frozenset({DOOR}))
    back = Source(accuracy=BENCHMARK_CROSSINGS, cameras=frozenset({BACK}))
    counts = added([{door: 60, back: 0}, {door: 40}])
    assert counts == {door: 100, back: 0}
    shares = {frozenset({DOOR}): 1.0, frozenset({BACK}): 0.5}
    both = interval_of(added([counts, {back: 10}]), covered=lambda cameras: shares[cameras or frozenset()])
    assert both == Interval(low=93, high=142, rests_on=RestsOn.MIXED)


def test_the_benchmark_is_the_published_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    section = page.split("\n## counting\n")[1].split("\n## ")[0]
    head, *rows = re.findall(r"^\| (.*) \|$", section, flags=re.MULTILINE)
    assert head.split(" | ") == ["counts", "recall", "precision", "counted", "true", "matched"]
    for name, known in (("visits", BENCHMARK_VISITS), ("crossings", BENCHMARK_CROSSINGS)):
        (row,) = [row.split(" | ") for row in rows if row.startswith(name)]
        counted, true, matched = map(json.loads, row[3:])
        assert known == accuracy(counted=counted, true=true, matched=matched, rests_on=RestsOn.BENCHMARK)
