"""Pictures of the made-up shop, spoilt in the ways in which a camera's picture is spoilt."""

import dataclasses
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest

from edge.camera import AsFastAsPossible, SyntheticSource
from edge.camera.fitness import Fitness, Flaw
from edge.camera.frames import Image
from edge.synthetic.film import Film
from edge.synthetic.lens import VIEWS, Lens, Pose
from edge.synthetic.plan import ViewName

LEARNT = 90
"""After so many pictures, one a second, the usual one is known."""


def pictures(seconds: float, *, view: ViewName = "overview", turned: float = 0.0, seed: int = 1) -> list[Image]:
    """One a second, of a busy shop, perhaps by a camera that is turned by so many degrees."""
    pose: Pose = dataclasses.replace(VIEWS[view], heading_degrees=VIEWS[view].heading_degrees + turned)
    film = Film(seed=seed, lens=Lens((320, 240), pose), seconds=seconds, people_per_minute=20, rate=1)
    return [frame.image for frame in SyntheticSource(camera="shop", film=film, pace=AsFastAsPossible()).frames()]


@pytest.fixture(scope="module")
def shop() -> list[Image]:
    return pictures(150)


def told(fitness: Fitness, images: Iterable[Image], *, start: float) -> list[tuple[float, Flaw]]:
    """What is new, and how many seconds after the start."""
    news, flaw = list[tuple[float, Flaw]](), fitness.flaw
    for second, image in enumerate(images):
        before, flaw = flaw, fitness.look(image, start + second)
        news += [(float(second), flaw)] if flaw is not before else []
    return news


def dark(image: Image) -> Image:
    return np.asarray(image * 0.1, np.uint8)


def infra_red(image: Image) -> Image:
    """Without colours, brightest in the middle where the camera's own lamp shines, and noisy."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    grey = image @ np.array([0.1, 0.3, 0.9]) * 0.6 * np.exp(-6 * (x**2 + y**2))
    noisy = grey + np.random.default_rng(1).normal(0, 6, grey.shape)
    return np.asarray(np.clip(noisy, 0, 255)[..., None].repeat(3, axis=2), np.uint8)


def covered(image: Image) -> Image:
    return np.asarray(np.full_like(image, 90) + np.random.default_rng(1).integers(0, 6, image.shape), np.uint8)


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8)


@pytest.mark.parametrize(
    ("spoil", "flaw"),
    [(dark, Flaw.TOO_DARK), (covered, Flaw.COVERED), (blurred, Flaw.BLURRED)],
    ids=["dark", "covered", "blurred"],
)
def test_a_flaw_is_said_once_it_lasts_and_taken_back_once_it_is_over(
    spoil: Callable[[Image], Image], flaw: Flaw, shop: list[Image]
) -> None:
    fitness = Fitness()
    assert told(fitness, shop[:LEARNT], start=0.0) == []
    assert told(fitness, map(spoil, shop[LEARNT:]), start=200.0) == [(20.0, flaw)]
    assert fitness.flaw is flaw
    assert told(fitness, shop[LEARNT:], start=300.0) == [(20.0, Flaw.NONE)]


@pytest.mark.parametrize("view", ["overview", "door"])
def test_a_camera_that_is_turned_has_moved_until_it_looks_where_it_did(view: ViewName) -> None:
    fitness = Fitness()
    assert told(fitness, pictures(70, view=view), start=0.0) == []
    elsewhere = pictures(40, view=view, turned=8.0)
    assert told(fitness, elsewhere, start=200.0) == [(20.0, Flaw.MOVED)]
    assert told(fitness, pictures(40, view=view), start=400.0) == [(20.0, Flaw.NONE)]


def test_people_light_and_noise_are_no_flaw() -> None:
    assert told(Fitness(), pictures(200, seed=5), start=0.0) == []


def test_what_passes_soon_is_not_said(shop: list[Image]) -> None:
    fitness = Fitness()
    told(fitness, shop[:LEARNT], start=0.0)
    assert told(fitness, map(covered, shop[:15]), start=200.0) == []
    assert told(fitness, shop[:30], start=215.0) == []


def test_a_shop_that_is_dark_at_first_is_learnt_when_the_light_is_on(shop: list[Image]) -> None:
    fitness = Fitness()
    assert told(fitness, map(dark, shop[:60]), start=0.0) == [(20.0, Flaw.TOO_DARK)]
    assert told(fitness, shop, start=100.0) == [(20.0, Flaw.NONE)]


def test_it_is_said_again_after_the_camera_was_away(shop: list[Image]) -> None:
    fitness = Fitness()
    told(fitness, shop[:LEARNT], start=0.0)
    told(fitness, map(blurred, shop[:60]), start=200.0)
    fitness.begin_anew()
    assert fitness.flaw is Flaw.NONE
    assert told(fitness, map(blurred, shop[:60]), start=300.0) == [(20.0, Flaw.BLURRED)]


def test_the_switch_to_infra_red_at_night_is_no_flaw(shop: list[Image]) -> None:
    fitness = Fitness()
    told(fitness, shop[:LEARNT], start=0.0)
    assert told(fitness, map(infra_red, shop[:60]), start=300.0) == []


def test_it_looks_once_a_second_whatever_the_rate(shop: list[Image]) -> None:
    """A flaw that only shows between the looks is not seen."""
    fitness = Fitness()
    told(fitness, shop[:LEARNT], start=0.0)
    for step in range(1000):
        assert fitness.look(covered(shop[0]) if step % 10 else shop[0], 200.0 + step / 10) is Flaw.NONE
