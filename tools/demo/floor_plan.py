"""The plan of the made-up shop as a picture, as an operator would upload it, and how it lies in metres."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageDraw

from edge.synthetic.plan import BLOCKS, Rectangle

__all__ = ["FloorPlan", "shop_plan"]

_PIXELS_PER_METRE = 60
_GROUND = Rectangle(-1.4, -1.6, 10.6, 8.6)
"""The shop, and as much of the street as cameras see through the door."""
_COLOURS = {"wall": "#40464c", "shelf": "#e3e5e7", "counter": "#cfd4d8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorPlan:
    """A picture of a floor, PNG, and what the API wants to know of it besides."""

    floor: str
    picture: bytes
    scale: Mapping[str, str | float]


def shop_plan() -> FloorPlan:
    """Walls, shelves, counters and the door of the shop."""
    size = (
        round((_GROUND.right - _GROUND.left) * _PIXELS_PER_METRE),
        round((_GROUND.top - _GROUND.bottom) * _PIXELS_PER_METRE),
    )
    image = Image.new("RGB", size, "#ffffff")
    draw = ImageDraw.Draw(image)
    for block in BLOCKS:
        draw.rectangle(_pixels(block.ground), fill=_COLOURS[block.kind], outline="#9aa1a7")
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    scale: dict[str, str | float] = {
        "name": "Shop floor",
        "metres_per_pixel": 1 / _PIXELS_PER_METRE,
        "origin_x_px": -_GROUND.left * _PIXELS_PER_METRE,
        "origin_y_px": _GROUND.top * _PIXELS_PER_METRE,
    }
    return FloorPlan(floor="ground", picture=written.getvalue(), scale=scale)


def _pixels(ground: Rectangle) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    return (
        (ground.left - _GROUND.left) * _PIXELS_PER_METRE,
        (_GROUND.top - ground.top) * _PIXELS_PER_METRE,
        (ground.right - _GROUND.left) * _PIXELS_PER_METRE,
        (_GROUND.top - ground.bottom) * _PIXELS_PER_METRE,
    )
