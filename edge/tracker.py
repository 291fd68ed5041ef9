"""Follows people from frame to frame. Knows boxes and real time; refuses to know pixels, places or visits.

`LibraryTracker` serves the trackers of the `trackers` package; no other module imports it, and it is imported
only when such a tracker is made, because it takes 72 MB. `edge.motion_tracker` is our own. A track that is
hidden for longer than the buffer is over here, and `edge.stitching` decides whether somebody new is the same person.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections

if TYPE_CHECKING:
    import supervision
    from trackers import BoTSORTTracker, ByteTrackTracker

__all__ = ["LibraryTracker", "Tracker", "TrackerSettings", "Tracks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """Confirmed people matched in the frame shown at `at`, in ascending order of id.

    ids: int64, shape (n,), small numbers of this run that never leave the box.
    boxes: float32, shape (n, 4), left, top, right, bottom in pixels.
    confidence: float32, shape (n,), 0 to 1.
    places: float64, shape (n, 2), metres, where on a calibrated floor the tracker believes the feet are; None where it
    follows people in the picture.
    """

    at: float
    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    places: npt.NDArray[np.float64] | None = None

    @classmethod
    def none(cls, at: float) -> "Tracks":
        """Nobody."""
        detections = Detections.none()
        return cls(at=at, ids=np.empty(0, np.int64), boxes=detections.boxes, confidence=detections.confidence)

    def __len__(self) -> int:
        return len(self.ids)


class Tracker(Protocol):
    """Gives the same id to the same person in successive frames."""

    def update(self, detections: Detections, at: float) -> Tracks:
        """The confirmed tracks matched in this frame; a frame not later than the last one matches nobody."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """How a library tracker associates.

    high_confidence: detections from here on are matched first and may match hidden tracks.
    start_confidence: detections from here on may start a track.
    minimum_overlap: intersection over union times confidence that a first match needs.
    buffer_seconds: how long a hidden track waits for its person; brief, since stitching predicts better.
    reference_rate: frames per second for which the library's motion noise is meant.
    """

    algorithm: Literal["botsort", "bytetrack"] = "botsort"
    high_confidence: float = 0.4
    start_confidence: float = 0.6
    minimum_overlap: float = 0.1
    buffer_seconds: float = 0.5
    reference_rate: float = 10.0


class LibraryTracker:
    """A tracker of the `trackers` package, fed with real intervals."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._tracker = _library_tracker(settings or TrackerSettings())
        self._last_at = -math.inf

    def update(self, detections: Detections, at: float) -> Tracks:
        """See `Tracker`."""
        if not self._last_at < at < math.inf:
            return Tracks.none(at)
        import supervision

        self._last_at = at
        found = self._tracker.update(
            supervision.Detections(xyxy=detections.boxes, confidence=detections.confidence), timestamp=at
        )
        return _confirmed(found, at)


def _library_tracker(settings: TrackerSettings) -> "BoTSORTTracker | ByteTrackTracker":
    from trackers import BoTSORTTracker, ByteTrackTracker

    # The library counts its buffer in frames of a thirtieth of a second, whatever the frame rate.
    buffer = round(settings.buffer_seconds * 30)
    if settings.algorithm == "bytetrack":
        return ByteTrackTracker(
            lost_track_buffer=buffer,
            frame_rate=settings.reference_rate,
            track_activation_threshold=settings.start_confidence,
            high_conf_det_threshold=settings.high_confidence,
            minimum_iou_threshold=settings.minimum_overlap,
        )
    return BoTSORTTracker(
        lost_track_buffer=buffer,
        frame_rate=settings.reference_rate,
        track_activation_threshold=settings.start_confidence,
        high_conf_det_threshold=settings.high_confidence,
        minimum_iou_threshold_first_assoc=settings.minimum_overlap,
        enable_cmc=False,
        instant_first_frame_activation=False,
    )


def _confirmed(found: "supervision.Detections", at: float) -> Tracks:
    if found.tracker_id is None or found.confidence is None:
        return Tracks.none(at)
    confirmed = np.flatnonzero(found.tracker_id >= 0)
    order = confirmed[np.argsort(found.tracker_id[confirmed], kind="stable")]
    return Tracks(
        at=at,
        ids=found.tracker_id[order].astype(np.int64),
        boxes=found.xyxy[order].astype(np.float32),
        confidence=found.confidence[order].astype(np.float32),
    )
