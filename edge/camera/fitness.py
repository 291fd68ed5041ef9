"""Whether a camera's pictures are fit to count in: not too dark, not covered, not blurred, not turned elsewhere.

Looks at one small grey picture a second. What is still in it is learnt as its edges, slowly, so that people and
daylight pass and the shop stays. Whatever is wrong must last before it is said, and be over for as long before it is
taken back; a camera that was turned stays so until it looks where it did, for its calibration and zones lie elsewhere
now. Knows pixels; refuses to know people, and keeps nothing that shows anybody.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Image

__all__ = ["Fitness", "FitnessSettings", "Flaw"]

Grey = npt.NDArray[np.float32]


class Flaw(StrEnum):
    """What is wrong with a picture."""

    NONE = "none"
    TOO_DARK = "too-dark"
    COVERED = "covered"
    BLURRED = "blurred"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessSettings:
    """When a picture is unfit. Brightness is 0 to 255.

    every_seconds: how often a picture is looked at. lasting_seconds: how long a flaw must last, or be gone.
    learning_seconds: how long the first picture's edges take to be known, and the time constant of learning after that.
    dark: no more than a hundredth of the picture is brighter. flat: the standard deviation below which nothing is seen.
    blurred: the share of the usual sharpness, as the energy of fine edges, below which a picture is blurred.
    alike: the correlation with the usual edges, -1 to 1, below which a camera looks elsewhere.
    """

    every_seconds: float = 1.0
    lasting_seconds: float = 20.0
    learning_seconds: float = 60.0
    dark: float = 40.0
    flat: float = 6.0
    blurred: float = 0.3
    alike: float = 0.6


class Fitness:
    """One camera's self-check."""

    def __init__(self, settings: FitnessSettings | None = None) -> None:
        self._settings = settings or FitnessSettings()
        self._looked_at = float("-inf")
        self._began: float | None = None
        self._edges: Grey | None = None
        self._sharpness = 0.0
        self._suspected = (Flaw.NONE, float("-inf"))
        self.flaw = Flaw.NONE
        """What is wrong now."""

    def begin_anew(self) -> None:
        """Say again whatever is wrong, for the camera was away or has another picture; its usual edges stay known."""
        self.flaw, self._suspected = Flaw.NONE, (Flaw.NONE, float("-inf"))

    def look(self, image: Image, at: float) -> Flaw:
        """Take a frame, BGR uint8 (height, width, 3): what is wrong now."""
        settings = self._settings
        if at - self._looked_at < settings.every_seconds:
            return self.flaw
        self._looked_at = at
        found = self._judge(_small(image), at)
        suspected, since = self._suspected
        if found is not suspected:
            self._suspected = (found, at)
        elif found is not self.flaw and at - since >= settings.lasting_seconds:
            self.flaw = found
        return self.flaw

    def _judge(self, grey: Grey, at: float) -> Flaw:
        """What is wrong with one picture, in the order in which one flaw hides another."""
        settings = self._settings
        if float(np.percentile(grey, 99)) <= settings.dark:
            return Flaw.TOO_DARK
        if float(grey.std()) < settings.flat:
            return Flaw.COVERED
        edges, sharpness = _edges(grey), _sharpness(grey)
        self._began = at if self._began is None else self._began
        if self._edges is None or at - self._began < settings.learning_seconds:
            self._learn(edges, sharpness, share=1 / (1 + at - self._began))
            return Flaw.NONE
        if sharpness < settings.blurred * self._sharpness:
            return Flaw.BLURRED
        if float(np.corrcoef(edges.ravel(), self._edges.ravel())[0, 1]) < settings.alike:
            return Flaw.MOVED
        if self.flaw is Flaw.NONE:
            self._learn(edges, sharpness, share=settings.every_seconds / settings.learning_seconds / _SLOWER)
        return Flaw.NONE

    def _learn(self, edges: Grey, sharpness: float, *, share: float) -> None:
        if self._edges is None:
            self._edges, self._sharpness = edges, sharpness
            return
        self._edges = self._edges + np.float32(share) * (edges - self._edges)
        self._sharpness += share * (sharpness - self._sharpness)


_WIDTH, _HEIGHT = 160, 120
_SLOWER = 10.0
"""Once known, the picture's edges are learnt so many times more slowly."""


def _small(image: Image) -> Grey:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _edges(grey: Grey) -> Grey:
    """How steep the picture is everywhere, evened out so that bright light and strong edges do not decide alone."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    steep = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(np.sqrt(steep), np.float32)


def _sharpness(grey: Grey) -> float:
    """The energy of fine edges beside that of all contrast (after Pech-Pacheco et al., 2000: variance of Laplacian)."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(float(grey.var()), 1.0))
