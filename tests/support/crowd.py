"""A made-up crowd for measuring what following many costs: people who walk about a hall, as a detector sees them."""

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections
from edge.floor import Calibration
from edge.synthetic.lens import Lens, Pose
from tests.support.clips import Clip

__all__ = ["CROWD", "PEOPLE", "crowd"]

PEOPLE = 30
_LENS = Lens(size=(1280, 720), pose=Pose(x=0, y=-4, height_m=6, heading_degrees=90, tilt_degrees=30, focal_share=0.8))
_IMAGE_POINTS, _FLOOR_POINTS = _LENS.calibration()
CROWD = Clip(
    name="30 people",
    frames=1000,
    rate=10.0,
    size=_LENS.size,
    calibration=Calibration(image_points=_IMAGE_POINTS, floor_points=_FLOOR_POINTS),
)
_HALL = np.array([(-4.5, 3.0), (4.5, 18.0)])
"""Two corners of where they walk, in metres: all of it is in the picture, with its people's heads."""
_MISSED = 0.05
"""How often a person is not found."""
_ERROR = 0.02
"""Standard deviation of a box's sides, in body heights."""


def crowd() -> list[Detections]:
    """What is found in each frame of people who walk in straight lines, at a shopper's speed, and turn at the walls."""
    random = np.random.default_rng(0)
    heights = random.uniform(1.5, 1.9, PEOPLE)
    places = _HALL[0] + random.uniform(0, 1, (PEOPLE, 2)) * (_HALL[1] - _HALL[0])
    headings = random.uniform(0, 2 * np.pi, PEOPLE)
    strides = random.uniform(0.7, 1.5, PEOPLE) / CROWD.rate
    steps = strides[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    result = []
    for _ in range(CROWD.frames):
        places = places + steps
        steps = np.where((places < _HALL[0]) | (places > _HALL[1]), -steps, steps)
        places = places.clip(*_HALL)
        result.append(_found(_boxes(places, heights), random))
    return result


def _boxes(places: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    feet = _LENS.project(np.column_stack([places, np.zeros(PEOPLE)]))
    heads = _LENS.project(np.column_stack([places, heights]))
    middles, halves = (feet[:, 0] + heads[:, 0]) / 2, 0.2 * (feet[:, 1] - heads[:, 1])
    return np.stack([middles - halves, heads[:, 1], middles + halves, feet[:, 1]], axis=1)


def _found(exact: npt.NDArray[np.float64], random: np.random.Generator) -> Detections:
    """What a detector makes of these boxes (n, 4): some are missed, none is exact, and some are weak."""
    seen = exact[random.uniform(size=len(exact)) >= _MISSED]
    heights = seen[:, 3:] - seen[:, 1:2]
    boxes = np.clip(seen + random.normal(0, _ERROR, seen.shape) * heights, 0, [*CROWD.size, *CROWD.size])
    confidence = np.clip(random.normal(0.75, 0.15, len(seen)), 0.1, 0.99)
    best = np.argsort(-confidence, kind="stable")
    return Detections(boxes=boxes[best].astype(np.float32), confidence=confidence[best].astype(np.float32))
