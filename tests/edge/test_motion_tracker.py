import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.motion_tracker import MotionTracker
from edge.tracker import Tracks

Box = tuple[float, float, float, float]


def person(x: float, y: float = 100, height: float = 100) -> Box:
    return (x, y, x + 0.4 * height, y + height)


def seen(*boxes: Box, confidence: float = 0.9) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4), confidence=np.full(len(boxes), confidence, np.float32)
    )


def both(strong: Detections, weak: Detections) -> Detections:
    return Detections(
        boxes=np.concatenate([strong.boxes, weak.boxes]),
        confidence=np.concatenate([strong.confidence, weak.confidence]),
    )


def standing(tracker: MotionTracker, seconds: float = 2.0, rate: float = 10) -> float:
    """Somebody stands at x = 200; the time of the last frame."""
    for step in range(int(seconds * rate)):
        tracker.update(seen(person(200)), step / rate)
    return (int(seconds * rate) - 1) / rate


def ids(tracks: Tracks) -> list[int]:
    return [int(one) for one in tracks.ids]


@pytest.mark.parametrize("rate", [2, 5, 10, 30])
@pytest.mark.parametrize("height", [40, 100, 300])
def test_a_walk_is_one_track_at_any_rate_and_size(rate: int, height: int) -> None:
    tracker = MotionTracker()
    found = [
        tracker.update(seen(person(0.8 * height * step / rate, height=height)), step / rate) for step in range(6 * rate)
    ]
    assert {one for tracks in found for one in ids(tracks)} == {0}
    assert sum(len(tracks) == 0 for tracks in found) == 1


def test_one_passes_behind_another_and_comes_out_as_the_same() -> None:
    """While both are in one place there is one box; who stands keeps it, who walks is found by the motion."""
    tracker = MotionTracker()
    for step in range(80):
        walker = person(40 + 8 * step)
        hidden = abs(walker[0] - 360) < 28
        boxes = [person(360)] if hidden else [person(360), walker]
        tracks = tracker.update(seen(*boxes), step / 10)
        if step == 20:
            before = dict(zip(ids(tracks), tracks.boxes[:, 0].tolist(), strict=True))
    after = dict(zip(ids(tracks), tracks.boxes[:, 0].tolist(), strict=True))
    assert set(before) == set(after) == {0, 1}
    assert {one: left == 360 for one, left in before.items()} == {one: left == 360 for one, left in after.items()}


def test_weak_boxes_carry_a_track_on_but_start_none() -> None:
    tracker = MotionTracker()
    last = standing(tracker)
    for step in range(1, 20):
        weak = seen(person(200), person(500), confidence=0.2)
        assert ids(tracker.update(weak, last + step / 10)) == [0]


def test_a_weak_box_does_not_revive_a_hidden_track() -> None:
    tracker = MotionTracker()
    last = standing(tracker)
    for step in range(1, 6):
        tracker.update(Detections.none(), last + step / 10)
    assert ids(tracker.update(seen(person(200), confidence=0.2), last + 0.6)) == []
    assert ids(tracker.update(seen(person(200)), last + 0.7)) == [0]


def test_a_box_of_somebody_s_half_is_nobody_new() -> None:
    tracker = MotionTracker()
    last = standing(tracker)
    for step in range(1, 20):
        half = seen((200, 100, 240, 150), confidence=0.8)
        assert ids(tracker.update(both(seen(person(200)), half), last + step / 10)) == [0]


def test_a_box_of_another_size_is_somebody_else() -> None:
    tracker = MotionTracker()
    last = standing(tracker)
    found = [tracker.update(seen(person(200, height=300)), last + step / 10) for step in range(1, 5)]
    assert 0 not in {one for tracks in found for one in ids(tracks)}


@pytest.mark.parametrize(("pause", "same"), [(0.9, True), (1.1, False)])
def test_a_track_waits_a_second(pause: float, *, same: bool) -> None:
    tracker = MotionTracker()
    last = standing(tracker)
    tracker.update(Detections.none(), last + 0.1)
    tracker.update(Detections.none(), last + pause - 0.05)
    tracks = tracker.update(seen(person(200)), last + pause)
    assert ids(tracks) == ([0] if same else [])


def test_a_slow_rate_still_tracks_and_a_long_silence_forgets() -> None:
    tracker = MotionTracker()
    assert [ids(tracker.update(seen(person(200)), 2.0 * step)) for step in range(4)] == [[], [0], [0], [0]]
    assert ids(tracker.update(seen(person(200)), 100.0)) == []
