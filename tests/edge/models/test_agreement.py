import numpy as np
import pytest

from edge.camera.frames import Frame
from edge.detector.detections import Detections
from edge.errors import ModelError
from edge.models.agreement import GATE, Agreement, agreement

FRAMES = [Frame(at=0.0, image=np.zeros((1, 1, 3), np.uint8), camera="c", index=index) for index in range(50)]
WIDE = 10.0


class Says:
    """Finds the same people in each picture: (left, confidence), each ten wide and twenty high."""

    def __init__(self, *people: tuple[float, float]) -> None:
        boxes = [[left, 0, left + WIDE, 20] for left, _ in people]
        self._found = Detections(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.array([confidence for _, confidence in people], np.float32),
        )

    def detect(self, frame: Frame) -> Detections:
        return self._found


THREE = ((0.0, 0.9), (50.0, 0.8), (100.0, 0.7))
CASES = {
    "the same": (THREE, 1.0, 1.0),
    "a little beside": (((1.0, 0.9), (51.0, 0.8), (99.0, 0.7)), 1.0, 1.0),
    "one is elsewhere": (((2.0, 0.9), *THREE[1:]), 2 / 3, 2 / 3),
    "one is lost": (THREE[1:], 2 / 3, 1.0),
    "one is less sure, as may be": (((0.0, 0.42), *THREE[1:]), 1.0, 1.0),
    "one is much less sure": (((0.0, 0.3), *THREE[1:]), 2 / 3, 1.0),
    "one more": ((*THREE, (150.0, 0.6)), 1.0, 3 / 4),
    "one person twice": ((*THREE, (1.0, 0.6)), 1.0, 3 / 4),
    "nobody": ((), 0.0, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_both_ways_are_judged(case: str) -> None:
    said, recall, precision = CASES[case]
    found = agreement(Says(*THREE), Says(*said), FRAMES)
    assert (found.pictures, found.people) == (50, 150)
    assert found.recall == pytest.approx(recall)
    assert found.precision == pytest.approx(precision)
    assert found.passes is (min(recall, precision) >= GATE)


def test_too_few_people_tell_nothing() -> None:
    with pytest.raises(ModelError, match="shows 99 people, too few to judge by; allowed is 100 or more"):
        agreement(Says(*THREE), Says(*THREE), FRAMES[:33])


def test_either_side_alone_fails_the_gate() -> None:
    almost = GATE - 0.001
    assert not Agreement(pictures=1, people=100, recall=almost, precision=1.0).passes
    assert not Agreement(pictures=1, people=100, recall=1.0, precision=almost).passes
    assert Agreement(pictures=1, people=100, recall=GATE, precision=GATE).passes
