"""Ignore masks: parts of a picture that nothing may analyse, such as a street behind glass or a mirror.

Knows polygons in the pixels of a reference size, and scales them to whatever size arrives.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Image

__all__ = ["IgnoreMasks", "Polygon"]

Polygon = Sequence[tuple[float, float]]
"""Corners as (x, y) in pixels of the reference size."""

NEUTRAL_GREY = 114
"""What detectors are padded with, so it looks like nothing to them."""
SUBPIXEL_BITS = 4


class IgnoreMasks:
    """Blanks polygons given in pixels of `reference_size` (width, height)."""

    def __init__(self, polygons: Sequence[Polygon], *, reference_size: tuple[int, int]) -> None:
        self._polygons = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
        self._reference_size = np.asarray(reference_size, dtype=np.float64)
        self._hidden = np.zeros((0, 0), dtype=np.bool_)

    def apply(self, image: Image) -> Image:
        """The picture with the masked parts grey; the picture given is left as it is."""
        if not self._polygons:
            return image
        hidden = self.hidden((image.shape[1], image.shape[0]))
        blanked = image.copy()
        blanked[hidden] = NEUTRAL_GREY
        return blanked

    def hidden(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Which pixels of a picture of `size` (width, height) are blanked: bool, shape (height, width)."""
        width, height = size
        if self._hidden.shape != (height, width):
            drawn = np.zeros((height, width), dtype=np.uint8)
            scale = np.asarray(size) / self._reference_size * 2**SUBPIXEL_BITS
            for polygon in self._polygons:
                corners = np.round(polygon * scale).astype(np.int32)
                cv2.fillPoly(drawn, [corners], 1, shift=SUBPIXEL_BITS)
            self._hidden = drawn.astype(np.bool_)
        return self._hidden
