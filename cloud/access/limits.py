"""How often somebody may do something, in a moving window of a minute, and how much at once; kept in memory.

Each process counts for itself. Time is the caller's, so that a clock that is set back locks nobody out: what lies ahead
of it is forgotten.
"""

import threading
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["MovingWindow", "Places", "Standing", "Taken"]

WINDOW_MS = 60_000
_SWEEP_EVERY = 1_000
"""Takings, after which those who were quiet for a window are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How somebody stands: the most a minute, what is left of it, and when the next is allowed or the oldest lapses."""

    limit: int
    remaining: int
    reset_seconds: int
    is_over: bool


class MovingWindow:
    """Lets each name take so many a minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: dict[Hashable, deque[int]] = {}
        self._lock = threading.Lock()
        self._until_sweep = _SWEEP_EVERY

    def take(self, name: Hashable, *, now_ms: int) -> Standing:
        """Take one, if one is left."""
        with self._lock:
            self._sweep(now_ms)
            taken = self._taken.setdefault(name, deque())
            _forget(taken, now_ms)
            is_over = len(taken) >= self._limit
            if not is_over:
                taken.append(now_ms)
            reset_ms = taken[0] + WINDOW_MS - now_ms if taken else 0
            return Standing(
                limit=self._limit,
                remaining=self._limit - len(taken),
                reset_seconds=max(1, -(-reset_ms // 1000)),
                is_over=is_over,
            )

    def forgive(self, name: Hashable) -> None:
        """Forget what was taken under a name."""
        with self._lock:
            self._taken.pop(name, None)

    def _sweep(self, now_ms: int) -> None:
        self._until_sweep -= 1
        if self._until_sweep:
            return
        self._until_sweep = _SWEEP_EVERY
        for taken in self._taken.values():
            _forget(taken, now_ms)
        self._taken = {name: taken for name, taken in self._taken.items() if taken}


class Taken(Enum):
    """What came of asking for a place."""

    YOURS = auto()
    TOO_MANY_OF_YOURS = auto()
    ALL_TAKEN = auto()


class Places:
    """So many at once for each name, and so many for all together."""

    def __init__(self, *, of_one: int, of_all: int) -> None:
        self._of_one, self._of_all = of_one, of_all
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def take(self, name: Hashable, *, is_limited: bool = True) -> Taken:
        """Take a place, if one is left; whoever got one must leave it."""
        with self._lock:
            if is_limited and self._taken[name] >= self._of_one:
                return Taken.TOO_MANY_OF_YOURS
            if self._taken.total() >= self._of_all:
                return Taken.ALL_TAKEN
            self._taken[name] += 1
            return Taken.YOURS

    def leave(self, name: Hashable) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]


def _forget(taken: deque[int], now_ms: int) -> None:
    while taken and taken[0] <= now_ms - WINDOW_MS:
        taken.popleft()
    while taken and taken[-1] > now_ms:
        taken.pop()
