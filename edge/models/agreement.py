"""Whether one network still finds the people that another one finds: the gate for a network in whole numbers.

Judged is who counts: boxes that are sure enough to be a strong detection to the tracker. The other network may be a
little less sure of them, since a box that is just sure enough falls to either side for no reason that matters. Boxes
must overlap by three quarters, for people stand where their boxes end. Figures behind these bounds: docs/models.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame
from edge.detector.detections import Detections, Detector
from edge.errors import ModelError

__all__ = ["GATE", "Agreement", "agreement"]

Floats = npt.NDArray[np.float32]

GATE = 0.97
"""The least share of the people of either network that the other one must find."""
LEAST_PEOPLE = 100
"""Of fewer people, a share of 0.97 says too little."""
_SURE, _SLACK, _OVERLAP = 0.5, 0.1, 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """recall: of the people that the original finds, the share that the other finds; precision: the reverse."""

    pictures: int
    people: int
    recall: float
    precision: float

    @property
    def passes(self) -> bool:
        """Whether it is good enough to serve in the original's place."""
        return min(self.recall, self.precision) >= GATE

    def __str__(self) -> str:
        return (
            f"finds {self.recall:.1%} of the {self.people} people that the original finds in {self.pictures} pictures "
            f"held back, and {self.precision:.1%} of those it finds are found by the original"
        )


def agreement(original: Detector, other: Detector, frames: Iterable[Frame]) -> Agreement:
    """Compare two detectors; raises ModelError where the pictures show too few people to tell."""
    pairs = [(original.detect(frame), other.detect(frame)) for frame in frames]
    found, people = _found(pairs)
    kept, claimed = _found([(other_said, original_said) for original_said, other_said in pairs])
    if people < LEAST_PEOPLE:
        raise ModelError(
            f"the last third of the pictures, which is held back, shows {people} people, too few to judge by; "
            f"allowed is {LEAST_PEOPLE} or more"
        )
    return Agreement(
        pictures=len(pairs), people=people, recall=found / people, precision=kept / claimed if claimed else 0.0
    )


def _found(pairs: Sequence[tuple[Detections, Detections]]) -> tuple[int, int]:
    """How many sure boxes of the first of each pair the second has too, and of how many."""
    found = there = 0
    for first, second in pairs:
        sure = first.boxes[first.confidence >= _SURE]
        found += _matched(sure, second.boxes[second.confidence >= _SURE - _SLACK])
        there += len(sure)
    return found, there


def _matched(boxes: Floats, others: Floats) -> int:
    """How many boxes find one of the others that overlaps enough, each other serving one box."""
    overlaps, matched = _overlaps(boxes, others), 0
    while overlaps.size and overlaps.max() >= _OVERLAP:
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        overlaps[row], overlaps[:, column] = 0, 0
        matched += 1
    return matched


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of each with each, (n, m)."""
    sides = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=2)
    one, other = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, others))
    return np.asarray(shared / np.maximum(one[:, None] + other - shared, 1e-6), np.float32)
