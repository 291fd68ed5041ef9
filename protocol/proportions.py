"""How sure a share is, by the same formula on the box and in the cloud."""

import math
from statistics import NormalDist

__all__ = ["wilson"]

_Z = NormalDist().inv_cdf(0.975)


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """The 95 % interval of a share, 0 to 1, by its score (E. B. Wilson 1927, JASA 22, 209-212). None of no trials."""
    if not trials:
        return None
    share, weight = successes / trials, _Z**2 / trials
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)
