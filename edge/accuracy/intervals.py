"""Intervals that hold the long-run figure in 95 of 100 films like the one that was judged.

All are closed formulas, so that the same film gives the same interval. n is small in a film that somebody watched, and
none of these leans on large n.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from scipy.special import chdtri, stdtrit

__all__ = ["Interval", "difference", "jackknife", "poisson"]

Interval = tuple[float, float]
_Unit = TypeVar("_Unit")

_TAIL = 0.025


def poisson(count: int) -> Interval:
    """Of the expected number of rare events: the exact interval (F. Garwood 1936, Biometrika 28, 437-442)."""
    low = float(chdtri(2 * count, 1 - _TAIL)) / 2 if count else 0.0
    return low, float(chdtri(2 * count + 2, _TAIL)) / 2


def difference(more: int, fewer: int) -> Interval:
    """Of the expected number of one kind of rare event minus that of another.

    Each one's exact interval is recovered into the difference's (MOVER: G. Y. Zou and A. Donner 2008, Statistics in
    Medicine 27, 1693-1702).
    """
    (more_low, more_high), (fewer_low, fewer_high) = poisson(more), poisson(fewer)
    below = math.hypot(more - more_low, fewer_high - fewer)
    above = math.hypot(more_high - more, fewer - fewer_low)
    return more - fewer - below, more - fewer + above


def jackknife(units: Sequence[_Unit], statistic: Callable[[Sequence[_Unit]], float | None]) -> Interval | None:
    """Of any smooth statistic of independent units, by leaving out one at a time.

    Student's t on the pseudo-values (J. W. Tukey 1958, Annals of Mathematical Statistics 29, 614). None of fewer than
    three units, or where the statistic is None without one of them.
    """
    count = len(units)
    whole = statistic(units)
    without = [statistic([*units[:index], *units[index + 1 :]]) for index in range(count)]
    known = [value for value in without if value is not None]
    if whole is None or count < 3 or len(known) < count:
        return None
    mean = sum(known) / count
    error = math.sqrt((count - 1) / count * sum((value - mean) ** 2 for value in known))
    half = float(stdtrit(count - 1, 1 - _TAIL)) * error
    return whole - half, whole + half
