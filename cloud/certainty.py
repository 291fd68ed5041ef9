"""How many people there truly were, given how many were counted: the count, and what a check by hand says of counting.

Of the counted, the precision is true, and of the true, the recall was counted: n × precision ÷ recall. With both ends
of Wilson's 95 % intervals of either that makes the least and the most, which therefore hold more often than that.
Knows no database. It scales what was counted, so that of nothing counted it says nothing.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cloud.layouts import Place
from protocol.proportions import wilson

__all__ = [
    "BENCHMARK_CROSSINGS",
    "BENCHMARK_VISITS",
    "Accuracy",
    "Counts",
    "Interval",
    "RestsOn",
    "Source",
    "accuracy",
    "added",
    "interval_of",
]


class RestsOn(StrEnum):
    """What is known of how well was counted."""

    CERTIFICATE = "certificate"
    """The lines were checked by hand, and are what they were then."""
    BENCHMARK = "benchmark"
    """Nobody has checked them, or they have changed since: the published benchmark stands in."""
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How many there truly were for each one counted: at least and at most; no most where nearly all may be missed."""

    low: float
    high: float | None
    rests_on: RestsOn


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where counts come from: how well is counted there, and the cameras that have to watch; None for all."""

    accuracy: Accuracy
    cameras: frozenset[Place] | None


Counts = Mapping[Source, int]
"""How many were counted, by where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the true number lies, by what is known of how well is counted and of how much was watched."""

    low: int
    high: Annotated[int | None, Field(description="null where nobody can say, as when nothing was watched")]
    rests_on: RestsOn


def accuracy(*, counted: int, true: int, matched: int, rests_on: RestsOn) -> Accuracy:
    """By a check in which so many were counted, so many were there, and so many of both were the same."""
    precision, recall = wilson(matched, counted) or (0.0, 1.0), wilson(matched, true) or (0.0, 1.0)
    # Where nothing matched, the recall's lower end is 0 but for rounding.
    high = precision[1] / recall[0] if matched else None
    return Accuracy(low=precision[0] / recall[1], high=high, rests_on=rests_on)


BENCHMARK_CROSSINGS = accuracy(counted=73, true=73, matched=71, rests_on=RestsOn.BENCHMARK)
"""Crossings of a line as published in docs/benchmarks.md under `counting`."""
BENCHMARK_VISITS = accuracy(counted=20, true=19, matched=19, rests_on=RestsOn.BENCHMARK)
"""Visits, from the same place."""


def interval_of(counts: Counts, *, covered: Callable[[frozenset[Place] | None], float | None]) -> Interval:
    """The interval of a sum; `covered` says which share of the scheduled time cameras watched, None of none.

    Time that was not watched raises the most as if it had been as busy as the rest; the least is what was seen.
    """
    low = high = 0.0
    bases = set[RestsOn]()
    for source, count in counts.items():
        accurate, share = source.accuracy, covered(source.cameras)
        bases.add(accurate.rests_on)
        if count > 0:
            low += count * accurate.low
        # Of unwatched time nobody can say; of nobody seen in time that was watched, the most is nobody.
        if share == 0 or (accurate.high is None and count > 0):
            high = math.inf
        elif count > 0:
            high += count * (accurate.high or 0) / (share or 1)
    return Interval(
        low=math.floor(low + _ROUNDING),
        high=None if math.isinf(high) else math.ceil(high - _ROUNDING),
        rests_on=bases.pop() if len(bases) == 1 else RestsOn.MIXED if bases else RestsOn.BENCHMARK,
    )


def added(counts: Iterable[Counts]) -> Counts:
    """Sums, source by source; one of nothing stays."""
    total = Counter[Source]()
    for one in counts:
        for source, count in one.items():
            total[source] += count
    return total


_ROUNDING = 1e-9
