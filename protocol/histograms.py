"""Fixed histogram bounds, so that percentiles add up over boxes, days and venues.

A histogram is a list of counts, one more than its bounds: bin i holds values in [bounds[i-1], bounds[i]),
the first bin everything below the first bound, the last everything from the last bound on.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from protocol.wire import Count

__all__ = ["DURATION_BOUNDS_SECONDS", "SCORE_BOUNDS", "DurationHistogram", "ScoreHistogram", "bin_of", "percentile"]

DURATION_BOUNDS_SECONDS = (
    5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 14400, 28800,
)  # fmt: skip
SCORE_BOUNDS = (10, 20, 30, 40, 50, 60, 70, 80, 90)

DurationHistogram = Annotated[
    tuple[Count, ...],
    Field(min_length=len(DURATION_BOUNDS_SECONDS) + 1, max_length=len(DURATION_BOUNDS_SECONDS) + 1),
]
ScoreHistogram = Annotated[tuple[Count, ...], Field(min_length=len(SCORE_BOUNDS) + 1, max_length=len(SCORE_BOUNDS) + 1)]


def bin_of(value: float, bounds: Sequence[float] = DURATION_BOUNDS_SECONDS) -> int:
    """The bin a value falls into."""
    return bisect_right(bounds, value)


def percentile(
    counts: Sequence[int],
    fraction: float,
    bounds: Sequence[float] = DURATION_BOUNDS_SECONDS,
    *,
    highest: float | None = None,
) -> float | None:
    """The value below which `fraction` (0 to 1) of a histogram lies, linear within its bin; None when empty.

    The open last bin is taken to end at `highest` (100 for scores), else at twice its lower bound.
    """
    total = sum(counts)
    if not total:
        return None
    edges = (0.0, *bounds, 2.0 * bounds[-1] if highest is None else highest)
    wanted, below = fraction * total, 0
    for index, count in enumerate(counts):
        if count and below + count >= wanted:
            low, high = edges[index], edges[index + 1]
            return low + (high - low) * max(0.0, wanted - below) / count
        below += count
    return edges[-1]
