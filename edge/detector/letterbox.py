"""A picture into a network's input tensor, and boxes back into the picture.

Knows geometry and number formats. Refuses to know what a network is. All buffers are made once
and when the camera's resolution changes, so a frame in steady state allocates nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Image
from edge.detector.description import InputFormat
from edge.detector.low_light import LowLight

__all__ = ["Letterbox", "Placement", "place"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a picture of `frame_width` × `frame_height` pixels lies inside the network's input."""

    left: int
    top: int
    width: int
    height: int
    frame_width: int
    frame_height: int

    def to_frame(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) in input pixels, as boxes in pixels of the frame, not clipped."""
        scale_x, scale_y = self.frame_width / self.width, self.frame_height / self.height
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return (boxes - shift) * scale


def place(*, frame: tuple[int, int], target: tuple[int, int], fit: str) -> Placement:
    """Where a frame of (width, height) lies in a target of (width, height) under this fit."""
    frame_width, frame_height = frame
    target_width, target_height = target
    if fit == "stretch":
        width, height = target
    else:
        ratio = min(target_width / frame_width, target_height / frame_height)
        width = min(max(round(frame_width * ratio), 1), target_width)
        height = min(max(round(frame_height * ratio), 1), target_height)
    centred = fit == "centre"
    return Placement(
        left=(target_width - width) // 2 if centred else 0,
        top=(target_height - height) // 2 if centred else 0,
        width=width,
        height=height,
        frame_width=frame_width,
        frame_height=frame_height,
    )


class Letterbox:
    """Fills one tensor over and over. `tensor`: float32, shape (1, 3, height, width)."""

    def __init__(self, *, width: int, height: int, input_format: InputFormat, low_light: bool = False) -> None:
        """`low_light`: dark pictures are lightened on the way."""
        self.tensor: Floats = np.empty((1, 3, height, width), np.float32)
        self._size = (width, height)
        self._fit = input_format.fit
        self._order = (2, 1, 0) if input_format.colour == "rgb" else (0, 1, 2)
        self._gain, self._offset = _affine(input_format)
        self._pad = input_format.pad
        self._low_light = LowLight() if low_light else None
        self._placement: Placement | None = None
        self._picture: Image = np.empty((0, 0, 3), np.uint8)
        self._planes: list[npt.NDArray[np.uint8]] = []
        self._windows: list[Floats] = []

    def fill(self, image: Image) -> Placement:
        """Write the picture into `tensor` and say where it lies."""
        placement = self._placement_of(image)
        cv2.resize(image, (placement.width, placement.height), dst=self._picture, interpolation=cv2.INTER_LINEAR)
        if self._low_light is not None:
            self._low_light.lighten(self._picture)
        cv2.split(self._picture, self._planes)
        for plane, window, gain, offset in zip(self._planes, self._windows, self._gain, self._offset, strict=True):
            np.multiply(plane, gain, out=window, dtype=np.float32)
            if offset:
                np.add(window, offset, out=window)
        return placement

    def _placement_of(self, image: Image) -> Placement:
        height, width = image.shape[:2]
        known = self._placement
        if known is None or (known.frame_width, known.frame_height) != (width, height):
            known = self._placement = place(frame=(width, height), target=self._size, fit=self._fit)
            self._prepare(known)
        return known

    def _prepare(self, placement: Placement) -> None:
        """Buffers in the camera's channel order (blue, green, red), windows into the tensor to match."""
        shape = (placement.height, placement.width)
        rows = slice(placement.top, placement.top + placement.height)
        columns = slice(placement.left, placement.left + placement.width)
        self._picture = np.empty((*shape, 3), np.uint8)
        self._planes = [np.empty(shape, np.uint8) for _ in range(3)]
        self._windows = [self.tensor[0, channel, rows, columns] for channel in self._order]
        for channel, gain, offset in zip(self._order, self._gain, self._offset, strict=True):
            self.tensor[0, channel] = np.float32(self._pad) * gain + offset


def _affine(input_format: InputFormat) -> tuple[list[np.float32], list[np.float32]]:
    """Gain and offset that turn 0–255 into what the network wants, per channel of a blue-green-red picture."""
    peak = 255.0 if input_format.scale == "0-1" else 1.0
    mean = input_format.mean or (0.0, 0.0, 0.0)
    deviation = input_format.deviation or (1.0, 1.0, 1.0)
    if input_format.colour == "rgb":
        mean, deviation = mean[::-1], deviation[::-1]
    gain = [np.float32(1 / (peak * each)) for each in deviation]
    offset = [np.float32(-centre / each) for centre, each in zip(mean, deviation, strict=True)]
    return gain, offset
