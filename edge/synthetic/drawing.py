"""Draws the made-up shop as a camera would film it: perspective, textures, shadows, changing light, noise.

Knows pixels and colours; who is where, and before whom, comes from `sight`. Clothes have the colours and patterns of
floor, walls and goods, so that no colour tells a person. The same seed gives the same bytes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from edge.synthetic.figure import Joint
from edge.synthetic.lens import Lens
from edge.synthetic.plan import BLOCKS, Block
from edge.synthetic.sight import Seen, hides

__all__ = ["Painter"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Colour = tuple[int, int, int]

_NOISE_LEVELS = 3.0
"""Standard deviation of the sensor's noise, of 255."""
_NOISE_FIELDS = 6
_LAMP_SECONDS = 30.0
"""How long lamps and sky stay as they are."""
_SUBPIXEL_BITS = 3
_PALETTE_SIZE = 12
_SKIN: tuple[Colour, ...] = ((120, 150, 195), (90, 120, 170), (60, 80, 120), (140, 170, 215))
_HAIR: tuple[Colour, ...] = ((25, 30, 35), (40, 60, 85), (70, 110, 140), (150, 150, 150))
_SHADOW = 0.62
_TILE_M, _GOODS_M, _BOARD_M = 0.6, 0.24, 0.4


class Painter:
    """Paints one camera's pictures of one shop."""

    def __init__(self, lens: Lens, seed: int) -> None:
        self._lens = lens
        self._seed = seed
        generator = np.random.default_rng(seed)
        self._palette = _palette(generator)
        self._background, self._hiding = _scenery(lens, self._palette, generator)
        noise = generator.normal(0.0, _NOISE_LEVELS, (_NOISE_FIELDS, *self._background.shape))
        self._noise = noise.round().astype(np.int16)

    def picture(self, seen: Sequence[Seen], moment: float, number: int) -> Image:
        """The picture of this moment, the film's `number`th; `seen` farthest first."""
        image = self._background.copy()
        for one in seen:
            self._draw(image, one)
        return self._exposed(image, moment, number)

    def _draw(self, image: Image, one: Seen) -> None:
        width, height = self._lens.size
        left, top = max(0, int(one.box[0]) - 3), max(0, int(one.box[1]) - 3)
        right, bottom = min(width, int(one.box[2]) + 4), min(height, int(one.box[3]) + 4)
        window = image[top:bottom, left:right]
        drawn = window.copy()
        _Figure(drawn, one, np.array([left, top], np.float64), _look(self._seed, one.person, self._palette)).draw()
        before = [
            hiding[top:bottom, left:right]
            for block, hiding in zip(BLOCKS, self._hiding, strict=True)
            if hides(block, self._lens, one.floor)
        ]
        hidden = np.logical_or.reduce(before) if before else np.zeros(window.shape[:2], np.bool_)
        window[~hidden] = drawn[~hidden]

    def _exposed(self, image: Image, moment: float, number: int) -> Image:
        """Through a sensor: light that breathes and now and then jumps, and noise that never repeats in place."""
        lamps = Random(f"{self._seed} lamps {int(moment // _LAMP_SECONDS)}")
        level, warmth = lamps.uniform(0.82, 1.12), lamps.uniform(-0.04, 0.04)
        level += 0.02 * math.sin(moment / 7.0)
        gains = (level - warmth, level, level + warmth)
        bright = cv2.LUT(image, _gain_table(gains))
        shift = Random(f"{self._seed} noise {number}").randrange(image.shape[1])
        noise = np.roll(self._noise[number % _NOISE_FIELDS], shift, axis=1)
        return cast("Image", cv2.add(bright, noise, dtype=cv2.CV_8U))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What somebody wears."""

    coat: Colour
    second: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    pattern: str


class _Figure:
    """One body, drawn from the far parts to the near ones, into a window of the picture."""

    def __init__(self, window: Image, seen: Seen, corner: npt.NDArray[np.float64], look: _Look) -> None:
        self._window = window
        self._joints = seen.joints - corner
        self._radii = seen.radii
        self._feet = np.asarray(seen.feet) - corner
        self._look = look

    def draw(self) -> None:
        look = self._look
        self._shadow()
        for hip, knee, foot in (
            (Joint.LEFT_HIP, Joint.LEFT_KNEE, Joint.LEFT_FOOT),
            (Joint.RIGHT_HIP, Joint.RIGHT_KNEE, Joint.RIGHT_FOOT),
        ):
            self._limb(hip, knee, look.trousers)
            self._limb(knee, foot, look.trousers)
            self._disc(foot, (35, 35, 40))
        self._torso()
        for shoulder, elbow, hand in (
            (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, Joint.LEFT_HAND),
            (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW, Joint.RIGHT_HAND),
        ):
            self._limb(shoulder, elbow, look.coat)
            self._limb(elbow, hand, look.coat)
            self._disc(hand, look.skin)
        self._limb(Joint.NECK, Joint.HEAD, look.skin, share=0.5)
        self._disc(Joint.HEAD, look.skin)
        self._hair()

    def _shadow(self) -> None:
        mask = np.zeros(self._window.shape[:2], np.uint8)
        wide = 3.2 * float(self._radii[Joint.LEFT_FOOT])
        _ellipse(mask, self._feet, (wide, 0.4 * wide), 255)
        dark = cv2.convertScaleAbs(self._window, alpha=_SHADOW)
        self._window[mask > 127] = dark[mask > 127]

    def _torso(self) -> None:
        corners = [Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER, Joint.LEFT_HIP, Joint.RIGHT_HIP, Joint.CHEST, Joint.BELLY]
        turns = np.linspace(0, 2 * math.pi, 12, endpoint=False)
        circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        rim = np.concatenate([self._joints[each] + self._radii[each] * circle for each in corners])
        hull = cv2.convexHull((rim * 2**_SUBPIXEL_BITS).round().astype(np.int32))
        cv2.fillConvexPoly(self._window, hull, self._look.coat, cv2.LINE_AA, _SUBPIXEL_BITS)
        if self._look.pattern != "plain":
            mask = np.zeros(self._window.shape[:2], np.uint8)
            cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_8, _SUBPIXEL_BITS)
            self._window[(mask > 0) & self._patterned()] = self._look.second

    def _patterned(self) -> npt.NDArray[np.bool_]:
        """Where the coat has its second colour: stripes or checks a hand wide."""
        rows, columns = np.mgrid[: self._window.shape[0], : self._window.shape[1]]
        middle, hand = self._joints[Joint.BELLY], max(1.5, 0.5 * float(self._radii[Joint.BELLY]))
        across, down = ((columns - middle[0]) // hand) % 2 == 0, ((rows - middle[1]) // hand) % 2 == 0
        pattern = {"stripes": across, "bands": down, "checks": across ^ down}[self._look.pattern]
        return np.asarray(pattern)

    def _hair(self) -> None:
        place, radius = self._joints[Joint.HEAD], float(self._radii[Joint.HEAD])
        place = place - np.array([0.0, 0.35 * radius])
        _ellipse(self._window, place, (0.85 * radius, 0.6 * radius), self._look.hair)

    def _disc(self, joint: Joint, colour: Colour) -> None:
        radius = float(self._radii[joint])
        _ellipse(self._window, self._joints[joint], (radius, radius), colour)

    def _limb(self, start: Joint, end: Joint, colour: Colour, *, share: float = 1.0) -> None:
        thick = share * float(self._radii[start] + self._radii[end])
        a, b = (_subpixel(self._joints[each]) for each in (start, end))
        cv2.line(self._window, a, b, colour, max(1, round(thick)), cv2.LINE_AA, _SUBPIXEL_BITS)


def _look(seed: int, person: int, palette: Sequence[Colour]) -> _Look:
    random = Random(f"{seed} look {person}")
    coat, second = random.sample(palette, 2)
    return _Look(
        coat=coat,
        second=second,
        trousers=random.choice(palette),
        skin=random.choice(_SKIN),
        hair=random.choice(_HAIR),
        pattern=random.choice(["plain", "plain", "stripes", "bands", "checks"]),
    )


def _palette(generator: np.random.Generator) -> list[Colour]:
    """The colours of one shop: of its floor, walls and goods, and of its people's clothes."""
    hues = generator.integers(0, 180, _PALETTE_SIZE)
    paleness = generator.integers(15, 170, _PALETTE_SIZE)
    values = generator.integers(45, 225, _PALETTE_SIZE)
    paleness[:4] //= 4
    shades = np.stack([hues, paleness, values], axis=1).astype(np.uint8)[None]
    return [cast("Colour", tuple(colour)) for colour in cv2.cvtColor(shades, cv2.COLOR_HSV2BGR)[0].tolist()]


def _scenery(
    lens: Lens, palette: Sequence[Colour], generator: np.random.Generator
) -> tuple[Image, list[npt.NDArray[np.bool_]]]:
    """The empty shop, and for each block the pixels at which it stands before what is behind it."""
    width, height = lens.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = lens.rays(np.stack([columns.ravel(), rows.ravel()], axis=1))
    colours = np.asarray(palette, np.float32)
    wild = generator.integers(0, 2**16, 4096)
    shown = np.full((len(rays), 3), 200.0, np.float32)
    reach = np.full(len(rays), np.inf)
    down = rays[:, 2] < 0
    reach[down] = -lens.pose.height_m / rays[down, 2]
    shown[down] = _floor(lens.place[:2] + rays[down, :2] * reach[down, None], colours, wild)
    hiding = []
    for number, block in enumerate(BLOCKS):
        enters, leaves, axis = _pierced(block, lens.place, rays)
        hit = (enters < leaves) & (leaves > 0) & (enters > 0)
        hiding.append(hit.reshape(height, width))
        nearer = hit & (enters < reach)
        place = lens.place + rays[nearer] * enters[nearer, None]
        shown[nearer] = _face(block, place, axis[nearer], colours, wild[number:])
        reach[nearer] = enters[nearer]
    picture = np.clip(shown, 0, 255).astype(np.uint8).reshape(height, width, 3)
    return cast("Image", cv2.GaussianBlur(picture, (3, 3), 0)), hiding


def _pierced(
    block: Block, eye: npt.NDArray[np.float64], rays: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """How far along each ray (n, 3) a block begins and ends, and the axis of the face that is hit."""
    low = np.array([block.ground.left, block.ground.bottom, 0.0]) - eye
    high = np.array([block.ground.right, block.ground.top, block.height_m]) - eye
    way = np.where(rays == 0, 1e-12, rays)
    near, far = np.minimum(low / way, high / way), np.maximum(low / way, high / way)
    return near.max(axis=1), far.min(axis=1), near.argmax(axis=1)


def _floor(places: npt.NDArray[np.float64], colours: Floats, wild: npt.NDArray[np.int64]) -> Floats:
    """Tiles in two colours of the palette with dark joints; wet or worn here and there."""
    tiles = np.floor(places / _TILE_M).astype(np.int64)
    chance = wild[(tiles[:, 0] * 73 + tiles[:, 1] * 151) % wild.size]
    shown = colours[chance % 2] + (chance[:, None] % 23 - 11)
    joint = np.abs(places / _TILE_M - np.round(places / _TILE_M)).min(axis=1) < 0.03
    shown[joint] *= 0.75
    return np.asarray(shown, np.float32)


def _face(
    block: Block,
    places: npt.NDArray[np.float64],
    axis: npt.NDArray[np.intp],
    colours: Floats,
    wild: npt.NDArray[np.int64],
) -> Floats:
    """What a block shows at places (n, 3) of its faces: goods, panels or a plain top."""
    along = np.where(axis == 0, places[:, 1], places[:, 0])
    up = places[:, 2]
    light = np.array([0.82, 0.95, 1.05])[axis]
    if block.kind == "shelf":
        chance = _cells(along, up, (_GOODS_M, _BOARD_M), wild)
        shown = colours[chance % len(colours)]
        shown = np.where((up % _BOARD_M < 0.05)[:, None], colours[3], shown)
        gap = (along % _GOODS_M < 0.02) | (up % _BOARD_M > 0.22 + 0.16 * (chance % 7) / 7)
        shown = np.where(gap[:, None], shown * 0.45, shown)
    elif block.kind == "wall":
        chance = _cells(along, up, (1.6, 1.2), wild)
        poster = (chance % 4 == 0) & (up > 1.2) & (up < 2.4) & (along % 1.6 < 0.8)
        motif = _cells(along, up, (0.2, 0.3), wild)
        shown = np.where(poster[:, None], colours[motif % len(colours)], colours[2])
        shown = np.where((up < 0.12)[:, None], shown * 0.6, shown)
    else:
        panel = (np.floor(along / 0.3).astype(np.int64) % 2)[:, None]
        shown = np.where(panel, colours[3], colours[4])
    top = (axis == 2)[:, None]
    shown = np.where(top, colours[5 if block.kind == "counter" else 3], shown)
    return np.asarray(shown * light[:, None], np.float32)


def _cells(
    along: npt.NDArray[np.float64], up: npt.NDArray[np.float64], size: tuple[float, float], wild: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """A number by chance for the cell of a grid that each place lies in."""
    column, row = np.floor(along / size[0]).astype(np.int64), np.floor(up / size[1]).astype(np.int64)
    return np.asarray(wild[(column * 37 + row * 101) % wild.size])


def _gain_table(gains: Iterable[float]) -> Image:
    levels = np.arange(256)
    table = np.stack([levels * gain for gain in gains], axis=1)
    return np.clip(table, 0, 255).astype(np.uint8).reshape(256, 1, 3)


def _ellipse(image: Image, centre: npt.NDArray[np.float64], axes: tuple[float, float], colour: Colour | int) -> None:
    """A filled ellipse at sub-pixel precision, so that slow walkers do not jump."""
    shade = (colour,) if isinstance(colour, int) else colour
    size = _subpixel(np.asarray(axes))
    cv2.ellipse(image, _subpixel(centre), size, 0, 0, 360, shade, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _subpixel(point: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Pixels as the fixed-point numbers that OpenCV draws with."""
    x, y = (point * 2**_SUBPIXEL_BITS).round().astype(int).tolist()
    return x, y
