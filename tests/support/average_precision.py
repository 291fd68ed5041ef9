"""How well boxes match a truth: average precision at an overlap of one half, the plain way, in loops."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Image
from edge.detector.detections import Detections

__all__ = ["average_precision", "frames_of", "overlap", "truth_of"]

Box = Sequence[float]


def truth_of(path: Path) -> dict[int, list[list[float]]]:
    """Boxes (left, top, right, bottom) per frame, counted from 0, of a MOT file that counts from 1."""
    found: dict[int, list[list[float]]] = {}
    for line in path.read_text().splitlines():
        frame, _, left, top, width, height = (float(value) for value in line.split(",")[:6])
        found.setdefault(int(frame) - 1, []).append([left, top, left + width, top + height])
    return found


def frames_of(video: Path, *, every: int) -> Iterator[tuple[int, Image]]:
    """Every n-th frame of a video, with its index."""
    capture = cv2.VideoCapture(str(video))
    index = 0
    try:
        while capture.grab():
            if index % every == 0:
                yield index, np.asarray(capture.retrieve()[1], np.uint8)
            index += 1
    finally:
        capture.release()


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def average_precision(found: Mapping[int, Detections], truth: Mapping[int, list[list[float]]]) -> float:
    """AP50 over the frames in `found`: area under the precision envelope over recall, all points."""
    ranked = sorted(
        (
            (float(confidence), frame, box.tolist())
            for frame, detections in found.items()
            for box, confidence in zip(detections.boxes, detections.confidence, strict=True)
        ),
        key=lambda each: -each[0],
    )
    taken: set[tuple[int, int]] = set()
    hits = []
    for _, frame, box in ranked:
        free = [place for place in range(len(truth.get(frame, []))) if (frame, place) not in taken]
        best = max(free, key=lambda place: overlap(box, truth[frame][place]), default=None)
        hit = best is not None and overlap(box, truth[frame][best]) >= 0.5
        if hit and best is not None:
            taken.add((frame, best))
        hits.append(hit)
    return _area(np.array(hits, np.float64), sum(len(truth.get(frame, [])) for frame in found))


def _area(hits: npt.NDArray[np.float64], people: int) -> float:
    true = np.cumsum(hits)
    recall = np.concatenate([[0.0], true / people])
    precision = np.concatenate([true / np.arange(1, len(hits) + 1), [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1][:-1]
    return float(np.sum(np.diff(recall) * envelope))
