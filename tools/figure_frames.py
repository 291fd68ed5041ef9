"""Labelled pictures of the made-up shop, from cameras anywhere in it: what the detector of its figures learns from.

Knows which figures count as seen. Refuses to know networks.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from edge.detector.description import InputFormat
from edge.detector.letterbox import Letterbox
from edge.synthetic.drawing import Painter
from edge.synthetic.lens import VIEWS, Lens, Pose
from edge.synthetic.life import Crowd, arriving, visitors
from edge.synthetic.sight import IN_SIGHT, Seen, seen_at

__all__ = ["FIGURES_INPUT", "HEIGHT", "UNSEEN_SEEDS", "WIDTH", "Labelled", "labelled"]

WIDTH, HEIGHT = 384, 288
FIGURES_INPUT = InputFormat(width=WIDTH, height=HEIGHT, colour="bgr", scale="0-1", fit="corner", pad=114)
UNSEEN_SEEDS = 1_000_000
"""Shops with seeds below are never learnt from."""

_SIZES = ((640, 480), (320, 240), (640, 480), (320, 240), (640, 360))
_BARELY = 0.12
"""The share of a body from which on it is neither to be found nor to be overlooked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One picture, uint8 (3, height, width), blue-green-red, and boxes in its pixels, float32 (n, 4), clipped to it.

    `seen` are to be found; `unsure` show too little of a figure to blame anybody for either answer.
    """

    picture: npt.NDArray[np.uint8]
    seen: npt.NDArray[np.float32]
    unsure: npt.NDArray[np.float32]


def labelled(*, shops: int, frames: int, first_seed: int) -> Iterator[Labelled]:
    """So many pictures of each of so many shops, each shop with a camera of its own; drawn by all processors."""
    with ProcessPoolExecutor() as pool:
        for drawn in pool.map(_shop, range(first_seed, first_seed + shops), itertools.repeat(frames), chunksize=8):
            yield from drawn


def _shop(seed: int, frames: int) -> list[Labelled]:
    return list(_drawn(seed, frames))


def _drawn(seed: int, frames: int) -> Iterator[Labelled]:
    random = Random(seed)
    lens = Lens(random.choice(_SIZES), _pose(random))
    painter = Painter(lens, seed)
    arrivals = arriving(random, per_minute=random.uniform(2, 18), until=60.0 + frames * 5)
    crowd = Crowd(list(visitors(Random(f"{seed} people"), arrivals)))
    letterbox = Letterbox(width=WIDTH, height=HEIGHT, input_format=FIGURES_INPUT)
    moment = 30.0
    for number in range(frames):
        moment += random.uniform(0.5, 8.0)
        seen = seen_at(moment, crowd.at(moment), lens)
        placement = letterbox.fill(painter.picture(seen, moment, number))
        scale = placement.width / placement.frame_width
        yield Labelled(
            picture=(letterbox.tensor[0] * 255).round().astype(np.uint8),
            seen=_boxes((one for one in seen if one.visible >= IN_SIGHT), lens, scale),
            unsure=_boxes((one for one in seen if _BARELY <= one.visible < IN_SIGHT), lens, scale),
        )


def _pose(random: Random) -> Pose:
    """One of the shop's cameras hung anew a little elsewhere, or one anywhere on a wall."""
    known = random.choice(list(VIEWS.values()))
    if random.random() < 0.3:
        x, y = random.choice(
            [(0.3, random.uniform(0.5, 7.5)), (9.7, random.uniform(0.5, 7.5)), (random.uniform(0.5, 9.5), 7.7)]
        )
        heading = float(np.degrees(np.arctan2(4.0 - y, 5.0 - x)))
    else:
        x, y, heading = (
            known.x + random.uniform(-0.25, 0.25),
            known.y + random.uniform(-0.25, 0.25),
            known.heading_degrees,
        )
    return Pose(
        x=x,
        y=y,
        height_m=random.uniform(3.5, 4.9),
        heading_degrees=heading + random.uniform(-12, 12),
        tilt_degrees=random.uniform(27, 42),
        focal_share=random.uniform(0.55, 0.9),
    )


def _boxes(seen: Iterator[Seen], lens: Lens, scale: float) -> npt.NDArray[np.float32]:
    boxes = np.asarray([one.box for one in seen], np.float32).reshape(-1, 4)
    return np.asarray(np.clip(boxes, 0, np.array([*lens.size, *lens.size], np.float32)) * np.float32(scale))
