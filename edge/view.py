"""One camera's part of a scene: from its detections to its people on the floor, and what is credited to it.

Knows the camera's settings, its picture and its floor. Refuses to know other cameras, zones, lines and visits.
"""

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections
from edge.floor import Calibration, Floor, Lens
from edge.heatmap import HeatMap
from edge.lines import Line
from edge.motion_tracker import MotionTracker
from edge.settings import CameraSettings
from edge.stitching import People, Stitcher, StitchingSettings
from edge.tracker import LibraryTracker, Tracker, TrackerSettings
from edge.walkers import Walkers

__all__ = ["View", "floor_of", "tracker_of"]

_log = logging.getLogger(__name__)

_WATCHED_GAP_MS = 2_000
"""Two frames farther apart than this leave the time between them unwatched."""
_ACROSS, _DOWN = 0.05, 0.06
"""Standard deviations of where a box says the feet are, in heights of the box."""
_CUT = 4.0
"""How many times less sure the feet are below the picture's edge."""
_LEAST_M, _MOST_M = 0.05, 10.0


class View:
    """What one camera sees. `image_size` is the reference that all of its shapes are in."""

    def __init__(
        self, camera: CameraSettings, *, box: str, image_size: tuple[int, int], doorways: Sequence[Line]
    ) -> None:
        self.camera = camera.id
        self.image_size = image_size
        self.floor = floor_of(camera, image_size, box=box)
        self.heat = HeatMap(self.floor.cell)
        self._tracker = tracker_of(camera, self.floor)
        self._stitcher = Stitcher(
            image_size, StitchingSettings(gap_seconds=camera.gap_seconds), floor=self.floor, doorways=doorways
        )
        self._last_ms: int | None = None
        self.just_watched_ms = 0
        """How much of the time before the last frame was watched."""
        self.clear()

    def clear(self) -> None:
        """Begin a new minute."""
        self.watched_ms = self.frames = self.person_ms = self.max_people = 0

    def see(
        self, detections: Detections, at: float, image_size: tuple[int, int], *, is_fit: bool = True
    ) -> tuple[People, Walkers]:
        """Take one frame's detections: the people in it, and where they are.

        Time whose pictures are not fit to count in is not watched.
        """
        self.just_watched_ms = self._passed_ms(at) if is_fit else 0
        self._last_ms = round(at * 1000)
        self.watched_ms += self.just_watched_ms
        self.frames += 1
        people = self._stitcher.update(self._tracker.update(self._in_reference(detections, image_size), at))
        floor = self.floor
        walkers = Walkers(
            at=at,
            ids=people.ids,
            places=floor.place(floor.feet(people.boxes)),
            first_places=floor.place(floor.feet(people.first_boxes)),
            since=people.since,
            bodies=floor.bodies(people.boxes),
            confidence=people.confidence,
            from_edge=people.from_edge,
            at_edge=people.at_edge,
        )
        return people, walkers

    def is_watching(self, at: float) -> bool:
        """Whether its newest frame is of now, and the time before it was watched."""
        return self.just_watched_ms > 0 and round(at * 1000) - (self._last_ms or 0) <= _WATCHED_GAP_MS

    def credit(self, places: npt.NDArray[np.float64], milliseconds: npt.NDArray[np.int64], *, people: int) -> None:
        """Book time (n,) that was spent at places (n, 2), and how many `people` this camera answers for now."""
        self.heat.add(places, milliseconds)
        self.person_ms += int(milliseconds.sum())
        self.max_people = max(self.max_people, people)

    def spreads(self, people: People) -> npt.NDArray[np.float64]:
        """How sure places on a calibrated floor are: covariances (n, 2, 2) in square metres, from errors in pixels."""
        boxes = people.boxes.astype(np.float64)
        heights = boxes[:, 3] - boxes[:, 1]
        feet = self.floor.feet(boxes)
        here = self.floor.place(feet)
        across, down = np.zeros_like(feet), np.zeros_like(feet)
        across[:, 0] = _ACROSS * heights
        # Upwards in the picture, where a floor reaches farther, lies what a hidden foot is wrong by.
        down[:, 1] = -_DOWN * heights
        # So near the horizon that the way to it is no distance, a place may be anywhere.
        sideways = np.nan_to_num(self.floor.place(feet + across) - here, nan=_MOST_M)
        away = np.nan_to_num(self.floor.place(feet + down) - here, nan=_MOST_M)
        away[boxes[:, 3] >= self.image_size[1] - 2] *= _CUT
        return np.asarray(
            np.einsum("ni,nj->nij", sideways, sideways) + np.einsum("ni,nj->nij", away, away) + np.eye(2) * _LEAST_M**2
        )

    def _passed_ms(self, at: float) -> int:
        """Since the last frame; none where that is too long to have been watched."""
        passed_ms = 0 if self._last_ms is None else round(at * 1000) - self._last_ms
        return passed_ms if 0 < passed_ms <= _WATCHED_GAP_MS else 0

    def _in_reference(self, detections: Detections, image_size: tuple[int, int]) -> Detections:
        """Boxes in reference pixels, whatever size the camera sends now."""
        if image_size == self.image_size:
            return detections
        across, down = self.image_size[0] / image_size[0], self.image_size[1] / image_size[1]
        scale = np.array([across, down, across, down], np.float32)
        return Detections(boxes=detections.boxes * scale, confidence=detections.confidence)


def floor_of(camera: CameraSettings, image_size: tuple[int, int], *, box: str) -> Floor:
    """The floor a camera's settings describe; raises ConfigurationError naming the camera when its points are bad."""
    settings = camera.calibration
    if settings is None:
        return Floor.uncalibrated(image_size, box=box, camera=camera.id, cell_px=camera.cell_px)
    lens = settings.lens
    calibration = Calibration(
        image_points=settings.image_points,
        floor_points=settings.floor_points,
        lens=None if lens is None else Lens(model=lens.model, focal_px=lens.focal_px, k1=lens.k1, k2=lens.k2),
    )
    return Floor.from_points(
        calibration, camera=camera.id, floor=settings.floor, image_size=image_size, cell_m=settings.cell_m
    )


def tracker_of(camera: CameraSettings, floor: Floor) -> Tracker:
    """The tracker a camera's settings name, on its floor."""
    if camera.tracker != "motion":
        return LibraryTracker(TrackerSettings(algorithm=camera.tracker))

    def warn() -> None:
        _log.warning(
            "Camera %s follows people in the picture and not on the floor, for they seem giants or dwarfs there; check "
            "its calibration: floor_points are metres",
            camera.id, extra={"action": "leave the floor", "camera": camera.id},
        )  # fmt: skip

    return MotionTracker(floor=floor, left_floor=warn)
