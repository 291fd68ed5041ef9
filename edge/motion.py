"""Where people go between frames: the filters that `edge.motion_tracker` compares detections with.

`edge.image_motion` follows people in the picture, `edge.floor_motion` on a calibrated floor.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections

__all__ = ["Indices", "Motion", "Reals"]

Reals = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class Motion(Protocol):
    """A filter for each track; tracks and detections are told by their indices.

    A frame goes through `advance`, `measure`, `compare` and `correct`; after that tracks may come and go.

    alone: what it costs to leave a track and a detection alone; a pair that costs more is none.
    """

    alone: float

    def advance(self, seconds: float) -> None:
        """Predict where everybody is by now."""
        ...

    def measure(self, detections: Detections) -> None:
        """Take these as what is measured in this frame: from now on detections are theirs."""
        ...

    def compare(self, tracks: Indices, detections: Indices) -> tuple[Reals, Reals]:
        """Squared Mahalanobis distances, and the logarithms of how thinly each prediction is spread (t, d)."""
        ...

    def correct(self, tracks: Indices, detections: Indices) -> None:
        """Take in the measurement (n,) of each of these tracks (n,), all different."""
        ...

    def places(self, tracks: Indices) -> Reals | None:
        """Where (n, 2) on the floor these tracks are, in metres; None of what knows no floor."""
        ...

    def add(self, detections: Indices) -> None:
        """Begin a track with each of these measurements, behind all others."""
        ...

    def is_sound(self) -> bool:
        """Whether people look as expected; if not, all tracks are better followed otherwise."""
        ...

    def drop(self, tracks: Indices) -> None:
        """Forget these tracks."""
        ...
