"""What happens in each minute of a day: how long some are somewhere, how many at once, how often something happens.

Knows spans and moments, in seconds of the day. Refuses to know who, where and what.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["MINUTE", "Presence", "per_minute"]

MINUTE = 60.0

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Presence:
    """How long, and how many at most, some are somewhere in each minute of a day of so many minutes."""

    def __init__(self, spans: Sequence[tuple[float, float]], minutes: int) -> None:
        starts, ends = np.asarray(spans, np.float64).reshape(-1, 2).T
        borders = np.arange(minutes + 1)[:, None] * MINUTE
        # Seconds spent until each border; what two borders differ by was spent between them.
        until = (borders.clip(starts, ends) - starts).sum(axis=1)
        self.seconds: list[float] = np.diff(until).round(1).tolist()
        self.most: list[int] = _most_at_once(starts, ends, minutes).tolist()

    def minute(self, number: int) -> dict[str, float]:
        """As the items tell it."""
        return {"person_seconds": self.seconds[number], "max_people": self.most[number]}


def per_minute(moments: Sequence[float], minutes: int) -> list[int]:
    """How many of these moments lie in each minute of a day of so many minutes."""
    numbers = (np.asarray(moments, np.float64) // MINUTE).astype(np.int64)
    counts: list[int] = np.bincount(numbers, minlength=minutes)[:minutes].tolist()
    return counts


def _most_at_once(starts: Floats, ends: Floats, minutes: int) -> Counts:
    """The largest number of spans that overlap at one moment of each minute."""
    moments = np.concatenate([starts, ends])
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    there = np.cumsum(np.repeat([1, -1], [starts.size, ends.size])[order])
    at_borders = np.searchsorted(moments, np.arange(minutes) * MINUTE, side="right")
    most = np.concatenate([[0], there])[at_borders]
    today = moments < minutes * MINUTE
    np.maximum.at(most, (moments[today] // MINUTE).astype(np.int64), there[today])
    return np.asarray(most, np.int64)
