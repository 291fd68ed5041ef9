"""Which frames are analysed: those due at the camera's analysis rate, by presentation time.

Knows moments, not pictures: a frame that is not due is skipped before its colours are converted.
"""

__all__ = ["Sampler"]

EARLY_SHARE = 0.25
"""A frame this part of a period before its moment counts as due: presentation times are rounded."""


class Sampler:
    """Says which moments are due, so that on average `rate` frames a second are."""

    def __init__(self, *, rate: float | None = 10.0) -> None:
        self.rate = rate
        """Frames a second, settable at any time; None analyses every frame."""
        self._slot = float("-inf")

    def due(self, at: float) -> bool:
        """Whether the frame shown at `at` is to be analysed; `at` only grows."""
        if self.rate is None:
            return True
        period = 1.0 / self.rate
        behind = at - (self._slot + period)
        if behind < -EARLY_SHARE * period:
            return False
        self._slot = at if behind > period else self._slot + period
        return True
