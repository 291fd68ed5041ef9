"""How people move in the picture, where no floor is known. Knows boxes; refuses to know pixels' meaning and identities.

Each track is a Kalman filter in seconds and body heights, so that nothing depends on the frame rate or on how
near a person is. The head (the middle of the box's upper edge) moves with nearly constant velocity; the height
and the width wander slowly. The head is followed and not the feet, because people, shelves and counters hide legs
far more often, and a slow size keeps half-hidden boxes from pulling a track along.
"""

from dataclasses import dataclass

import numpy as np

from edge.detector.detections import Detections
from edge.motion import Indices, Reals

__all__ = ["ImageMotion", "ImageNoise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNoise:
    """How people move and how well detectors measure. Lengths are in body heights.

    acceleration: spectral density of the random acceleration, heights a second to the power 1.5.
    place_error, size_error, width_error: standard deviations of a measured head, log height and log width.
    size_change: how much the logarithm of the height wanders in a second.
    starting_speed: standard deviation of an unknown speed, heights a second: a walk is 0.8.
    """

    acceleration: float = 0.25
    place_error: float = 0.05
    size_error: float = 0.12
    width_error: float = 0.3
    size_change: float = 0.05
    starting_speed: float = 0.7


class ImageMotion:
    """A `Motion`, as one structure of arrays over the tracks.

    heads and velocities (n, 2) are in pixels; spread (n, 2, 2) is the covariance of place and velocity along
    either axis, in squared heights; size_spread (n,) is the variance of the logarithm of height and width.
    """

    alone = 1e6

    def __init__(self, noise: ImageNoise | None = None) -> None:
        self._noise = noise or ImageNoise()
        self._heads = np.empty((0, 2))
        self._velocities = np.empty((0, 2))
        self._heights = np.empty(0)
        self._widths = np.empty(0)
        self._spread = np.empty((0, 2, 2))
        self._size_spread = np.empty(0)
        self.measure(Detections.none())

    def advance(self, seconds: float) -> None:
        """See `Motion`."""
        self._heads = self._heads + self._velocities * seconds
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        self._spread = step @ self._spread @ step.T + self._noise.acceleration**2 * noise
        self._size_spread = self._size_spread + self._noise.size_change**2 * seconds

    def measure(self, detections: Detections) -> None:
        """See `Motion`. What is weak measures worse."""
        boxes = detections.boxes.astype(np.float64)
        self._seen_heads: Reals = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 1]], axis=1)
        self._seen_heights: Reals = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
        self._seen_widths: Reals = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)
        self._dilution: Reals = 1 / np.maximum(detections.confidence.astype(np.float64), 0.1)

    def compare(self, tracks: Indices, detections: Indices) -> tuple[Reals, Reals]:
        """See `Motion`."""
        noise, dilution = self._noise, self._dilution[detections][None]
        place_variance = self._spread[tracks, 0, 0][:, None] + noise.place_error**2 * dilution
        size_variance = self._size_spread[tracks][:, None] + noise.size_error**2 * dilution
        heights = self._heights[tracks][:, None]
        away = (self._heads[tracks][:, None] - self._seen_heads[detections][None]) / heights[..., None]
        taller = np.log(self._seen_heights[detections][None] / heights)
        wider = np.log(self._seen_widths[detections][None] / self._widths[tracks][:, None]) / noise.width_error
        distance: Reals = (away**2).sum(axis=2) / place_variance + taller**2 / size_variance + wider**2
        rarity: Reals = 2 * np.log(place_variance / noise.place_error**2)
        return distance, rarity

    def correct(self, tracks: Indices, detections: Indices) -> None:
        """See `Motion`."""
        noise, dilution, spread = self._noise, self._dilution[detections], self._spread[tracks]
        gain = spread[:, 0] / (spread[:, 0, 0] + noise.place_error**2 * dilution)[:, None]
        surprise = self._seen_heads[detections] - self._heads[tracks]
        self._heads[tracks] += gain[:, :1] * surprise
        self._velocities[tracks] += gain[:, 1:] * surprise
        self._spread[tracks] = spread - gain[:, :, None] * spread[:, :1]
        size_spread = self._size_spread[tracks]
        size_gain = size_spread / (size_spread + noise.size_error**2 * dilution)
        self._heights[tracks] *= (self._seen_heights[detections] / self._heights[tracks]) ** size_gain
        self._widths[tracks] *= (self._seen_widths[detections] / self._widths[tracks]) ** size_gain
        self._size_spread[tracks] *= 1 - size_gain

    def places(self, tracks: Indices) -> None:
        """See `Motion`."""

    def add(self, detections: Indices) -> None:
        """See `Motion`."""
        noise, count = self._noise, len(detections)
        unknown = np.diag([noise.place_error**2, noise.starting_speed**2])
        self._heads = np.concatenate([self._heads, self._seen_heads[detections]])
        self._velocities = np.concatenate([self._velocities, np.zeros((count, 2))])
        self._heights = np.concatenate([self._heights, self._seen_heights[detections]])
        self._widths = np.concatenate([self._widths, self._seen_widths[detections]])
        self._spread = np.concatenate([self._spread, np.tile(unknown, (count, 1, 1))])
        self._size_spread = np.concatenate([self._size_spread, np.full(count, noise.size_error**2)])

    def is_sound(self) -> bool:
        """See `Motion`. There is nothing that could be wrong."""
        return True

    def drop(self, tracks: Indices) -> None:
        """See `Motion`."""
        self._heads = np.delete(self._heads, tracks, axis=0)
        self._velocities = np.delete(self._velocities, tracks, axis=0)
        self._heights = np.delete(self._heights, tracks)
        self._widths = np.delete(self._widths, tracks)
        self._spread = np.delete(self._spread, tracks, axis=0)
        self._size_spread = np.delete(self._size_spread, tracks)
