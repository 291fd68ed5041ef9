"""How people move on a calibrated floor, in metres. Knows boxes and perspective; refuses to know pixels and identities.

Each track is an extended Kalman filter over a body: its place, its velocity and its height. What the camera measures
is the box, and perspective says which box a body has: where its feet and its head are, and the middle between. So a
near body and a far one move alike, and one that stands behind another is told by its feet and not by its size.
Noise belongs to boxes and is in pixels, as in UCMCTrack (Yi et al., 2024), so that on the floor it is long where the
view is flat; but where that follows feet alone, here the head weighs as much. A box that ends above the feet has lost
its legs to a shelf, and one that begins above the head takes in who stands behind: such an end says little.
"""

import math
from dataclasses import dataclass

import numpy as np

from edge.detector.detections import Detections
from edge.floor import BODY_M, Floor
from edge.motion import Indices, Reals
from edge.perspective import BODY_STATE, Perspective

__all__ = ["FloorMotion", "FloorNoise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorNoise:
    """How people move and how well detectors measure.

    acceleration: spectral density of the random acceleration, metres a second to the power 1.5.
    middle_error, head_error, feet_error: standard deviations of a box's middle and ends, in heights of the box.
    hidden_head, hidden_legs: up to how far above head and feet a box's ends are believed to be wrong, in heights.
    width_error: standard deviation of the logarithm of a box's width; first_width_error, when only seen once.
    width_change: how much the logarithm of the width wanders in a second.
    height_error: standard deviation of people's heights, metres; height_change, how much one wanders in a second.
    starting_speed: standard deviation of an unknown speed, metres a second.
    """

    acceleration: float = 0.5
    middle_error: float = 0.05
    head_error: float = 0.05
    feet_error: float = 0.06
    hidden_head: float = 0.3
    hidden_legs: float = 1.0
    width_error: float = 0.3
    first_width_error: float = 0.12
    width_change: float = 0.1
    height_error: float = 0.12
    height_change: float = 0.02
    starting_speed: float = 1.2


class FloorMotion:
    """A `Motion`, as one structure of arrays over the tracks.

    bodies (n, 5) are as `Perspective` has them, spread (n, 5, 5) is their covariance; width_spread (n,) is the variance
    of the logarithm of the width. What follows from a prediction is kept with it: the boxes expected (n, 3) and their
    heights (n,) in pixels, their covariance, blur (n, 3, 3), and that with the bodies, shared (n, 3, 5).
    """

    alone = 24.0

    def __init__(self, floor: Floor, perspective: Perspective, noise: FloorNoise | None = None) -> None:
        self._floor, self._perspective = floor, perspective
        self._noise = noise or FloorNoise()
        self._errors = np.array([self._noise.middle_error, self._noise.head_error, self._noise.feet_error])
        self._trust = np.array([0.0, self._noise.hidden_head, self._noise.hidden_legs])
        self._bodies = np.empty((0, BODY_STATE))
        self._spread = np.empty((0, BODY_STATE, BODY_STATE))
        self._widths = np.empty(0)
        self._width_spread = np.empty(0)
        self._judged = self._fitting = 0
        self.advance(0.0)
        self.measure(Detections.none())

    def advance(self, seconds: float) -> None:
        """See `Motion`."""
        noise = self._noise
        step, shaking = np.eye(BODY_STATE), np.zeros((BODY_STATE, BODY_STATE))
        step[[0, 1], [2, 3]] = seconds
        shaking[[0, 1], [0, 1]] = seconds**3 / 3
        shaking[[0, 1, 2, 3], [2, 3, 0, 1]] = seconds**2 / 2
        shaking[[2, 3], [2, 3]] = seconds
        shaking *= noise.acceleration**2
        shaking[4, 4] = noise.height_change**2 * seconds
        self._bodies = self._bodies @ step.T
        self._spread = step @ self._spread @ step.T + shaking
        self._width_spread = self._width_spread + noise.width_change**2 * seconds
        self._expected, slopes = self._perspective.boxes(self._bodies)
        self._heights = _heights(self._expected)
        self._shared = slopes @ self._spread
        self._blur = self._shared @ slopes.transpose(0, 2, 1)

    def measure(self, detections: Detections) -> None:
        """See `Motion`. What is weak measures worse."""
        boxes = detections.boxes.astype(np.float64)
        across = (boxes[:, 0] + boxes[:, 2]) / 2
        upper = self._floor.straightened(np.stack([across, boxes[:, 1]], axis=1))
        lower = self._floor.straightened(np.stack([across, boxes[:, 3]], axis=1))
        self._seen = np.stack([(upper[:, 0] + lower[:, 0]) / 2, upper[:, 1], lower[:, 1]], axis=1)
        self._seen_widths = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)
        self._dilution: Reals = 1 / np.maximum(detections.confidence.astype(np.float64), 0.1)
        bottom = self._floor.image_size[1] - _EDGE_PX
        self._is_whole = (boxes[:, 1] > _EDGE_PX) & (boxes[:, 3] < bottom)

    def compare(self, tracks: Indices, detections: Indices) -> tuple[Reals, Reals]:
        """See `Motion`."""
        heights = self._heights[tracks][:, None, None]
        off = (self._seen[detections][None] - self._expected[tracks][:, None]) / heights
        noise = self._variances(off, detections)
        blur = np.broadcast_to((self._blur[tracks] / heights**2)[:, None], (*off.shape, 3))
        squares, volume = _mahalanobis(off, blur, noise)
        wider = np.log(self._seen_widths[detections][None] / self._widths[tracks][:, None]) / self._noise.width_error
        return squares + wider**2, np.log(volume / np.prod(self._errors) ** 2)

    def correct(self, tracks: Indices, detections: Indices) -> None:
        """See `Motion`."""
        heights, shared = self._heights[tracks][:, None], self._shared[tracks]
        off = self._seen[detections] - self._expected[tracks]
        whole = self._blur[tracks] + _diagonal(self._variances(off / heights, detections) * heights**2)
        gain = np.linalg.solve(whole, shared).transpose(0, 2, 1)
        self._bodies[tracks] += (gain @ off[..., None])[..., 0]
        self._bodies[tracks, 4] = self._bodies[tracks, 4].clip(_SMALLEST_M, _TALLEST_M)
        self._spread[tracks] = _symmetric(self._spread[tracks] - gain @ shared)
        width_spread = self._width_spread[tracks]
        width_gain = width_spread / (width_spread + self._noise.first_width_error**2 * self._dilution[detections])
        self._widths[tracks] *= (self._seen_widths[detections] / self._widths[tracks]) ** width_gain
        self._width_spread[tracks] *= 1 - width_gain

    def places(self, tracks: Indices) -> Reals:
        """See `Motion`."""
        return self._bodies[tracks, :2]

    def add(self, detections: Indices) -> None:
        """See `Motion`. What is on no floor is nowhere, so it is never met again."""
        noise, seen, count = self._noise, self._seen[detections], len(detections)
        middles = np.stack([seen[:, 0], seen[:, 1:].mean(axis=1)], axis=1)
        guess = np.zeros((count, BODY_STATE))
        guess[:, :2] = self._perspective.places(middles, BODY_M / 2)
        guess[:, 4] = BODY_M
        unknown = np.diag(
            np.square([_ANYWHERE_M, _ANYWHERE_M, noise.starting_speed, noise.starting_speed, noise.height_error])
        )
        bodies, expected, spread = guess, np.empty((count, 3)), np.tile(unknown, (count, 1, 1))
        for _ in range(_ITERATIONS):
            expected, slopes = self._perspective.boxes(bodies)
            heights, off = _heights(expected)[:, None], seen - expected
            shared = slopes @ unknown
            variances = self._variances(off / heights, detections) * heights**2
            whole = shared @ slopes.transpose(0, 2, 1) + _diagonal(variances)
            gain = np.linalg.solve(whole, shared).transpose(0, 2, 1)
            bodies = guess + (gain @ (off[..., None] - slopes @ (guess - bodies)[..., None]))[..., 0]
            spread = _symmetric(unknown - gain @ shared)
        self._judge(detections, expected)
        self._bodies = np.concatenate([self._bodies, bodies])
        self._spread = np.concatenate([self._spread, spread])
        self._widths = np.concatenate([self._widths, self._seen_widths[detections]])
        self._width_spread = np.concatenate([self._width_spread, np.full(count, noise.first_width_error**2)])

    def is_sound(self) -> bool:
        """See `Motion`. Where most people seem giants or dwarfs, as by a plan in feet, the calibration is wrong."""
        return self._judged < _ENOUGH_JUDGED or self._fitting >= self._judged / 2

    def drop(self, tracks: Indices) -> None:
        """See `Motion`."""
        self._bodies = np.delete(self._bodies, tracks, axis=0)
        self._spread = np.delete(self._spread, tracks, axis=0)
        self._widths = np.delete(self._widths, tracks)
        self._width_spread = np.delete(self._width_spread, tracks)

    def _judge(self, detections: Indices, expected: Reals) -> None:
        """Count how many new boxes, of those the picture's edge does not cut, are as high as bodies are there."""
        whole = self._is_whole[detections]
        seen = self._seen[detections][whole]
        misfit = np.abs(np.log(_heights(seen) / _heights(expected[whole])))
        self._judged += len(seen)
        self._fitting += int((misfit < math.log(_WORST_FIT)).sum())

    def _variances(self, off: Reals, detections: Indices) -> Reals:
        """Of measurements (..., d, 3) that are so far off, in squared heights: ends too far up say little."""
        dilution = self._dilution[detections][:, None]
        variances: Reals = self._errors**2 * dilution + (-off).clip(0.0, self._trust) ** 2
        return variances


_EDGE_PX = 2
_SMALLEST_M, _TALLEST_M = 1.0, 2.1
_ANYWHERE_M = 10.0
_ITERATIONS = 3
"""Times that a new body is fitted to its box; the perspective is straight enough for the third to change nothing."""
_SHORTEST_PX = 4.0
_WORST_FIT = 1.4
_ENOUGH_JUDGED = 20


def _heights(expected: Reals) -> Reals:
    return np.maximum(expected[:, 2] - expected[:, 1], _SHORTEST_PX)


def _diagonal(variances: Reals) -> Reals:
    return variances[..., None] * np.eye(3)


def _symmetric(spread: Reals) -> Reals:
    result: Reals = (spread + spread.transpose(0, 2, 1)) / 2
    return result


def _mahalanobis(off: Reals, blur: Reals, noise: Reals) -> tuple[Reals, Reals]:
    """Squared distances of (..., 3) under covariances `blur` (..., 3, 3) plus the diagonals `noise`; determinants.

    By cofactors, which for a thousand pairs takes a fifth of the time of solving.
    """
    a, d, f = (blur[..., axis, axis] + noise[..., axis] for axis in range(3))
    b, c, e = blur[..., 0, 1], blur[..., 0, 2], blur[..., 1, 2]
    x, y, z = off[..., 0], off[..., 1], off[..., 2]
    across, beside, below = d * f - e * e, c * e - b * f, b * e - c * d
    volume = a * across + b * beside + c * below
    squares = across * x * x + (a * f - c * c) * y * y + (a * d - b * b) * z * z
    squares = squares + 2 * (beside * x * y + below * x * z + (b * c - a * e) * y * z)
    return squares / volume, volume
