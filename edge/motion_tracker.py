"""Follows people by their motion alone. Knows boxes and real time; refuses to know pixels, places or visits.

Each track is a Kalman filter in seconds and body heights, so that nothing depends on the frame rate or on how
near a person is. The head (the middle of the box's upper edge) moves with nearly constant velocity; the height
and the width wander slowly. The head is followed and not the feet, because people, shelves and counters hide legs
far more often, and a slow size keeps half-hidden boxes from pulling a track along.

Detections meet tracks in three rounds, as in ByteTrack (Zhang et al., 2022): strong ones meet confirmed tracks,
weak ones the confirmed tracks still in sight, and the rest of the strong ones the tracks not confirmed yet. A pair
costs minus twice the logarithm of its likelihood, under a gate; what is weak measures worse. What is left and
strong enough starts a track, unless most of it lies inside a box that is already somebody's.

On the two labelled clips of `tests/benchmarks/tracking.py` this scores better than the library's trackers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge.boxes import covered
from edge.detector.detections import Detections
from edge.tracker import Tracks

__all__ = ["MotionSettings", "MotionTracker"]

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """How people move and how well detectors measure. Lengths are in body heights.

    high_confidence: detections from here on are strong. start_confidence: from here on they may start a track.
    acceleration: spectral density of the random acceleration, heights a second to the power 1.5.
    place_error, size_error, width_error: standard deviations of a measured head, log height and log width.
    size_change: how much the logarithm of the height wanders in a second.
    gate, weak_gate: the largest squared Mahalanobis distance of a strong and of a weak pair.
    hidden_seconds: how long a track waits for its person. weak_seconds: how long weak detections may meet it.
    confirming_sightings: matches until a track counts.
    duplicate_share: a new box with more of its area than this inside a matched one is not somebody new.
    """

    high_confidence: float = 0.5
    start_confidence: float = 0.6
    acceleration: float = 0.25
    place_error: float = 0.05
    size_error: float = 0.12
    width_error: float = 0.3
    size_change: float = 0.05
    gate: float = 16.0
    weak_gate: float = 6.0
    hidden_seconds: float = 1.0
    weak_seconds: float = 0.35
    confirming_sightings: int = 2
    duplicate_share: float = 0.7


class MotionTracker:
    """A `Tracker` for fixed cameras."""

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self._settings = settings or MotionSettings()
        self._filters = _Filters(self._settings)
        self._last_at = -math.inf
        self._next_id = 0

    def update(self, detections: Detections, at: float) -> Tracks:
        """See `edge.tracker.Tracker`."""
        if not self._last_at < at < math.inf:
            return Tracks.none(at)
        interval = at - self._last_at if math.isfinite(self._last_at) else 0.0
        self._last_at = at
        self._filters.advance(interval, at)
        seen = _Seen(detections)
        pairs, failed, newcomers = self._rounds(seen, interval, at)
        for track, detection in pairs:
            self._filters.correct(track, seen, detection, at)
        found = self._confirmed(detections, pairs, at)
        self._filters.drop(failed)
        taken = detections.boxes[[detection for _, detection in pairs]]
        doubled = covered(detections.boxes[newcomers], taken) > self._settings.duplicate_share
        self._start(seen, [one for one, is_double in zip(newcomers, doubled, strict=True) if not is_double], at)
        return found

    def _rounds(self, seen: "_Seen", interval: float, at: float) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        """Matched pairs, unconfirmed tracks without a match, strong detections without one."""
        settings, filters = self._settings, self._filters
        strong = np.flatnonzero(seen.confidence >= settings.high_confidence)
        weak = np.flatnonzero(seen.confidence < settings.high_confidence)
        confirmed = filters.sightings >= settings.confirming_sightings
        first, hidden, left = self._match(np.flatnonzero(confirmed), strong, seen, settings.gate)
        in_sight = [one for one in hidden if at - filters.seen_at[one] <= max(settings.weak_seconds, interval)]
        second, _, _ = self._match(np.array(in_sight, np.intp), weak, seen, settings.weak_gate)
        third, failed, left = self._match(np.flatnonzero(~confirmed), np.array(left, np.intp), seen, settings.gate)
        return [*first, *second, *third], failed, left

    def _match(
        self, tracks: Indices, detections: Indices, seen: "_Seen", gate: float
    ) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        """Pairs of the cheapest joint assignment under the gate, and the tracks and detections it leaves."""
        if not len(tracks) or not len(detections):
            return [], tracks.tolist(), detections.tolist()
        distance, rarity = self._filters.compare(tracks, seen, detections)
        allowed = distance < gate
        costs = np.where(allowed, distance + rarity, _FORBIDDEN)
        rows, columns = linear_sum_assignment(costs)
        matched = [(row, column) for row, column in zip(rows, columns, strict=True) if allowed[row, column]]
        pairs = [(int(tracks[row]), int(detections[column])) for row, column in matched]
        return (
            pairs,
            np.setdiff1d(tracks, [track for track, _ in pairs]).tolist(),
            np.setdiff1d(detections, [detection for _, detection in pairs]).tolist(),
        )

    def _confirmed(self, detections: Detections, pairs: Iterable[tuple[int, int]], at: float) -> Tracks:
        filters = self._filters
        rows = sorted(
            (int(filters.ids[track]), detection)
            for track, detection in pairs
            if filters.sightings[track] >= self._settings.confirming_sightings
        )
        chosen = np.array([detection for _, detection in rows], np.intp)
        return Tracks(
            at=at,
            ids=np.array([track for track, _ in rows], np.int64),
            boxes=detections.boxes[chosen],
            confidence=detections.confidence[chosen],
        )

    def _start(self, seen: "_Seen", newcomers: Iterable[int], at: float) -> None:
        for detection in newcomers:
            if seen.confidence[detection] >= self._settings.start_confidence:
                self._filters.add(self._next_id, seen, detection, at)
                self._next_id += 1


_FORBIDDEN = 1e6
_STARTING_SPEED = 0.7
"""Standard deviation of an unknown speed, heights a second: a walk is 0.8."""
_LONGEST_INTERVAL = 5.0
"""Seconds without a frame after which nobody is known any more."""


class _Seen:
    """Detections as measurements: heads (n, 2), heights and widths (n,), and how much worse the weak measure (n,)."""

    def __init__(self, detections: Detections) -> None:
        boxes = detections.boxes.astype(np.float64)
        self.heads: Reals = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 1]], axis=1)
        self.heights: Reals = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
        self.widths: Reals = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)
        self.confidence: Reals = detections.confidence.astype(np.float64)
        self.dilution: Reals = 1 / np.maximum(self.confidence, 0.1)


class _Filters:
    """All tracks' filters, as one structure of arrays over the tracks.

    heads and velocities (n, 2) are in pixels; spread (n, 2, 2) is the covariance of place and velocity along
    either axis, in squared heights; size_spread (n,) is the variance of the logarithm of height and width.
    """

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self.ids = np.empty(0, np.int64)
        self.heads = np.empty((0, 2))
        self.velocities = np.empty((0, 2))
        self.heights = np.empty(0)
        self.widths = np.empty(0)
        self.spread = np.empty((0, 2, 2))
        self.size_spread = np.empty(0)
        self.seen_at = np.empty(0)
        self.sightings = np.empty(0, np.int64)

    def advance(self, seconds: float, at: float) -> None:
        """Predict, and forget who has been hidden for too long; each gets at least the next frame."""
        settings = self._settings
        self.heads = self.heads + self.velocities * seconds
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        self.spread = step @ self.spread @ step.T + settings.acceleration**2 * noise
        self.size_spread = self.size_spread + settings.size_change**2 * seconds
        patience = max(settings.hidden_seconds, min(seconds, _LONGEST_INTERVAL))
        self.drop(np.flatnonzero(at - self.seen_at > patience + _ROUNDING_SECONDS).tolist())

    def compare(self, tracks: Indices, seen: _Seen, detections: Indices) -> tuple[Reals, Reals]:
        """Squared Mahalanobis distances, and the logarithms of how thinly each prediction is spread (t, d)."""
        settings = self._settings
        dilution = seen.dilution[detections][None]
        place_variance = self.spread[tracks, 0, 0][:, None] + settings.place_error**2 * dilution
        size_variance = self.size_spread[tracks][:, None] + settings.size_error**2 * dilution
        heights = self.heights[tracks][:, None]
        away = (self.heads[tracks][:, None] - seen.heads[detections][None]) / heights[..., None]
        taller = np.log(seen.heights[detections][None] / heights)
        wider = np.log(seen.widths[detections][None] / self.widths[tracks][:, None]) / settings.width_error
        distance: Reals = (away**2).sum(axis=2) / place_variance + taller**2 / size_variance + wider**2
        rarity: Reals = 2 * np.log(place_variance / settings.place_error**2)
        return distance, rarity

    def correct(self, track: int, seen: _Seen, detection: int, at: float) -> None:
        """Take a measurement in."""
        settings, dilution = self._settings, seen.dilution[detection]
        spread = self.spread[track]
        gain = spread[0] / (spread[0, 0] + settings.place_error**2 * dilution)
        surprise = seen.heads[detection] - self.heads[track]
        self.heads[track] += gain[0] * surprise
        self.velocities[track] += gain[1] * surprise
        self.spread[track] = spread - np.outer(gain, spread[0])
        size_gain = self.size_spread[track] / (self.size_spread[track] + settings.size_error**2 * dilution)
        self.heights[track] *= (seen.heights[detection] / self.heights[track]) ** size_gain
        self.widths[track] *= (seen.widths[detection] / self.widths[track]) ** size_gain
        self.size_spread[track] *= 1 - size_gain
        self.seen_at[track] = at
        self.sightings[track] += 1

    def add(self, track_id: int, seen: _Seen, detection: int, at: float) -> None:
        """Begin a track with its first measurement."""
        settings = self._settings
        unknown = np.diag([settings.place_error**2, _STARTING_SPEED**2])
        self.ids = np.append(self.ids, track_id)
        self.heads = np.vstack([self.heads, seen.heads[detection]])
        self.velocities = np.vstack([self.velocities, np.zeros(2)])
        self.heights = np.append(self.heights, seen.heights[detection])
        self.widths = np.append(self.widths, seen.widths[detection])
        self.spread = np.concatenate([self.spread, unknown[None]])
        self.size_spread = np.append(self.size_spread, settings.size_error**2)
        self.seen_at = np.append(self.seen_at, at)
        self.sightings = np.append(self.sightings, 1)

    def drop(self, tracks: list[int]) -> None:
        """Forget these tracks."""
        self.ids = np.delete(self.ids, tracks)
        self.heads = np.delete(self.heads, tracks, axis=0)
        self.velocities = np.delete(self.velocities, tracks, axis=0)
        self.heights = np.delete(self.heights, tracks)
        self.widths = np.delete(self.widths, tracks)
        self.spread = np.delete(self.spread, tracks, axis=0)
        self.size_spread = np.delete(self.size_spread, tracks)
        self.seen_at = np.delete(self.seen_at, tracks)
        self.sightings = np.delete(self.sightings, tracks)


_ROUNDING_SECONDS = 1e-6
