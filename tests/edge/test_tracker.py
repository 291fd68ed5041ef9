import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.motion_tracker import MotionTracker
from edge.tracker import LibraryTracker, Tracker, TrackerSettings, Tracks

ALGORITHMS = ["botsort", "bytetrack", "motion"]


def detections(*boxes: tuple[float, float, float, float], confidence: float = 0.9) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4), confidence=np.full(len(boxes), confidence, np.float32)
    )


def person(x: float, y: float = 100) -> tuple[float, float, float, float]:
    return (x, y, x + 40, y + 100)


def tracker(algorithm: str) -> Tracker:
    if algorithm == "motion":
        return MotionTracker()
    return LibraryTracker(TrackerSettings(algorithm="botsort" if algorithm == "botsort" else "bytetrack"))


def ids(tracks: list[Tracks]) -> list[list[int]]:
    return [one.ids.tolist() for one in tracks]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_people_cross_at_a_distance_without_a_switch(algorithm: str) -> None:
    following = tracker(algorithm)
    steps = [
        following.update(detections(person(10 * step), person(400 - 10 * step, 260)), step / 10) for step in range(40)
    ]
    assert ids(steps)[5:] == [[0, 1]] * 35
    rightward = [float(step.boxes[step.ids == steps[5].ids[0]][0, 0]) for step in steps[5:]]
    assert sorted(rightward) == rightward or sorted(rightward, reverse=True) == rightward


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_flash_in_one_frame_is_confirmed_by_nothing(algorithm: str) -> None:
    following = tracker(algorithm)
    following.update(Detections.none(), 0.0)
    following.update(Detections.none(), 0.1)
    assert len(following.update(detections(person(50)), 0.2)) == 0
    assert len(following.update(Detections.none(), 0.3)) == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_people_matched_in_this_frame_are_reported(algorithm: str) -> None:
    following = tracker(algorithm)
    for step in range(5):
        following.update(detections(person(50)), step / 10)
    assert len(following.update(Detections.none(), 0.5)) == 0
    again = following.update(detections(person(50)), 0.6)
    assert again.ids.tolist() == [0]
    assert again.boxes.dtype == np.float32
    assert again.confidence.dtype == np.float32
    assert again.ids.dtype == np.int64


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("rate", [4, 10, 30])
def test_the_buffer_is_in_seconds_at_any_frame_rate(algorithm: str, rate: int) -> None:
    for hidden, same in ((0.4, True), (2.0, False)):
        following = tracker(algorithm)
        for step in range(rate * 2):
            following.update(detections(person(50)), step / rate)
        last = 2 - 1 / rate
        for step in range(1, int(hidden * rate)):
            following.update(Detections.none(), last + step / rate)
        later = [following.update(detections(person(50)), last + hidden + step / rate) for step in range(8)]
        assert ([0] in ids(later)) is same


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("at", [0.4, 0.3, -5.0, float("nan"), float("inf")], ids=str)
def test_time_that_does_not_advance_matches_nobody_and_harms_nothing(algorithm: str, at: float) -> None:
    following = tracker(algorithm)
    for step in range(5):
        following.update(detections(person(50)), step / 10)
    assert len(following.update(detections(person(50)), at)) == 0
    assert following.update(detections(person(50)), 0.5).ids.tolist() == [0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_instances_share_nothing_and_repeat_themselves(algorithm: str) -> None:
    rng = np.random.default_rng(5)
    frames = [detections(*[person(x, y) for x, y in rng.uniform(0, 400, (4, 2))]) for _ in range(60)]
    first, second = tracker(algorithm), tracker(algorithm)
    for step, frame in enumerate(frames):
        one, other = first.update(frame, step / 10), second.update(frame, step / 10)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.boxes.tolist() == other.boxes.tolist()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_over_is_forgotten(algorithm: str) -> None:
    following = tracker(algorithm)
    rng = np.random.default_rng(6)
    for step in range(600):
        following.update(detections(*[person(x, y) for x, y in rng.uniform(0, 2000, (10, 2))]), step / 5)
    if isinstance(following, LibraryTracker):
        remembered = len(following._tracker.tracks)
    else:
        assert isinstance(following, MotionTracker)
        remembered = len(following._ids)
    # Those of the last second: no more.
    assert remembered <= 60
