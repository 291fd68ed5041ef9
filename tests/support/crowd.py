"""A made-up crowd for measuring what following many people costs: boxes that walk about, as a detector sees them."""

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections
from tests.support.clips import Clip

__all__ = ["CROWD", "PEOPLE", "crowd"]

PEOPLE = 30
CROWD = Clip(name="30 people", frames=1000, rate=10.0, size=(1280, 720))
_MISSED = 0.05
"""How often a person is not found."""
_ERROR = 0.02
"""Standard deviation of a box's sides, in body heights."""


def crowd() -> list[Detections]:
    """What is found in each frame of people who walk in straight lines, at a shopper's speed, and turn at the edges."""
    random = np.random.default_rng(0)
    heights = random.uniform(80, 140, PEOPLE)
    bodies = np.stack([0.4 * heights, heights], axis=1)
    room = np.array(CROWD.size) - bodies
    places = random.uniform(0, 1, (PEOPLE, 2)) * room
    headings = random.uniform(0, 2 * np.pi, PEOPLE)
    strides = random.uniform(0.4, 0.9, PEOPLE) * heights / CROWD.rate
    steps = strides[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    result = []
    for _ in range(CROWD.frames):
        places = places + steps
        steps = np.where((places < 0) | (places > room), -steps, steps)
        places = np.clip(places, 0, room)
        result.append(_found(np.concatenate([places, places + bodies], axis=1), random))
    return result


def _found(exact: npt.NDArray[np.float64], random: np.random.Generator) -> Detections:
    """What a detector makes of these boxes (n, 4): some are missed, none is exact, and some are weak."""
    seen = exact[random.uniform(size=len(exact)) >= _MISSED]
    heights = seen[:, 3:] - seen[:, 1:2]
    boxes = np.clip(seen + random.normal(0, _ERROR, seen.shape) * heights, 0, [*CROWD.size, *CROWD.size])
    confidence = np.clip(random.normal(0.75, 0.15, len(seen)), 0.1, 0.99)
    best = np.argsort(-confidence, kind="stable")
    return Detections(boxes=boxes[best].astype(np.float32), confidence=confidence[best].astype(np.float32))
