"""How fast a recorded or drawn film is shown: as fast as it is taken, or as fast as it was filmed.

Knows when the next frame may be handed on, and whether it is too late for it; clock and sleep come from outside.
"""

from collections.abc import Callable
from typing import Protocol

__all__ = ["AsFastAsPossible", "Pace", "RealTime"]

LATE_SECONDS = 0.5
"""Cameras of one scene may be apart by so much and still show the same people in the same places."""


class Pace(Protocol):
    """Holds a frame back until its moment."""

    def keep(self, at: float) -> None:
        """Return when the frame shown at `at` may be handed on."""
        ...

    def is_late(self, at: float) -> bool:
        """Whether a camera would have dropped the frame shown at `at` by now."""
        ...


class AsFastAsPossible:
    """Holds nothing back: for replays and tests."""

    def keep(self, at: float) -> None:
        """Return at once."""

    def is_late(self, at: float) -> bool:
        """Never: nothing is missed."""
        del at
        return False


class RealTime:
    """Shows each frame when the clock, which the frames' moments are of, has come to it."""

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep

    def keep(self, at: float) -> None:
        """Sleep until the frame's moment; a frame that is late is handed on at once."""
        ahead = at - self._clock()
        if ahead > 0:
            self._sleep(ahead)

    def is_late(self, at: float) -> bool:
        """Whether its moment has passed by more than LATE_SECONDS."""
        return self._clock() - at > LATE_SECONDS
