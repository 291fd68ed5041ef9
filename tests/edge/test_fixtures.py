from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.boxes import overlaps
from edge.camera.frames import Image
from edge.detector.detections import Detections
from edge.fixtures import Fixtures, FixtureSettings
from tests.support.clips import PETS, detect, frames_of
from tests.support.mot import read_mot

SIZE = (96, 64)
POSTER = (20, 10, 36, 50)
Box = tuple[int, int, int, int]


def texture(seed: int, box: Box) -> Image:
    """What is to be seen in a box: coarse spots, like clothes or print."""
    width, height = box[2] - box[0], box[3] - box[1]
    spots = np.random.default_rng(seed).integers(40, 210, (height // 4 + 1, width // 4 + 1, 1), np.uint8)
    return np.asarray(spots.repeat(4, axis=0).repeat(4, axis=1)[:height, :width].repeat(3, axis=2), np.uint8)


def shop(*things: tuple[int, Box], noise: int = 0, light: float = 1.0) -> Image:
    """A grey room with textures in boxes, the later before the earlier."""
    picture = np.full((*SIZE[::-1], 3), 120, np.float64)
    for seed, box in things:
        picture[box[1] : box[3], box[0] : box[2]] = texture(seed, box)
    picture = picture * light + np.random.default_rng(noise).normal(0, 3, picture.shape)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def found(*boxes: Box) -> Detections:
    return Detections(boxes=np.array(boxes, np.float32).reshape(-1, 4), confidence=np.full(len(boxes), 0.9, np.float32))


Moment = tuple[Image, Detections]


def left(fixtures: Fixtures, seconds: int, show: Callable[[int], Moment], *, start: int = 0) -> list[int]:
    """How many of those found are left, each second."""
    counts = []
    for second in range(seconds):
        picture, people = show(second)
        counts.append(len(fixtures.without(people, picture, start + second)))
    return counts


def poster(second: int) -> Moment:
    return shop((1, POSTER), noise=second), found(POSTER)


def test_what_is_found_for_a_quarter_of_an_hour_without_a_pixel_changing_is_a_thing() -> None:
    fixtures = Fixtures()
    counts = left(fixtures, 1000, poster)
    assert counts[:900] == [1] * 900
    assert counts[905:] == [0] * 95
    assert fixtures.count == 1


def test_a_thing_is_a_thing_in_other_light() -> None:
    fixtures = Fixtures()
    counts = left(fixtures, 1200, lambda now: (shop((1, POSTER), noise=now, light=1 - now / 2400), found(POSTER)))
    assert counts[-1] == 0


def test_what_is_found_now_and_then_is_a_thing_too() -> None:
    fixtures = Fixtures()
    counts = left(fixtures, 1000, lambda now: (shop((1, POSTER), noise=now), found(*[POSTER] * (now % 10 == 0))))
    assert counts[990] == 0
    assert counts[500] == 1


def test_who_sits_in_one_place_moves_and_is_a_person() -> None:
    """Now and then somebody leans over, by a twentieth of their height; their box does not change."""

    def sits(now: int) -> Moment:
        lean = (0, 2, -2, 0)[now // 20 % 4]
        body = (POSTER[0] + lean, POSTER[1], POSTER[2] + lean, POSTER[3])
        return shop((1, body), noise=now), found(POSTER)

    fixtures = Fixtures()
    assert left(fixtures, 2000, sits) == [1] * 2000


def test_who_stands_before_a_thing_counts() -> None:
    fixtures = Fixtures()
    left(fixtures, 1000, poster)
    person = (21, 11, 37, 51)
    assert left(fixtures, 60, lambda now: (shop((1, POSTER), (7, person)), found(person)), start=1000) == [1] * 60
    assert left(fixtures, 1, poster, start=1060) == [0]


def test_who_stands_beside_a_thing_counts() -> None:
    fixtures = Fixtures()
    left(fixtures, 1000, poster)
    person = (38, 10, 54, 50)
    boxes = found(POSTER, person)
    assert left(fixtures, 5, lambda now: (shop((1, POSTER), (7, person)), boxes), start=1000) == [1] * 5


def test_a_thing_that_was_taken_away_is_forgotten_in_an_hour() -> None:
    fixtures = Fixtures()
    left(fixtures, 1000, poster)
    empty = shop(), found()
    left(fixtures, 1, lambda _: empty, start=1000 + 3500)
    assert fixtures.count == 1
    left(fixtures, 1, lambda _: empty, start=1000 + 3700)
    assert fixtures.count == 0
    assert left(fixtures, 1, poster, start=4800) == [1]


def test_a_crowd_that_passes_makes_no_thing_forgotten() -> None:
    def crowd(now: int) -> Moment:
        bodies = [(40 + 9 * number + now % 9, 20, 46 + 9 * number + now % 9, 45) for number in range(5)]
        people = [(now % 7 + number, body) for number, body in enumerate(bodies)]
        return shop((1, POSTER), *people, noise=now), found(POSTER, *bodies)

    fixtures = Fixtures()
    counts = left(fixtures, 1000, crowd)
    assert counts[0] == 6
    assert counts[-1] == 5


@pytest.mark.acceptance
@pytest.mark.assets
def test_real_things_are_left_out_and_real_people_never(assets: Path) -> None:
    """A lamp and a sign on a square look like people now and then; ten seconds have to be enough here."""
    fixtures = Fixtures(FixtureSettings(settled_seconds=10.0, looks=5))
    detections, truth = detect(assets, PETS), read_mot(assets / "videos/pets_s2l1.gt.txt")
    left_out = 0
    for number, frame in enumerate(frames_of(assets / "videos/pets_s2l1.mp4", PETS)):
        people = fixtures.without(detections[number], frame.image, frame.at)
        gone = ~(overlaps(detections[number].boxes, people.boxes) > 0.99).any(axis=1)
        left_out += int(gone.sum())
        assert not (overlaps(detections[number].boxes[gone], truth[number].boxes) > 0.5).any()
    assert left_out > 500
