"""What a detector finds in a picture: people as boxes, as one structure of arrays."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame

__all__ = ["Detections", "Detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """People found in one frame.

    boxes: float32, shape (n, 4), left, top, right, bottom in pixels of the frame, clipped to it.
    confidence: float32, shape (n,), 0 to 1, in descending order.
    """

    boxes: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]

    @classmethod
    def none(cls) -> "Detections":
        """An empty set."""
        return cls(boxes=np.empty((0, 4), np.float32), confidence=np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.boxes)


class Detector(Protocol):
    """Finds people in a frame."""

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame; a pure function of the frame but for a motion detector's background."""
        ...
