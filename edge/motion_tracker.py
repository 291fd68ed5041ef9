"""Follows people by their motion alone. Knows detections and real time; refuses to know pixels, places and visits.

On a calibrated floor people move in metres (`edge.floor_motion`), elsewhere, and where a calibration proves wrong, in
the picture (`edge.image_motion`).

Detections meet tracks in three rounds, as in ByteTrack (Zhang et al., 2022): strong ones meet confirmed tracks,
weak ones the confirmed tracks still in sight, and the rest of the strong ones the tracks not confirmed yet. A pair
costs minus twice the logarithm of its likelihood, under a gate; what is weak measures worse. What is left and
strong enough starts a track, unless most of it lies inside a box that is already somebody's.

On the labelled clips of `tests/benchmarks/tracking.py` this scores better than the library's trackers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge.boxes import covered
from edge.detector.detections import Detections
from edge.floor import Floor
from edge.floor_motion import FloorMotion
from edge.image_motion import ImageMotion
from edge.motion import Indices, Motion
from edge.tracker import Tracks

__all__ = ["MotionSettings", "MotionTracker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """Which detections are whose.

    high_confidence: detections from here on are strong. start_confidence: from here on they may start a track.
    gate, weak_gate: the largest squared Mahalanobis distance of a strong and of a weak pair.
    hidden_seconds: how long a track waits for its person. weak_seconds: how long weak detections may meet it.
    confirming_sightings: matches until a track counts.
    duplicate_share: a new box with more of its area than this inside a matched one is not somebody new.
    """

    high_confidence: float = 0.5
    start_confidence: float = 0.6
    gate: float = 16.0
    weak_gate: float = 6.0
    hidden_seconds: float = 1.0
    weak_seconds: float = 0.35
    confirming_sightings: int = 2
    duplicate_share: float = 0.7


class MotionTracker:
    """A `Tracker` for fixed cameras; `left_floor` hears of it when people prove not to fit the floor's calibration."""

    def __init__(
        self,
        settings: MotionSettings | None = None,
        floor: Floor | None = None,
        *,
        left_floor: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings or MotionSettings()
        self._motion = _motion_on(floor)
        self._left_floor = left_floor
        self._ids = np.empty(0, np.int64)
        self._seen_at = np.empty(0)
        self._sightings = np.empty(0, np.int64)
        self._last_at = -math.inf
        self._next_id = 0

    def update(self, detections: Detections, at: float) -> Tracks:
        """See `edge.tracker.Tracker`."""
        if not self._last_at < at < math.inf:
            return Tracks.none(at)
        interval = at - self._last_at if math.isfinite(self._last_at) else 0.0
        self._last_at = at
        self._forget(interval, at)
        self._motion.advance(interval)
        self._motion.measure(detections)
        tracks, found, failed, left = self._rounds(detections, interval, at)
        self._motion.correct(tracks, found)
        self._seen_at[tracks] = at
        self._sightings[tracks] += 1
        result = self._confirmed(tracks, detections, found, at)
        self._drop(failed)
        self._start(self._newcomers(detections, found, left), at)
        if not self._motion.is_sound():
            self._drop(np.arange(len(self._ids)))
            self._motion = ImageMotion()
            self._left_floor()
        return result

    def _forget(self, interval: float, at: float) -> None:
        """Drop who has been hidden for too long; each gets at least the next frame."""
        patience = max(self._settings.hidden_seconds, min(interval, _LONGEST_INTERVAL))
        self._drop(np.flatnonzero(at - self._seen_at > patience + _ROUNDING_SECONDS))

    def _rounds(self, detections: Detections, interval: float, at: float) -> tuple[Indices, Indices, Indices, Indices]:
        """Tracks and their detections, unconfirmed tracks without one, strong detections without a track."""
        settings = self._settings
        is_strong = detections.confidence >= settings.high_confidence
        is_confirmed = self._sightings >= settings.confirming_sightings
        first, hidden, left = self._match(np.flatnonzero(is_confirmed), np.flatnonzero(is_strong), settings.gate)
        in_sight = hidden[at - self._seen_at[hidden] <= max(settings.weak_seconds, interval)]
        second, _, _ = self._match(in_sight, np.flatnonzero(~is_strong), settings.weak_gate)
        third, failed, left = self._match(np.flatnonzero(~is_confirmed), left, settings.gate)
        tracks, found = np.concatenate([first, second, third], axis=1)
        return tracks, found, failed, left

    def _match(self, tracks: Indices, detections: Indices, gate: float) -> tuple[Indices, Indices, Indices]:
        """Pairs (2, n) of the cheapest joint assignment under the gate, and the tracks and detections it leaves."""
        if not len(tracks) or not len(detections):
            return np.empty((2, 0), np.intp), tracks, detections
        distance, rarity = self._motion.compare(tracks, detections)
        costs, alone = distance + rarity, self._motion.alone
        allowed = (distance < gate) & (costs < alone)
        rows, columns = linear_sum_assignment(np.where(allowed, costs, alone))
        kept = allowed[rows, columns]
        pairs = np.stack([tracks[rows[kept]], detections[columns[kept]]])
        return pairs, np.setdiff1d(tracks, pairs[0]), np.setdiff1d(detections, pairs[1])

    def _confirmed(self, tracks: Indices, detections: Detections, found: Indices, at: float) -> Tracks:
        order = np.argsort(self._ids[tracks])
        order = order[self._sightings[tracks[order]] >= self._settings.confirming_sightings]
        chosen = found[order]
        return Tracks(
            at=at,
            ids=self._ids[tracks[order]],
            boxes=detections.boxes[chosen],
            confidence=detections.confidence[chosen],
            places=self._motion.places(tracks[order]),
        )

    def _newcomers(self, detections: Detections, found: Indices, left: Indices) -> Indices:
        """Which of the detections left over show somebody new."""
        doubled = covered(detections.boxes[left], detections.boxes[found]) > self._settings.duplicate_share
        return left[~doubled & (detections.confidence[left] >= self._settings.start_confidence)]

    def _start(self, detections: Indices, at: float) -> None:
        count = len(detections)
        if not count:
            return
        self._motion.add(detections)
        self._ids = np.concatenate([self._ids, np.arange(self._next_id, self._next_id + count)])
        self._seen_at = np.concatenate([self._seen_at, np.full(count, at)])
        self._sightings = np.concatenate([self._sightings, np.ones(count, np.int64)])
        self._next_id += count

    def _drop(self, tracks: Indices) -> None:
        if not len(tracks):
            return
        self._motion.drop(tracks)
        self._ids = np.delete(self._ids, tracks)
        self._seen_at = np.delete(self._seen_at, tracks)
        self._sightings = np.delete(self._sightings, tracks)


_LONGEST_INTERVAL = 5.0
"""Seconds without a frame after which nobody is known any more."""
_ROUNDING_SECONDS = 1e-6


def _motion_on(floor: Floor | None) -> Motion:
    perspective = floor.perspective() if floor else None
    return FloorMotion(floor, perspective) if floor and perspective else ImageMotion()
