"""The same film at full, half and a quarter of the rate, each judged by the truth.

A camera that counts as well at half the rate has room to spare; one that does not counts worse on a box that is too
busy to analyse every frame.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edge.accuracy.account import Truth
from edge.accuracy.comparison import compare
from edge.accuracy.reading import Accuracy, Reading
from edge.camera_settings import LEAST_RATE
from edge.detector.detections import Detector
from edge.replay import Outputs, Replay, Result, replay

__all__ = ["judge"]

_SLOWER = {"half": 2, "quarter": 4}


def judge(
    plan: Replay,
    truth: Truth,
    result: Result,
    *,
    film_rate: float | None,
    detector: Callable[[], Detector],
    progress: Callable[[int], None],
) -> Accuracy:
    """Judge what was counted at full rate, then play the film more slowly and judge that.

    Full rate is the camera's, or the film's, frames a second, where that has fewer. `detector` makes a new one, because
    one may remember what it saw; `progress` goes on from the film's end. Raises ConfigurationError when the truth is of
    another film.
    """
    true = truth.account(result.film)
    lines = [line.id for line in plan.camera.lines]
    full = min(plan.camera.rate, film_rate or plan.camera.rate)

    def reading(part: str, rate: float, played: Result) -> Reading:
        figures = compare(played.account, true, lines=lines)
        return Reading(part=part, rate=rate, analysed=played.analysed, figures=figures)

    readings = [reading("full", full, result)]
    for part, slower in _SLOWER.items():
        rate = full / slower
        if rate < LEAST_RATE:
            readings.append(Reading(part=part, rate=rate))
            continue
        slow = replace(plan, camera=plan.camera.model_copy(update={"rate": rate}))
        shown = partial(_shown, progress, result.frames * len(readings))
        played = replay(slow, detector(), Outputs(), progress=shown)
        readings.append(reading(part, rate, played))
    return Accuracy(readings=tuple(readings))


def _shown(progress: Callable[[int], None], before: int, index: int) -> None:
    progress(before + index)
