from collections.abc import Callable
from pathlib import Path

import cv2
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


def test_what_is_found_for_a_quarter_of_an_hour_unmoved_is_a_thing() -> None:
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


def test_who_leans_over_now_and_then_and_sits_back_the_same_is_a_person() -> None:
    def leans(now: int) -> Moment:
        lean = 2 if now % 40 >= 30 else 0
        return shop((1, (POSTER[0] + lean, POSTER[1], POSTER[2] + lean, POSTER[3])), noise=now), found(POSTER)

    assert left(Fixtures(), 2000, leans) == [1] * 2000


def test_who_leans_over_beside_somebody_is_a_person() -> None:
    """The neighbour hides some of them, and what is to be seen of them moves."""
    neighbour = (32, 10, 48, 50)

    def lean(now: int) -> Moment:
        lean = 2 if now % 40 >= 30 else 0
        body = (POSTER[0] + lean, POSTER[1], POSTER[2] + lean, POSTER[3])
        return shop((1, body), (now, neighbour), noise=now), found(POSTER, neighbour)

    assert left(Fixtures(), 1200, lean) == [2] * 1200


@pytest.mark.parametrize(("sway", "remain"), [(0.3, 1), (0.0, 0)], ids=["who sways", "what is still"])
def test_a_sway_by_a_third_of_a_pixel_is_told_from_noise_and_compression(sway: float, remain: int) -> None:
    """A body of 60 by 160 pixels, which is to say half a centimetre."""
    box = (20, 20, 80, 180)
    room = np.full((200, 100, 3), 120, np.uint8)
    room[20:180, 20:80] = cv2.resize(texture(1, (0, 0, 60, 160)), (60, 160), interpolation=cv2.INTER_CUBIC)
    room = np.asarray(cv2.GaussianBlur(room, (0, 0), 2), np.uint8)
    random = np.random.default_rng(0)

    def sways(_: int) -> Moment:
        across, down = random.uniform(-sway, sway, 2)
        picture = cv2.warpAffine(room, np.array([[1, 0, across], [0, 1, down]]), (100, 200))
        noisy = np.clip(picture + random.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
        jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8), found(box)

    assert left(Fixtures(), 960, sways)[-50:] == [remain] * 50


def test_a_thing_whose_first_look_was_of_somebody_before_it_is_a_thing() -> None:
    def half_hidden(now: int) -> Moment:
        people = [(7, (POSTER[0], 25, POSTER[2], 60))] * (now < 5)
        return shop((1, POSTER), *people, noise=now), found(POSTER)

    counts = left(Fixtures(), 1000, half_hidden)
    assert counts[:900] == [1] * 900
    assert counts[910:] == [0] * 90


def test_a_thing_that_people_often_pass_before_is_a_thing() -> None:
    """For three seconds in ten somebody hides some of it, whom the detector finds too."""
    passer = (30, 12, 46, 52)

    def passed(now: int) -> Moment:
        people = [(now, passer)] * (now % 10 < 3)
        return shop((1, POSTER), *people, noise=now), found(POSTER, *[box for _, box in people])

    counts = left(Fixtures(), 1000, passed)
    assert counts[899] == 1
    assert [count for now, count in enumerate(counts) if now > 910 and now % 10 >= 3] == [0] * 63


def test_a_thing_that_moves_is_a_person_from_then_on() -> None:
    fixtures = Fixtures()
    left(fixtures, 1000, poster)
    moved = (POSTER[0] + 1, POSTER[1], POSTER[2] + 1, POSTER[3])
    assert left(fixtures, 800, lambda now: (shop((1, moved), noise=now), found(moved)), start=1000)[2:] == [1] * 798
    assert fixtures.count == 0


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
