"""What was counted beside what is true. Knows two accounts of one film; refuses to know where they come from.

A counted visit is a true one when they share at least half of the time that either takes, and a counted crossing when
it is of the same line and direction and within two seconds; each is matched at most once. What is left over was
invented, or missed. That gives three figures: the error of the number, how many of the true ones were found, and how
many of the counted ones are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge.accuracy.account import Account, Stay
from edge.accuracy.intervals import Interval, difference, jackknife
from protocol.proportions import wilson

__all__ = ["TOLERANCE_SECONDS", "Figure", "Share", "compare"]

TOLERANCE_SECONDS = 2.0
"""Who writes down a crossing while watching a film is a second off, and who crosses takes one to do so."""
_SHARED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> Interval | None:
        """By Wilson."""
        return wilson(self.part, self.whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure and its error, as a share of what is true: 0.1 is a tenth too much. None where nothing is true.

    found: true ones that were counted; right: counted ones that are true; None of what is no number of things.
    """

    name: str
    counted: float | None
    true: float | None
    error: float | None
    interval: Interval | None
    found: Share | None = None
    right: Share | None = None


def compare(counted: Account, true: Account, *, lines: Sequence[str]) -> tuple[Figure, ...]:
    """Visits and mean dwell, then crossings line by line; what the truth says nothing of is left out."""
    figures: list[Figure] = []
    if true.stays is not None:
        figures += _visits(counted.stays or (), true.stays)
    if true.passages is not None:
        for line in lines:
            for way in ("in", "out"):
                ours, theirs = (
                    [one.at for one in passages if (one.line, one.direction) == (line, way)]
                    for passages in (counted.passages or (), true.passages)
                )
                matched = in_step(ours, theirs, tolerance=TOLERANCE_SECONDS)
                figures.append(_number(f"{line} {way}", counted=len(ours), true=len(theirs), matched=matched))
    return tuple(figures)


def _visits(counted: Sequence[Stay], true: Sequence[Stay]) -> tuple[Figure, Figure]:
    pairs = paired(counted, true)
    ours, theirs = ({pair[side] for pair in pairs} for side in (0, 1))
    units: list[_Dwell] = [(counted[one].dwell_seconds, true[other].dwell_seconds) for one, other in pairs]
    units += [(stay.dwell_seconds, None) for index, stay in enumerate(counted) if index not in ours]
    units += [(None, stay.dwell_seconds) for index, stay in enumerate(true) if index not in theirs]
    means = [_mean([unit[side] for unit in units]) for side in (0, 1)]
    dwell = Figure(
        name="mean dwell",
        counted=means[0],
        true=means[1],
        error=_dwell_error(units),
        interval=_floored(jackknife(units, _dwell_error)),
    )
    return _number("visits", counted=len(counted), true=len(true), matched=len(pairs)), dwell


_Dwell = tuple[float | None, float | None]
"""Seconds counted and true of one person; None where they were missed or invented."""


def _dwell_error(units: Sequence[_Dwell]) -> float | None:
    counted, true = _mean([unit[0] for unit in units]), _mean([unit[1] for unit in units])
    return None if counted is None or not true else counted / true - 1


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(name: str, *, counted: int, true: int, matched: int) -> Figure:
    low, high = difference(counted - matched, true - matched)
    return Figure(
        name=name,
        counted=counted,
        true=true,
        error=(counted - true) / true if true else None,
        interval=_floored((low / true, high / true)) if true else None,
        found=Share(part=matched, whole=true),
        right=Share(part=matched, whole=counted),
    )


def _floored(interval: Interval | None) -> Interval | None:
    """Nothing can be missed more than once."""
    return interval and (max(-1.0, interval[0]), interval[1])


def paired(counted: Sequence[Stay], true: Sequence[Stay]) -> list[tuple[int, int]]:
    """Indices of the visits that are the same, by the joint assignment that shares most."""
    if not counted or not true:
        return []
    shares = _shared(_spans(counted)[:, None], _spans(true)[None])
    allowed = np.where(shares >= _SHARED, shares, 0.0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if allowed[row, column]]


def _spans(stays: Sequence[Stay]) -> npt.NDArray[np.float64]:
    return np.array([(stay.first, stay.last) for stay in stays])


def _shared(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Seconds in both, as a share of those in either, of spans (..., 2)."""
    both = np.minimum(one[..., 1], other[..., 1]) - np.maximum(one[..., 0], other[..., 0])
    either = np.maximum(one[..., 1], other[..., 1]) - np.minimum(one[..., 0], other[..., 0])
    shares: npt.NDArray[np.float64] = np.clip(both, 0, None) / np.maximum(either, 1e-9)
    return shares


def in_step(one: Sequence[float], other: Sequence[float], *, tolerance: float) -> int:
    """How many moments of one can be matched with moments of the other, each once and no farther than the tolerance."""
    ours, theirs = sorted(one), sorted(other)
    matched = first = second = 0
    while first < len(ours) and second < len(theirs):
        if abs(ours[first] - theirs[second]) <= tolerance:
            matched, first, second = matched + 1, first + 1, second + 1
        elif ours[first] < theirs[second]:
            first += 1
        else:
            second += 1
    return matched
