"""What a camera yields. Pixels exist in `Frame` and nowhere else in the product."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Frame", "FrameSource", "Image"]

Image = npt.NDArray[np.uint8]
"""A picture: uint8, shape (height, width, 3), blue-green-red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture and the moment it shows.

    `at` is seconds on the box's monotonic clock (never wall-clock time), anchored so that
    presentation times keep their real intervals. `index` counts the source's frames from 0,
    those dropped before this one included.
    """

    at: float
    image: Image
    camera: str
    index: int


class FrameSource(Protocol):
    """Something that yields frames in order of time until it ends or is closed."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError when the source cannot be read at all."""
        ...
