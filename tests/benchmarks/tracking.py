"""How well people are followed on real video: our tracking with stitching beside the library's alone.

All get the same detections of yolox_nano. `pets_s2l1` (19 people) is tracked whole, at lower rates, from later
starts, with frames missing and with unsteady times. Run it as `python -m tests.benchmarks.tracking`.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from trackers import BoTSORTTracker, ByteTrackTracker

from edge import stitching
from edge.camera.frames import Frame
from edge.detector.detections import Detections
from edge.detector.onnx import OnnxDetector
from edge.motion_tracker import MotionTracker
from edge.tracker import LibraryTracker, Tracker
from tests.support.mot import People, Scores, read_mot, score

__all__ = ["PETS", "RETAIL", "Clip", "Stitched", "Variation", "detect", "followed", "variations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A video with known truth."""

    name: str
    frames: int
    rate: float
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Which frames of a clip are seen, and when each is said to have been taken."""

    name: str
    frames: tuple[int, ...]
    times: tuple[float, ...]


PETS = Clip(name="pets_s2l1", frames=795, rate=10.0, size=(480, 360))
RETAIL = Clip(name="retail_x1", frames=2400, rate=30.0, size=(800, 600))


class Stitched:
    """A tracker behind our seam, then stitching."""

    def __init__(self, tracker: Tracker, size: tuple[int, int]) -> None:
        self._tracker = tracker
        self._stitcher = stitching.Stitcher(size)

    def update(self, detections: Detections, at: float) -> stitching.People:
        return self._stitcher.update(self._tracker.update(detections, at))


class Untouched(LibraryTracker):
    """A tracker of the library with the settings its authors chose."""

    def __init__(self, tracker: BoTSORTTracker | ByteTrackTracker) -> None:
        super().__init__()
        self._tracker = tracker


def followers(clip: Clip) -> dict[str, Callable[[], Tracker]]:
    """What is compared, by name."""
    return {
        "footfall": lambda: Stitched(MotionTracker(), clip.size),
        "stitched bot-sort": lambda: Stitched(LibraryTracker(), clip.size),
        "bot-sort": lambda: Untouched(BoTSORTTracker(frame_rate=clip.rate, enable_cmc=False)),
        "bytetrack": lambda: Untouched(ByteTrackTracker(frame_rate=clip.rate)),
    }


def detect(assets: Path, clip: Clip) -> list[Detections]:
    """What yolox_nano finds in each frame."""
    detector = OnnxDetector(path=assets / "models/yolox_nano.onnx")
    return [detector.detect(frame) for frame in _frames(assets / f"videos/{clip.name}.mp4", clip)]


def variations(clip: Clip) -> list[Variation]:
    """The whole clip, and the ways in which a camera may show less of it."""
    everything = range(clip.frames)
    seen: dict[str, tuple[int, ...]] = {"full rate": tuple(everything)}
    seen |= {f"every {step}. frame": tuple(everything[::step]) for step in (2, 3)}
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


def followed(follower: Tracker, detections: list[Detections], variation: Variation) -> dict[int, People]:
    """People by frame."""
    result = {}
    for frame, at in zip(variation.frames, variation.times, strict=True):
        tracks = follower.update(detections[frame], at)
        result[frame] = People(ids=tracks.ids, boxes=tracks.boxes.astype(np.float64))
    return result


def compare(assets: Path, clip: Clip) -> dict[str, dict[str, Scores]]:
    """Scores by follower and variation, over labelled frames only: truth with holes says nothing in between."""
    truth = read_mot(assets / f"videos/{clip.name}.gt.txt")
    detections = detect(assets, clip)
    results: dict[str, dict[str, Scores]] = {}
    for name, make in followers(clip).items():
        results[name] = {}
        for variation in variations(clip):
            tracks = followed(make(), detections, variation)
            labelled = [frame for frame in variation.frames if frame in truth]
            results[name][variation.name] = score(truth, tracks, labelled)
    return results


def main() -> None:
    """Print a table per clip, then one line of JSON."""
    assets = Path(os.environ["FOOTFALL_ASSETS"])
    summary = {}
    for clip in (PETS, RETAIL):
        results = compare(assets, clip)
        print(f"\n{clip.name}")
        print(f"{'':42s}{'HOTA':>7s}{'IDF1':>7s}{'MOTA':>7s}{'switches':>10s}{'people':>8s}")
        for follower, scores in results.items():
            for variation, one in scores.items():
                print(
                    f"{follower:18s}{variation:24s}{one.hota:7.3f}{one.idf1:7.3f}{one.mota:7.3f}"
                    f"{one.id_switches:10d}{one.ids:8d}"
                )
        summary[clip.name] = {
            follower: {
                **{key: round(value, 3) for key, value in asdict(scores["full rate"]).items()},
                "least_people": min(one.ids for one in scores.values()),
                "most_people": max(one.ids for one in scores.values()),
            }
            for follower, scores in results.items()
        }
    print(json.dumps(summary))


def _frames(path: Path, clip: Clip) -> Iterator[Frame]:
    video = cv2.VideoCapture(str(path))
    for index in range(clip.frames):
        there, image = video.read()
        if not there:
            raise ValueError(f"{path} ends after {index} of {clip.frames} frames")
        yield Frame(at=index / clip.rate, image=np.asarray(image, np.uint8), camera=clip.name, index=index)


if __name__ == "__main__":
    main()
