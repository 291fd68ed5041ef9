"""Lets the detector idle while a scene is empty and still: most of a box's time goes into networks that find nobody.

Whoever is there keeps the detector awake, and so does whatever moves. Asleep it still looks once a second, so that
somebody who comes slowly, or in the colours of the floor, is overlooked for a second at most. An old answer is never
given again: what was half seen once would become somebody who stands there. Knows pictures and what was found in them;
of each camera it keeps one small grey picture, of its empty scene.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame, Image
from edge.detector.detections import Detections, Detector

__all__ = ["Idling", "IdlingSettings"]

_WIDTH = 160
"""Of the small picture, in cells: noise averages out, and a person that a detector can find still fills several."""

Cells = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdlingSettings:
    """When a detector may idle.

    awake_seconds: how long it stays awake once it found somebody or saw something move; longer than a track lives
    without strong boxes. look_seconds: how long it sleeps at most. strong: from this confidence a box keeps it awake.
    cells: as many as have changed mean that something moves.
    """

    awake_seconds: float = 3.0
    look_seconds: float = 1.0
    strong: float = 0.5
    cells: int = 3


class Idling:
    """The same detector, asked only where there may be somebody.

    `thresholds` says for each camera by how many grey levels, 1 to 255, a cell must change for something to move; 0
    keeps its detector awake. `idled` is told the camera of each frame that the detector was not asked about.
    """

    def __init__(
        self,
        detector: Detector,
        thresholds: Mapping[str, int],
        *,
        idled: Callable[[str], None] = lambda _camera: None,
        settings: IdlingSettings | None = None,
    ) -> None:
        self._detector = detector
        self._idled = idled
        self._watches = {
            camera: _Watch(threshold=threshold, settings=settings or IdlingSettings())
            for camera, threshold in thresholds.items()
            if threshold
        }

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame; nobody, where nobody was and nothing has moved since."""
        watch = self._watches.get(frame.camera)
        if watch is not None and watch.may_idle(frame.image, frame.at):
            self._idled(frame.camera)
            return Detections.none()
        found = self._detector.detect(frame)
        if watch is not None:
            watch.note(found, frame.at)
        return found


class _Watch:
    """What is known of one camera's scene while nobody is in it."""

    def __init__(self, *, threshold: int, settings: IdlingSettings) -> None:
        self._threshold = threshold
        self._settings = settings
        self._busy_at = float("-inf")
        self._looked_at = float("-inf")
        self._empty: Cells | None = None

    def may_idle(self, image: Image, at: float) -> bool:
        """Whether this picture is still that of the empty scene, and the last look recent enough."""
        settings = self._settings
        if abs(at - self._busy_at) <= settings.awake_seconds:
            self._empty = None
            return False
        cells, empty = _cells(image), self._empty
        if empty is not None and self._moves(empty, cells):
            self._busy_at = at
        elif empty is not None and 0 <= at - self._looked_at < settings.look_seconds:
            return True
        self._empty, self._looked_at = cells, at
        return False

    def note(self, found: Detections, at: float) -> None:
        """Take what the detector found."""
        if (found.confidence >= self._settings.strong).any():
            self._busy_at = at

    def _moves(self, before: Cells, now: Cells) -> bool:
        if before.shape != now.shape:
            return True
        changed = cv2.threshold(cv2.absdiff(before, now), self._threshold - 1, 1, cv2.THRESH_BINARY)[1]
        return cv2.countNonZero(changed) >= self._settings.cells


def _cells(image: Image) -> Cells:
    height, width = image.shape[:2]
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
