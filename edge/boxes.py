"""How boxes lie to each other: plain arithmetic on (left, top, right, bottom) in pixels."""

import numpy as np
import numpy.typing as npt

__all__ = ["covered", "overlaps"]

Reals = npt.NDArray[np.float64]


def covered(boxes: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> Reals:
    """The largest share, 0 to 1, of each box (n, 4) that lies inside one of the others (m, 4), else 0."""
    shared = _shared(boxes, others).max(axis=1, initial=0.0)
    return np.asarray(shared / np.maximum(_areas(boxes), 1e-6), np.float64)


def overlaps(boxes: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> Reals:
    """Intersection over union, 0 to 1, of each of the boxes (n, 4) with each of the others (m, 4): shape (n, m)."""
    shared = _shared(boxes, others)
    union = _areas(boxes)[:, None] + _areas(others) - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float64)


def _shared(boxes: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> Reals:
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    return np.asarray(np.prod(np.clip(sides, 0, None), axis=2), np.float64)


def _areas(boxes: npt.NDArray[np.floating]) -> Reals:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.float64)
