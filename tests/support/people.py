"""Detections of people whose whereabouts a test decides: perfect boxes, with no picture and no network."""

from collections.abc import Mapping

import numpy as np

from edge.detector.detections import Detections
from edge.synthetic.sight import IN_SIGHT, TruthFrame

__all__ = ["boxes_at", "perfect"]


def perfect(frame: TruthFrame, *, confidence: float = 0.9) -> Detections:
    """What a detector without faults finds in a frame of the synthetic shop: everybody who is in sight."""
    boxes = frame.boxes[frame.visible >= IN_SIGHT]
    return Detections(boxes=boxes, confidence=np.full(len(boxes), confidence, np.float32))


def boxes_at(feet: Mapping[str, tuple[float, float]], *, height: float = 100.0) -> Detections:
    """People standing at these points (pixels of their feet), each `height` tall and 0.4 of it wide."""
    half = 0.2 * height
    boxes = [(x - half, y - height, x + half, y) for x, y in feet.values()]
    return Detections(boxes=np.array(boxes, np.float32).reshape(-1, 4), confidence=np.full(len(boxes), 0.9, np.float32))
