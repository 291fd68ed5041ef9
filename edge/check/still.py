"""A picture so coarse that nobody can be recognised in it: enough to see where a camera looks.

Pixels leave the process here and nowhere else, and only on the command of whoever sits at the box.
"""

from pathlib import Path

import cv2
import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

from edge.camera.frames import Image
from edge.errors import EdgeError

__all__ = ["ROWS", "coarse", "half_blocks", "write_png"]

ROWS = 24
"""Cells from top to bottom: somebody who fills a third of the picture is eight cells tall, and a face is one."""

_CELL_PX = 16
_UPPER_HALF = "▀"


def coarse(image: Image) -> Image:
    """The mean colours of 24 rows of square cells, one pixel a cell."""
    height, width = image.shape[:2]
    columns = max(1, round(ROWS * width / height))
    return np.asarray(cv2.resize(image, (columns, ROWS), interpolation=cv2.INTER_AREA), np.uint8)


def write_png(cells: Image, path: Path) -> None:
    """Write the cells as squares large enough to be seen; raises EdgeError."""
    squares = cells.repeat(_CELL_PX, axis=0).repeat(_CELL_PX, axis=1)
    _, encoded = cv2.imencode(".png", squares)
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise EdgeError(f"{path}: the still cannot be written: {error.strerror}") from error


def half_blocks(cells: Image) -> Text:
    """The cells for a terminal, two above each other in one character."""
    text = Text()
    for upper, lower in zip(cells[0::2], cells[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append(_UPPER_HALF, Style(color=_colour(above), bgcolor=_colour(below)))
        text.append("\n")
    return text


def _colour(pixel: Image) -> Color:
    blue, green, red = (int(value) for value in pixel)
    return Color.from_rgb(red, green, blue)
