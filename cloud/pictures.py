"""Draws heat as PNG: one picture of everything, or the tiles of a slippy map in Leaflet's CRS.Simple.

At zoom 0 a pixel is a cell. Zero is transparent; colour rises with the square root of the value, up to the greatest
cell of the period. Pictures have their first row on top, so a floor is turned over and an image is not.
"""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cloud.errors import Invalid
from cloud.heatmaps import Cells, Heat, amounts, grid_of
from cloud.palette import PALETTE
from protocol.tiles import TILE_SIDE

__all__ = ["MAX_ZOOM", "MIN_ZOOM", "PICTURE_TILE_PX", "picture", "picture_tile"]

PICTURE_TILE_PX = 256
MIN_ZOOM, MAX_ZOOM = -3, 8
MAX_PIXELS = 32_000_000
"""Of one picture; each takes some three bytes while it is drawn."""


def picture(heat: Heat, *, scale: int) -> bytes:
    """Everything as one PNG of `scale` pixels a cell; a transparent pixel where there is nothing.

    Raises Invalid for a scale at which it would have too many pixels.
    """
    cells = amounts(grid_of(heat).cells)
    if not cells.size:
        cells = np.zeros((1, 1), dtype=np.int64)
    _require_room(cells, scale)
    upright = cells[::-1] if heat.is_y_up else cells
    return _png(_enlarge(_levels(upright, greatest=int(cells.max())), scale))


def picture_tile(heat: Heat, *, zoom: int, x: int, y: int) -> bytes:
    """The 256 × 256 PNG of a tile of the map; zoomed out, a pixel shows the greatest of its cells."""
    side = PICTURE_TILE_PX >> zoom if zoom >= 0 else PICTURE_TILE_PX << -zoom
    first_row = -(y + 1) * side if heat.is_y_up else y * side
    cells = _window(heat, x=x * side, y=first_row, side=side)
    upright = cells[::-1] if heat.is_y_up else cells
    greatest = max((int(amounts(values).max()) for values in heat.tiles.values()), default=0)
    if zoom < 0:
        step = 1 << -zoom
        upright = upright.reshape(PICTURE_TILE_PX, step, PICTURE_TILE_PX, step).max(axis=(1, 3))
    return _png(_enlarge(_levels(upright, greatest=greatest), PICTURE_TILE_PX // upright.shape[0]))


def _require_room(cells: Cells, scale: int) -> None:
    most = math.isqrt(MAX_PIXELS // cells.size)
    if scale > most:
        rows, columns = cells.shape
        raise Invalid(
            f"scale: {columns} × {rows} cells of {scale} pixels a side are too large a picture; at most {most} is"
            " allowed for this map, and its tiles show every detail"
        )


def _window(heat: Heat, *, x: int, y: int, side: int) -> Cells:
    """The square of cells from (x, y) on."""
    window = np.zeros((side, side), dtype=np.int64)
    for (tx, ty), values in heat.tiles.items():
        column, row = tx * TILE_SIDE - x, ty * TILE_SIDE - y
        left, right = max(column, 0), min(column + TILE_SIDE, side)
        low, high = max(row, 0), min(row + TILE_SIDE, side)
        if left < right and low < high:
            window[low:high, left:right] = amounts(values)[low - row : high - row, left - column : right - column]
    return window


def _levels(cells: Cells, *, greatest: int) -> NDArray[np.uint8]:
    """0 for zero, else 1 to 255."""
    share = np.sqrt(cells / max(1, greatest))
    return np.where(cells > 0, np.maximum(1, np.round(share * 255)), 0).astype(np.uint8)


def _enlarge(levels: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    return levels.repeat(times, axis=0).repeat(times, axis=1)


def _png(levels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(levels)).convert("L")
    image.putpalette(PALETTE[:, :3].tobytes(), "RGB")
    out = io.BytesIO()
    image.save(out, "PNG", transparency=0, compress_level=1)
    return out.getvalue()
