"""Draws the made-up shop floor as a camera would film it: perspective, texture, shadows, noise.

Knows pixels only; who is where comes from `edge.camera.shop`. The same seed gives the same bytes.
"""

import math
from collections.abc import Iterator
from random import Random
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame, Image
from edge.camera.pace import Pace
from edge.camera.shop import Lens, Seen, Truth, arrivals, seen_at, truth_of

__all__ = ["SyntheticSource"]

TILE_M = 0.6
NOISE_LEVELS = 3.0
"""Standard deviation of the sensor's noise, of 255."""
NOISE_FIELDS = 6
STRIDES_PER_SECOND = 1.8
SKIN = (120, 150, 195)
SUBPIXEL_BITS = 3


class SyntheticSource:
    """A film of `seconds` with `people_per_minute` arriving, and its exact truth."""

    def __init__(
        self,
        *,
        camera: str,
        seed: int,
        pace: Pace,
        size: tuple[int, int] = (640, 480),
        rate: float = 10.0,
        seconds: float = 60.0,
        people_per_minute: float = 12.0,
        start_at: float = 0.0,
    ) -> None:
        self.lens = Lens(size=size)
        self._camera = camera
        self._pace = pace
        self._start_at = start_at
        self._moments = [number / rate for number in range(round(seconds * rate))]
        self._people = arrivals(Random(seed), lens=self.lens, seconds=seconds, people_per_minute=people_per_minute)
        self._seed = seed

    def truth(self) -> Truth:
        """Who is in each frame, and the visits."""
        return truth_of(self._moments, self._start_at, self._people, self.lens)

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, then the end."""
        generator = np.random.default_rng(self._seed)
        background = drawn_background(self.lens, generator)
        noise = generator.normal(0.0, NOISE_LEVELS, (NOISE_FIELDS, *background.shape)).astype(np.int16)
        for index, moment in enumerate(self._moments):
            image = background.copy()
            for seen in seen_at(moment, self._people, self.lens):
                draw_figure(image, seen, moment)
            image = exposed(image, noise[index % NOISE_FIELDS], generator, moment)
            at = self._start_at + moment
            self._pace.keep(at)
            yield Frame(at=at, image=image, camera=self._camera, index=index)


def drawn_background(lens: Lens, generator: np.random.Generator) -> Image:
    """The empty shop: a tiled floor up to the back wall."""
    width, height = lens.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    floor = lens.floor_at(np.stack([columns.ravel(), rows.ravel()], axis=1))
    is_wall = ~(floor[:, 1] < 14.0)
    tiles = np.floor(np.nan_to_num(floor) / TILE_M).astype(np.int64)
    shades = generator.integers(130, 175, size=4096)
    shade = shades[(tiles[:, 0] * 73 + tiles[:, 1] * 151) % shades.size]
    joints = np.min(np.abs(np.nan_to_num(floor) / TILE_M - np.round(np.nan_to_num(floor) / TILE_M)), axis=1)
    shade = np.where(joints < 0.03, shade - 40, shade)
    shade = np.where(is_wall, 95, shade).reshape(height, width)
    tint = np.asarray([0.88, 0.95, 1.0])
    picture = cv2.GaussianBlur((shade[:, :, None] * tint).astype(np.uint8), (3, 3), 0)
    return cast("Image", picture)


def draw_figure(image: Image, seen: Seen, moment: float) -> None:
    """A walking figure filling its box: shadow, legs that swing, coat, arms, head."""
    left, top, right, bottom = seen.box
    tall, wide, middle = bottom - top, right - left, (left + right) / 2
    coat, trousers = seen.person.colours
    swing = 0.16 * wide * math.sin(2 * math.pi * STRIDES_PER_SECOND * moment + seen.person.id)
    hip, shoulder = top + 0.52 * tall, top + 0.19 * tall
    ellipse(image, (middle, bottom - 0.01 * tall), (0.42 * wide, 0.03 * tall), (90, 95, 100))
    for side in (-1, 1):
        foot = (middle + side * (0.14 * wide + swing), bottom - 0.03 * tall)
        limb(image, (middle + side * 0.13 * wide, hip), foot, 0.2 * wide, trousers)
        hand = (middle + side * 0.41 * wide - swing, top + 0.54 * tall)
        limb(image, (middle + side * 0.34 * wide, shoulder + 0.04 * tall), hand, 0.13 * wide, coat)
    ellipse(image, (middle, (hip + shoulder) / 2), (0.36 * wide, 0.6 * (hip - shoulder)), coat)
    ellipse(image, (middle, top + 0.085 * tall), (0.17 * wide, 0.085 * tall), SKIN)


def exposed(image: Image, noise: npt.NDArray[np.int16], generator: np.random.Generator, moment: float) -> Image:
    """The picture through a sensor: light that breathes a little, and noise that never repeats in place."""
    shift = int(generator.integers(image.shape[1]))
    light = 1.0 + 0.015 * math.sin(moment / 7.0)
    bright = np.asarray(image, dtype=np.float32) * light + np.roll(noise, shift, axis=1)
    return cast("Image", np.clip(bright, 0, 255).astype(np.uint8))


def ellipse(image: Image, centre: tuple[float, float], axes: tuple[float, float], colour: tuple[int, int, int]) -> None:
    """A filled ellipse at sub-pixel precision, so that slow walkers do not jump."""
    cv2.ellipse(image, subpixel(centre), subpixel(axes), 0, 0, 360, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def limb(
    image: Image,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: tuple[int, int, int],
) -> None:
    """A thick line at sub-pixel precision."""
    thickness = max(1, round(width))
    cv2.line(image, subpixel(start), subpixel(end), colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def subpixel(point: tuple[float, float]) -> tuple[int, int]:
    """Pixels as the fixed-point numbers that OpenCV draws with."""
    return round(point[0] * 2**SUBPIXEL_BITS), round(point[1] * 2**SUBPIXEL_BITS)
