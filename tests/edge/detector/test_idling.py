from dataclasses import dataclass, field

import numpy as np
import pytest

from edge.camera.frames import Frame, Image
from edge.detector.detections import Detections
from edge.detector.idling import Idling

SIZE = (640, 480)


@dataclass
class Counting:
    """A detector that finds a box of this confidence at these moments, and notes when it was asked."""

    found: dict[float, float] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)

    def detect(self, frame: Frame) -> Detections:
        self.asked.append(frame.at)
        if frame.at not in self.found:
            return Detections.none()
        return Detections(
            boxes=np.array([[0, 0, 10, 30]], np.float32), confidence=np.array([self.found[frame.at]], np.float32)
        )


def shop(person: tuple[int, int] | None = None, *, seed: int = 0, brighter: int = 0) -> Image:
    """A noisy picture of a shop with shelves, and a person of 12 by 30 pixels in clothes not unlike the floor."""
    noise = np.random.default_rng(seed).normal(0, 4, (*SIZE[::-1], 3))
    picture = np.full((*SIZE[::-1], 3), 110.0) + noise + brighter
    picture[:, ::40] += 60
    if person is not None:
        x, y = person
        picture[y : y + 30, x : x + 12] -= 40
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def looks(pictures: list[Image], *, threshold: int = 12, found: dict[float, float] | None = None) -> list[float]:
    """When the detector was asked about these, ten a second; `found` are confidences of its boxes by moment."""
    detector = Counting(found or {})
    idling = Idling(detector, {"aisle": threshold})
    for index, picture in enumerate(pictures):
        idling.detect(Frame(at=index / 10, image=picture, camera="aisle", index=index))
    return detector.asked


def test_an_empty_still_picture_is_looked_at_once_a_second_however_noisy() -> None:
    assert looks([shop(seed=seed) for seed in range(31)]) == [0.0, 1.0, 2.0, 3.0]


def test_whoever_walks_keeps_the_detector_awake_although_it_finds_nobody() -> None:
    empty, walks = [shop(seed=seed) for seed in range(5)], [shop((40 + 6 * step, 200)) for step in range(80)]
    asked = looks([*empty, *walks, *[shop(seed=seed) for seed in range(70)]])
    assert asked[:81] == [0.0, *(number / 10 for number in range(5, 85))]
    assert sum(at > 8.5 + 3 for at in asked) <= 5


def test_whoever_is_found_keeps_the_detector_awake_standing_ever_so_still() -> None:
    stands = [shop((100, 200), seed=seed) for seed in range(60)]
    assert len(looks(stands, found={number / 10: 0.9 for number in range(60)})) == 60
    assert looks(stands, found={number / 10: 0.4 for number in range(60)}) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_idles_says_nobody_and_not_what_was_said_before() -> None:
    detector = Counting({0.0: 0.4, 1.0: 0.4})
    idling = Idling(detector, {"aisle": 12})
    said = [len(idling.detect(Frame(at=n / 10, image=shop(), camera="aisle", index=n))) for n in range(15)]
    assert said == [1] + [0] * 9 + [1] + [0] * 4


def test_who_creeps_is_overlooked_for_a_second_at_most() -> None:
    """No cell changes by as much as the threshold since the last look."""
    asked = looks([shop(brighter=index // 3) for index in range(40)])
    assert np.diff(asked).max() <= 1.01


def test_a_threshold_of_nothing_never_idles() -> None:
    assert len(looks([shop()] * 12, threshold=0)) == 12


def test_a_change_of_resolution_is_a_movement() -> None:
    wide = np.full((360, 640, 3), 110, np.uint8)
    assert looks([shop(), shop(), wide, wide]) == [0.0, 0.2, 0.3]


@pytest.mark.parametrize("camera", ["other", "aisle"])
def test_cameras_idle_by_themselves(camera: str) -> None:
    detector, idle = Counting(), list[str]()
    idling = Idling(detector, {"aisle": 12, "other": 12}, idled=idle.append)
    for index in range(5):
        for one in ("aisle", "other"):
            person = (100 + 20 * index, 200) if one != camera else None
            idling.detect(Frame(at=100 + index / 10, image=shop(person), camera=one, index=index))
    assert idle == [camera] * 4
    assert len(detector.asked) == 6


def test_time_that_runs_backwards_is_looked_at() -> None:
    detector = Counting()
    idling = Idling(detector, {"aisle": 12})
    for at in (100.0, 50.0):
        idling.detect(Frame(at=at, image=shop(), camera="aisle", index=0))
    assert detector.asked == [100.0, 50.0]
