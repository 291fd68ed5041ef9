"""When a frame was shown, on the box's own clock: presentation times anchored to arrivals.

Knows two clocks, the stream's and the box's, and the offset between them. Arrivals jitter with the
network while presentation times keep the camera's real intervals, so `at` follows the latter. A
frame can only arrive late, never early, so the least late arrival of the last few seconds tells how
the clocks stand: the offset leans towards it slowly enough not to be felt, and jumps only when the
stream's times make no sense any more. Refuses to read either clock.
"""

__all__ = ["PresentationClock"]

TOLERANCE_SECONDS = 1.0
"""Beyond this the stream's times are taken to have jumped, not to be late."""
WINDOW_SECONDS = 5.0
"""Long enough to hold at least one frame that the network did not delay."""
LATE_LEAN = 0.001
"""Seconds a second; crystals drift ten times less, so drift is followed and jitter is not."""
EARLY_LEAN = 0.05
"""Arriving before being shown is impossible, so that part of the offset is known to be wrong."""
MINIMUM_STEP_SECONDS = 0.001
"""Between two frames of a camera; a zero interval would be an infinite speed."""


class PresentationClock:
    """Turns a stream's times into seconds of the box's monotonic clock, always increasing."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._owed = 0.0
        self._last_shown = float("-inf")
        self._last_at = float("-inf")
        self._window_ends = float("-inf")
        self._least_delay = float("inf")

    def at(self, shown: float | None, *, arrived: float) -> float:
        """The moment of a frame shown at `shown` stream seconds (None: unknown) that arrived at `arrived`."""
        moment = arrived if shown is None else self._anchored(shown, arrived)
        self._last_at = max(moment, self._last_at + MINIMUM_STEP_SECONDS)
        return self._last_at

    def restart(self) -> None:
        """A new connection: its times have nothing to do with those before."""
        self._offset = None

    def _anchored(self, shown: float, arrived: float) -> float:
        elapsed = shown - self._last_shown
        self._last_shown = shown
        offset, delay = self._offset, arrived - shown
        if offset is None or elapsed < 0 or delay < offset - TOLERANCE_SECONDS:
            return self._anchor(shown, arrived)
        self._least_delay = min(self._least_delay, delay)
        if arrived >= self._window_ends:
            self._owed = self._least_delay - offset
            if self._owed > TOLERANCE_SECONDS:
                return self._anchor(shown, arrived)
            self._open_window(arrived)
        self._offset = offset + self._lean(elapsed)
        return shown + self._offset

    def _anchor(self, shown: float, arrived: float) -> float:
        moment = max(arrived, self._last_at + MINIMUM_STEP_SECONDS)
        self._offset = moment - shown
        self._owed = 0.0
        self._open_window(arrived)
        return moment

    def _lean(self, elapsed: float) -> float:
        """The part of what is owed that may be paid within `elapsed` seconds."""
        step = min(LATE_LEAN * elapsed, max(-EARLY_LEAN * elapsed, self._owed))
        self._owed -= step
        return step

    def _open_window(self, arrived: float) -> None:
        self._window_ends = arrived + WINDOW_SECONDS
        self._least_delay = float("inf")
