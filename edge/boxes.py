"""How boxes lie to each other: plain arithmetic on (left, top, right, bottom) in pixels."""

import numpy as np
import numpy.typing as npt

__all__ = ["covered"]

Reals = npt.NDArray[np.float64]


def covered(boxes: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> Reals:
    """The largest share, 0 to 1, of each box (n, 4) that lies inside one of the others (m, 4), else 0."""
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=2).max(axis=1, initial=0.0)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray(shared / np.maximum(areas, 1e-6), np.float64)
