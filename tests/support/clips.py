"""Real films with known truth, what yolox_nano finds in them, and the ways in which a camera may show less of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.camera.frames import Frame
from edge.detector.detections import Detections
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.floor import Calibration, Floor
from tests.support.followers import Step
from tests.support.mot import NOBODY, People

__all__ = ["PETS", "RETAIL", "Clip", "Variation", "detect", "followed", "frames_of", "perfect_boxes", "variations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A video with known truth.

    holes: frames, counted from 0, in which somebody in plain view has no label.
    calibration: where the floor is, if that is known.
    """

    name: str
    frames: int
    rate: float
    size: tuple[int, int]
    holes: tuple[range, ...] = ()
    calibration: Calibration | None = None

    def floor(self) -> Floor:
        """Where its people walk: in metres where that is known, else in its pixels."""
        if self.calibration is None:
            return Floor.uncalibrated(self.size)
        return Floor.from_points(self.calibration, camera=self.name, floor="ground", image_size=self.size)

    def is_hole(self, frame: int) -> bool:
        """Whether the truth of this frame is incomplete."""
        return any(frame in hole for hole in self.holes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Which frames of a clip are seen, and when each is said to have been taken."""

    name: str
    frames: tuple[int, ...]
    times: tuple[float, ...]


PETS = Clip(
    name="pets_s2l1",
    frames=795,
    rate=10.0,
    size=(480, 360),
    calibration=Calibration(  # by the camera model that was published with the film
        image_points=((243.9, 243.4), (441.1, 157.3), (108.5, 149.0), (423.6, 98.8), (71.3, 117.2), (219.5, 84.7)),
        floor_points=((-14, -10), (-4, -12), (-8, 0), (6, -8), (-4, 6), (6, 4)),
    ),
)
RETAIL = Clip(
    name="retail_x1",
    frames=2400,
    rate=30.0,
    size=(800, 600),
    holes=(range(90, 152), range(616, 944), range(1130, 1415), range(2148, 2400)),
    calibration=Calibration(
        image_points=((201, 119), (592, 118), (781, 579), (2, 579)), floor_points=((3, 15), (10, 15), (10, 5), (3, 5))
    ),
)


def detect(assets: Path, clip: Clip) -> list[Detections]:
    """What yolox_nano finds in each frame."""
    detector = OnnxDetector(Recipe(path=assets / "models/yolox_nano.onnx"))
    return [detector.detect(frame) for frame in frames_of(assets / f"videos/{clip.name}.mp4", clip)]


def perfect_boxes(truth: Mapping[int, People], frames: int) -> list[Detections]:
    """What a detector would find that misses nobody and is never wrong, also about who is hidden."""
    there = [truth.get(frame, NOBODY) for frame in range(frames)]
    return [
        Detections(boxes=people.boxes.astype(np.float32), confidence=np.full(len(people.ids), 0.9, np.float32))
        for people in there
    ]


def variations(clip: Clip) -> list[Variation]:
    """The whole clip, and the ways in which a camera may show less of it."""
    everything = range(clip.frames)
    seen: dict[str, tuple[int, ...]] = {"full rate": tuple(everything)}
    seen |= {f"every {step}. frame": tuple(everything[::step]) for step in (2, 3, 4)}
    seen |= {f"from frame {start}": tuple(everything[start:]) for start in (3, 7, 13, 20)}
    for share, seed in ((0.05, 1), (0.05, 2), (0.1, 3), (0.1, 4)):
        kept = np.random.default_rng(seed).random(clip.frames) >= share
        seen[f"{share:.0%} missing, seed {seed}"] = tuple(np.flatnonzero(kept).tolist())
    steady = [
        Variation(name=name, frames=frames, times=tuple(frame / clip.rate for frame in frames))
        for name, frames in seen.items()
    ]
    jitter = np.random.default_rng(9).uniform(-0.3, 0.3, clip.frames)
    unsteady = Variation(
        name="unsteady times",
        frames=tuple(everything),
        times=tuple((np.arange(clip.frames) + jitter).clip(0) / clip.rate),
    )
    return [*steady, unsteady]


def followed(step: Step, detections: Sequence[Detections], variation: Variation) -> dict[int, People]:
    """People by frame, as a follower tells them apart."""
    result = {}
    for frame, at in zip(variation.frames, variation.times, strict=True):
        ids, boxes = step(detections[frame].boxes, detections[frame].confidence, at)
        known = ids >= 0
        result[frame] = People(ids=ids[known].astype(np.int64), boxes=boxes[known].astype(np.float64))
    return result


def frames_of(path: Path, clip: Clip) -> Iterator[Frame]:
    video = cv2.VideoCapture(str(path))
    for index in range(clip.frames):
        there, image = video.read()
        if not there:
            raise ValueError(f"{path} ends after {index} of {clip.frames} frames")
        yield Frame(at=index / clip.rate, image=np.asarray(image, np.uint8), camera=clip.name, index=index)
