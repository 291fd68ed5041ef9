import itertools
import logging
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge.camera.frames import Frame, Image
from edge.detector.detections import Detections
from edge.detector.motion import MotionDetector
from tests.support.average_precision import overlap

WIDTH, HEIGHT = 640, 480
Box = tuple[int, int, int, int]


class Floor:
    """A textured floor under a noisy camera, on which rectangles stand as tall as people."""

    def __init__(self, *, noise: float = 4.0, width: int = WIDTH, height: int = HEIGHT) -> None:
        self._random = np.random.default_rng(7)
        texture = self._random.integers(70, 130, (height // 8, width // 8, 3), np.uint8)
        self._floor = cv2.resize(texture, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        fields = self._random.normal(0, noise, (6, height, width, 3)).astype(np.float32)
        self._noise = itertools.cycle(fields)

    def show(self, *people: Box, light: float = 0.0) -> Image:
        picture = self._floor.copy()
        for left, top, right, bottom in people:
            picture[top:bottom, left:right] = (30, 40, 200)
        picture += next(self._noise) + light
        return np.clip(picture, 0, 255).astype(np.uint8)


def frame(image: Image, at: float, camera: str = "hall") -> Frame:
    return Frame(at=at, image=image, camera=camera, index=round(at * 10))


def walk(second: float) -> tuple[Box, Box]:
    """Two people, each 40×120, who walk past each other at a distance."""
    one, other = round(20 + 50 * second), round(560 - 60 * second)
    return (one, 60, one + 40, 180), (other, 300, other + 40, 420)


def watched(
    detector: MotionDetector, floor: Floor, *, rate: float, seconds: float
) -> Iterator[tuple[float, Detections]]:
    """Two seconds of empty floor, then the walk."""
    for count in range(round(2 * rate)):
        detector.detect(frame(floor.show(), count / rate))
    for count in range(round(seconds * rate)):
        second = count / rate
        yield second, detector.detect(frame(floor.show(*walk(second)), 2 + second))


@pytest.mark.parametrize("rate", [2.0, 10.0, 25.0], ids=lambda rate: f"{rate:.0f} frames a second")
def test_people_who_walk_are_found_where_they_are_at_any_frame_rate(rate: float) -> None:
    hits, boxes, people = 0, 0, 0
    for second, found in watched(MotionDetector(), Floor(), rate=rate, seconds=6):
        truth = walk(second)
        people += len(truth)
        boxes += len(found)
        hits += sum(any(overlap(box.tolist(), person) > 0.6 for box in found.boxes) for person in truth)
    assert hits >= 0.9 * people
    assert boxes <= 1.1 * people


def test_boxes_are_in_the_frame_with_confidence_in_order() -> None:
    for _, found in watched(MotionDetector(), Floor(), rate=5, seconds=6):
        assert (found.boxes[:, :2] >= 0).all()
        assert (found.boxes[:, 2] <= WIDTH).all()
        assert (found.boxes[:, 3] <= HEIGHT).all()
        assert (found.confidence > 0).all()
        assert (found.confidence <= 1).all()
        assert (np.diff(found.confidence) <= 0).all()
        assert found.boxes.dtype == found.confidence.dtype == np.float32


def test_noise_alone_is_nobody() -> None:
    detector, floor = MotionDetector(), Floor(noise=6)
    found = [len(detector.detect(frame(floor.show(), count / 10))) for count in range(60)]
    assert sum(found) == 0


def test_light_switch_is_not_a_crowd_and_people_are_found_in_the_new_light() -> None:
    detector, floor = MotionDetector(), Floor()
    for count in range(20):
        detector.detect(frame(floor.show(), count / 10))
    switched = [len(detector.detect(frame(floor.show(light=60), 2 + count / 10))) for count in range(10)]
    assert sum(switched) == 0
    found = detector.detect(frame(floor.show((300, 200, 340, 320), light=60), 3.1))
    assert len(found) == 1
    assert overlap(found.boxes[0].tolist(), (300, 200, 340, 320)) > 0.6


def test_what_is_too_small_or_too_flat_for_a_person_is_left_out() -> None:
    detector, floor = MotionDetector(), Floor()
    for count in range(20):
        detector.detect(frame(floor.show(), count / 10))
    cat, banner = (100, 100, 118, 118), (50, 300, 450, 340)
    assert len(detector.detect(frame(floor.show(cat, banner), 2.1))) == 0


def test_what_stands_still_becomes_background_after_its_time() -> None:
    detector, floor, parcel = MotionDetector(memory_seconds=5), Floor(), (300, 200, 340, 320)
    for count in range(50):
        detector.detect(frame(floor.show(), count / 5))
    at_first = detector.detect(frame(floor.show(parcel), 10.2))
    for count in range(200):
        later = detector.detect(frame(floor.show(parcel), 10.4 + count / 5))
    assert len(at_first) == 1
    assert len(later) == 0


def test_cameras_keep_their_backgrounds_apart_and_each_is_told_loudly_once(caplog: pytest.LogCaptureFixture) -> None:
    detector, hall, door = MotionDetector(), Floor(), Floor(width=320, height=240)
    with caplog.at_level(logging.WARNING):
        for count in range(10):
            assert len(detector.detect(frame(hall.show(), count / 10, "hall"))) == 0
            assert len(detector.detect(frame(door.show(light=50), count / 10, "door"))) == 0
    told = [(record.__dict__["camera"], record.__dict__["action"]) for record in caplog.records]
    assert told == [(camera, "detect motion instead of people") for camera in ("hall", "door")]


def test_camera_that_changes_resolution_starts_anew() -> None:
    detector = MotionDetector()
    for size in ((640, 480), (320, 240), (640, 480)):
        floor = Floor(width=size[0], height=size[1])
        for count in range(5):
            assert len(detector.detect(frame(floor.show(), count / 10))) == 0
