"""Dark pictures, made readable for a network: contrast evened out locally, so that people stand out from the dark.

What a picture is told by is its own pixels, so the same picture is always seen the same. Pictures that are not dark
pass untouched. How much it helps, and where it does not: docs/benchmarks.md, low_light.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Image

__all__ = ["LowLight", "is_dark"]

DARK = 70
"""Brightness, 0 to 255, above which lies no more than a hundredth of a dark picture."""
_EVERY = 4
"""Every so many rows and columns are enough to tell."""
_CLIP, _TILES = 2.0, (4, 4)


def is_dark(picture: Image) -> bool:
    """Whether a picture, BGR uint8 (height, width, 3), has next to nothing bright in it."""
    grey = cv2.cvtColor(picture[::_EVERY, ::_EVERY], cv2.COLOR_BGR2GRAY)
    return int(np.count_nonzero(grey > DARK)) * 100 <= grey.size


class LowLight:
    """Evens out the contrast of dark pictures, colours kept (CLAHE of the luma; after Zuiderveld, 1994)."""

    def __init__(self) -> None:
        self._clahe = cv2.createCLAHE(_CLIP, _TILES)

    def lighten(self, picture: Image) -> None:
        """Change a picture, BGR uint8 (height, width, 3), in its place if it is dark."""
        if not is_dark(picture):
            return
        planes: list[npt.NDArray[np.uint8]] = [
            np.asarray(plane, np.uint8) for plane in cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb))
        ]
        planes[0] = np.asarray(self._clahe.apply(planes[0]), np.uint8)
        cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR, dst=picture)
