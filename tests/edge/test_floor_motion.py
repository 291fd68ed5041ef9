"""Following people on a calibrated floor: the made-up shop's cameras, and people of its heights as boxes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.floor import Calibration, Floor
from edge.motion_tracker import MotionTracker
from edge.settings import CameraSettings
from edge.synthetic.lens import VIEWS, Lens, lens_of
from edge.synthetic.plan import ViewName
from edge.tracker import Tracks
from edge.view import tracker_of

SIZE = (640, 480)
Box = tuple[float, float, float, float]


def floor_of(lens: Lens, *, scale: float = 1.0) -> Floor:
    image, plan = lens.calibration()
    calibration = Calibration(image_points=image, floor_points=tuple((scale * x, scale * y) for x, y in plan))
    return Floor.from_points(calibration, camera="c", floor="ground", image_size=SIZE)


def body(lens: Lens, x: float, y: float, *, height: float = 1.7) -> Box:
    (foot_x, foot_y), (head_x, head_y) = lens.project(np.array([(x, y, 0.0), (x, y, height)]))
    middle, half = (foot_x + head_x) / 2, 0.2 * (foot_y - head_y)
    return (middle - half, head_y, middle + half, foot_y)


def seen(*boxes: Box, confidence: float = 0.9) -> Detections:
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4), confidence=np.full(len(boxes), confidence, np.float32)
    )


def without_legs(box: Box) -> Box:
    left, top, right, bottom = box
    return (left, top, right, top + 0.5 * (bottom - top))


def both_in_one(near: Box, far: Box) -> Box:
    return (min(near[0], far[0]), min(near[1], far[1]), max(near[2], far[2]), max(near[3], far[3]))


def ids(found: Tracks) -> list[int]:
    return [int(one) for one in found.ids]


def moments(seconds: float, rate: float) -> Iterator[float]:
    return (step / rate for step in range(int(seconds * rate)))


@pytest.mark.parametrize("rate", [2.5, 5, 10, 30])
@pytest.mark.parametrize("view", VIEWS)
def test_a_walk_towards_the_camera_is_one_track_at_any_rate(view: ViewName, rate: float) -> None:
    lens = lens_of(view, SIZE)
    (far_x, far_y), (near_x, near_y) = lens.floor_at(np.array([(320.0, 190.0), (320.0, 440.0)]))
    tracker, seconds = MotionTracker(floor=floor_of(lens)), float(np.hypot(near_x - far_x, near_y - far_y)) / 1.3
    found = []
    for at in moments(seconds, rate):
        share = at / seconds
        place = (far_x + share * (near_x - far_x), far_y + share * (near_y - far_y))
        found.append(tracker.update(seen(body(lens, *place)), at))
    assert {one for tracks in found for one in ids(tracks)} == {0}
    assert sum(len(tracks) == 0 for tracks in found) == 1


def test_a_shelf_before_the_legs_moves_nobody() -> None:
    """Who goes on behind a shelf is met again beyond it, where the legs come back."""
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    for at in moments(4.0, 10):
        whole = body(lens, 0.5 + 0.8 * at, 2.0)
        found = tracker.update(seen(without_legs(whole) if 1 < at < 3 else whole), at)
    assert ids(found) == [0]
    assert found.boxes[0].tolist() == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("rate", [5, 10])
def test_one_box_over_two_people_belongs_to_whoever_stands_in_front(rate: float) -> None:
    """Two pass each other, one behind the other, and for a while a detector sees them as one."""
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    kept = set()
    for at in moments(4.0, rate):
        near, far = body(lens, 0.3 + 0.7 * at, 2.2), body(lens, 3.1 - 0.7 * at, 1.6)
        together = abs(near[0] - far[0]) < 0.75 * (near[2] - near[0])
        found = tracker.update(seen(both_in_one(near, far)) if together else seen(near, far), at)
        if together:
            kept |= set(ids(found))
    assert kept == {0}
    assert ids(found) == [0, 1]
    assert found.boxes[:, 3].tolist() == pytest.approx([near[3], far[3]], abs=0.01)


def test_who_walks_out_over_the_upper_edge_is_not_thought_to_shrink() -> None:
    lens = lens_of("till", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    (start_x, start_y), (end_x, end_y) = lens.floor_at(np.array([(320.0, 150.0), (320.0, 60.0)]))
    seconds = float(np.hypot(end_x - start_x, end_y - start_y)) / 1.3
    found = []
    for at in moments(seconds, 10):
        share = at / seconds
        left, top, right, bottom = body(lens, start_x + share * (end_x - start_x), start_y + share * (end_y - start_y))
        found.append(tracker.update(seen((left, max(top, 0.0), right, bottom)), at))
    assert [ids(tracks) for tracks in found[1:]] == [[0]] * (len(found) - 1)


def test_a_box_that_takes_in_who_stands_behind_is_of_the_one_in_front() -> None:
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    for at in moments(4.0, 10):
        left, top, right, bottom = body(lens, 1.0, 2.0)
        higher = (left, top - 0.35 * (bottom - top), right, bottom)
        found = tracker.update(seen(higher if 1 < at < 3 else (left, top, right, bottom)), at)
        assert ids(found) == ([] if at == 0 else [0])


def test_one_who_hides_and_one_who_comes_are_not_made_to_fit() -> None:
    """Leaving a track and a box alone is better than moving two people who stand by a step each."""
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    for at in moments(2.0, 10):
        tracker.update(seen(body(lens, 1.0, 2.0), body(lens, 1.38, 2.0)), at)
    found = tracker.update(seen(body(lens, 1.0, 2.0), body(lens, 0.62, 2.0)), 2.0)
    assert ids(found) == [0]


def test_a_tracker_says_where_on_the_floor_people_are_though_their_legs_are_hidden() -> None:
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    for at in moments(4.0, 10):
        whole = body(lens, 0.5 + 0.5 * at, 2.0)
        found = tracker.update(seen(without_legs(whole) if at > 1 else whole), at)
    assert found.places is not None
    assert found.places[0].tolist() == pytest.approx([0.5 + 0.5 * 3.9, 2.0], abs=0.2)


def test_people_are_followed_also_where_the_plan_is_in_feet_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lens = lens_of("door", SIZE)
    tracker = tracker_of(CameraSettings(id="door", file=Path("door.mp4")), floor_of(lens, scale=3.28))
    found = [tracker.update(seen(body(lens, 0.5 + 0.4 * at, 2.0)), at) for at in moments(5.0, 10)]
    assert {len(tracks) for tracks in found[25:]} == {1}
    assert len({one for tracks in found[25:] for one in ids(tracks)}) == 1
    (said,) = caplog.messages
    assert said.startswith("Camera door follows people in the picture and not on the floor")


def test_a_box_on_no_floor_is_nobody_and_harms_nothing() -> None:
    lens = lens_of("door", SIZE)
    tracker = MotionTracker(floor=floor_of(lens))
    high: Box = (300, -400, 340, -300)
    for at in moments(2.0, 10):
        found = tracker.update(seen(body(lens, 1.5, 2.0), high), at)
    assert ids(found) == [0]


def test_a_camera_s_own_tracker_is_on_its_floor() -> None:
    camera = CameraSettings(id="door", file=Path("door.mp4"))
    lens = lens_of("door", SIZE)
    tracker = tracker_of(camera, floor_of(lens))
    for at in moments(1.0, 10):
        found = tracker.update(seen(body(lens, 1.0, 2.0)), at)
    assert found.places is not None
    tracker = tracker_of(camera, Floor.uncalibrated(SIZE))
    for at in moments(1.0, 10):
        found = tracker.update(seen(body(lens, 1.0, 2.0)), at)
    assert ids(found) == [0]
    assert found.places is None


def test_a_floor_that_no_camera_sees_is_followed_in_the_picture() -> None:
    drawing = Calibration(
        image_points=((0, 0), (640, 0), (640, 480), (0, 480)), floor_points=((0, 8), (8, 8), (8, 0), (0, 0))
    )
    tracker = MotionTracker(floor=Floor.from_points(drawing, camera="c", floor="ground", image_size=SIZE))
    for at in moments(2.0, 10):
        found = tracker.update(seen((200 + 40 * at, 100, 240 + 40 * at, 200)), at)
    assert ids(found) == [0]
