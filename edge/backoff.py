"""How long to wait before trying a camera or the broker again: full-jitter exponential back-off.

Knows numbers only; the caller sleeps. Full jitter as in Marc Brooker's "Exponential Backoff And
Jitter": cameras that went down together with their switch must not be asked again all at once.
"""

from random import Random

__all__ = ["Backoff"]

BASE_SECONDS = 0.5
"""A camera that dropped one connection usually takes the next at once."""
CAP_SECONDS = 10.0
"""A camera that is back is seen again within this time; one attempt each 5 s harms no camera."""
HEALTHY_SECONDS = 30.0
"""A connection that held this long was sound: its end starts the count anew."""


class Backoff:
    """Draws each delay from 0 to base·2ⁿ, capped, where n counts failures since the last sound connection."""

    def __init__(self, *, random: Random, base_seconds: float = BASE_SECONDS, cap_seconds: float = CAP_SECONDS) -> None:
        self._random = random
        self._base = base_seconds
        self._cap = cap_seconds
        self._failures = 0

    def delay(self, *, played_seconds: float) -> float:
        """Seconds to wait now that a connection ended which had played for `played_seconds`."""
        if played_seconds >= HEALTHY_SECONDS:
            self._failures = 0
        ceiling = self._base
        for _ in range(self._failures):
            ceiling = min(self._cap, ceiling * 2)
        self._failures += ceiling < self._cap
        return self._random.uniform(0.0, min(self._cap, ceiling))
