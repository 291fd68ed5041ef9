"""What moves, where there is no network to say who is a person.

Knows background subtraction on a reduced picture, kept in colour because in grey a coat somewhat darker than
the floor passes for a shadow. Refuses to know what moves: trolleys and doors count too, so it says loudly,
once a camera, that it serves.
"""

import logging
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame, Image
from edge.detector.detections import Detections

__all__ = ["MotionDetector"]

Mask = npt.NDArray[np.uint8]

REDUCED_HEIGHT = 240
FOREGROUND = 255
"""MOG2 marks shadows with 127 and what moves with 255."""

LIGHT_CHANGE = 0.6
"""Share of the picture that no crowd moves at once, but a light switch does."""

SLENDEREST, WIDEST = 6.0, 0.4
"""Height ÷ width of a person, from upright to seen from above beside a trolley."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Background:
    """What one camera shows when nothing moves."""

    model: cv2.BackgroundSubtractorMOG2
    shape: tuple[int, ...]
    since: float
    last: float


class MotionDetector:
    """Finds what moves and could be a person. One detector serves all cameras, each with its background.

    `sensitivity` 0 to 1: how little a pixel must differ. `memory_seconds`: time constant of the
    background; what stands still for a tenth of it has become part of it. `smallest`, `largest`: a person's height as
    a share of the picture's.
    """

    def __init__(
        self,
        *,
        sensitivity: float = 0.5,
        memory_seconds: float = 60.0,
        smallest: float = 0.06,
        largest: float = 0.95,
    ) -> None:
        self._variance = 4.0 ** (3.0 - 2.0 * sensitivity)
        self._memory_seconds = memory_seconds
        self._smallest, self._largest = smallest, largest
        self._backgrounds: dict[str, _Background] = {}

    def detect(self, frame: Frame) -> Detections:
        """What moves against this camera's background; nothing in the first frame and when the light changes."""
        small = _reduced(frame.image)
        background = self._backgrounds.get(frame.camera)
        if background is None or background.shape != frame.image.shape:
            self._learn(frame, small, loudly=background is None)
            return Detections.none()
        moving = _moving(background.model.apply(small, learningRate=self._rate(background, frame.at)))
        if np.count_nonzero(moving) > LIGHT_CHANGE * moving.size:
            self._learn(frame, small, loudly=False)
            return Detections.none()
        return self._people(moving, frame.image)

    def _learn(self, frame: Frame, small: Image, *, loudly: bool) -> None:
        """Take this picture as the camera's empty scene."""
        if loudly:
            _log.warning(
                "No person detector is configured: motion detection serves. It finds what moves, be it a person, "
                "a trolley or a door, and loses who stands still. A detector: `footfall models pull yolox-nano`.",
                extra={"action": "detect motion instead of people", "camera": frame.camera},
            )
        model = cv2.createBackgroundSubtractorMOG2(varThreshold=self._variance, detectShadows=True)
        model.apply(small, learningRate=1.0)
        self._backgrounds[frame.camera] = _Background(
            model=model, shape=frame.image.shape, since=frame.at, last=frame.at
        )

    def _rate(self, background: _Background, at: float) -> float:
        """How much of this picture enters the background: in seconds, so that the frame rate does not matter."""
        interval = max(at - background.last, 0.0)
        background.last = at
        memory = min(self._memory_seconds, max(at - background.since, interval) * 4 + 1)
        return 1.0 - math.exp(-interval / memory)

    def _people(self, moving: Mask, image: Image) -> Detections:
        contours, _ = cv2.findContours(moving, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not contours:
            return Detections.none()
        areas = np.array([cv2.contourArea(contour) for contour in contours], np.float32)
        left, top, width, height = np.array([cv2.boundingRect(each) for each in contours], np.float32).T
        share, shape = height / moving.shape[0], height / width
        likely = (share >= self._smallest) & (share <= self._largest) & (shape >= WIDEST) & (shape <= SLENDEREST)
        fill = np.clip(areas / (width * height), 0.0, 1.0)
        boxes = np.stack([left, top, left + width, top + height], axis=1)[likely]
        boxes *= np.float32(image.shape[0] / moving.shape[0])
        np.clip(boxes[:, 0::2], 0, image.shape[1], out=boxes[:, 0::2])
        np.clip(boxes[:, 1::2], 0, image.shape[0], out=boxes[:, 1::2])
        order = np.argsort(-fill[likely], kind="stable")
        return Detections(boxes=boxes[order], confidence=fill[likely][order])


def _reduced(image: Image) -> Image:
    height, width = image.shape[:2]
    ratio = min(REDUCED_HEIGHT / height, 1.0)
    small = cv2.resize(
        image, (max(round(width * ratio), 1), max(round(height * ratio), 1)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.GaussianBlur(small, (5, 5), 0), np.uint8)


def _moving(marked: npt.NDArray[np.generic] | cv2.typing.MatLike) -> Mask:
    """Specks removed, and the parts of a body that clothes like the floor tore apart joined, upright first."""
    firm = np.where(np.asarray(marked) == FOREGROUND, np.uint8(255), np.uint8(0))
    opened = cv2.morphologyEx(firm, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 11)))
    return np.asarray(closed, np.uint8)
