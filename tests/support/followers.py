"""All that follow people from frame to frame and that benchmarks compare: ours, and its peers in a plain loop.

A peer has the settings that its authors chose and the film's frame rate, but neither times (on these films it does
better without them) nor pictures: the cameras stand still, so there is no motion of theirs to make up for. Each imports
what it needs when it is made, so that a process holds one of them alone, and this module, run with the name of a
follower and of a film, measures one in such a process.
"""

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tests.support.child import measured, peak_mib

if TYPE_CHECKING:
    from trackers import BoTSORTTracker, ByteTrackTracker

    from edge.floor import Floor
    from edge.tracker import Tracker
    from tests.support.clips import Clip

__all__ = ["FOLLOWERS", "Film", "Step", "cost", "is_installed"]

Floats = npt.NDArray[np.float32]
Step = Callable[[Floats, Floats, float], tuple[npt.NDArray[np.int64], Floats]]
"""Boxes (n, 4), confidence (n,) and the seconds of a frame → ids (m,), negative where unconfirmed, and boxes (m, 4)."""

Film = Sequence[tuple[Floats, Floats, float]]
"""What was found in each frame: boxes, confidence, seconds."""

ROUNDS = 5


def footfall(floor: "Floor", rate: float) -> Step:
    """Our tracker and our stitching, on the floor where that is calibrated."""
    from edge.motion_tracker import MotionTracker

    return _stitched(MotionTracker(floor=floor), floor)


def footfall_in_the_picture(floor: "Floor", rate: float) -> Step:
    """The same where nobody knows the floor."""
    from edge.floor import Floor
    from edge.motion_tracker import MotionTracker

    return _stitched(MotionTracker(), Floor.uncalibrated(floor.image_size))


def stitched_bot_sort(floor: "Floor", rate: float) -> Step:
    """The `trackers` package's BoT-SORT with our settings, then our stitching."""
    from edge.tracker import LibraryTracker

    return _stitched(LibraryTracker(), floor)


def bot_sort(floor: "Floor", rate: float) -> Step:
    """The `trackers` package's BoT-SORT."""
    from trackers import BoTSORTTracker

    return _in_a_plain_loop(BoTSORTTracker(frame_rate=rate, enable_cmc=False))


def byte_track(floor: "Floor", rate: float) -> Step:
    """The `trackers` package's ByteTrack."""
    from trackers import ByteTrackTracker

    return _in_a_plain_loop(ByteTrackTracker(frame_rate=rate))


def ultralytics_bot_sort(floor: "Floor", rate: float) -> Step:
    """What `track(tracker="botsort.yaml")` of ultralytics does after its detector."""
    return _ultralytics("botsort.yaml", floor.image_size)


def ultralytics_byte_track(floor: "Floor", rate: float) -> Step:
    """What `track(tracker="bytetrack.yaml")` of ultralytics does after its detector."""
    return _ultralytics("bytetrack.yaml", floor.image_size)


FOLLOWERS: "dict[str, Callable[[Floor, float], Step]]" = {
    "footfall": footfall,
    "footfall in the picture": footfall_in_the_picture,
    "stitched bot-sort": stitched_bot_sort,
    "bytetrack": byte_track,
    "bot-sort": bot_sort,
    "ultralytics track() bytetrack": ultralytics_byte_track,
    "ultralytics track() bot-sort": ultralytics_bot_sort,
}
"""What is compared, by name: each is made for a floor and a frame rate."""


def is_installed(name: str) -> bool:
    """Whether a follower can be made here: ultralytics is heavy, so nothing of ours installs it."""
    return not name.startswith("ultralytics") or importlib.util.find_spec("ultralytics") is not None


def cost(name: str, film: Film, clip: "Clip") -> dict[str, float]:
    """Processor time and memory of one follower in a process of its own.

    cpu_ms_per_frame: milliseconds from detections to people, the best of several times through the film.
    peak_mib: the most memory held by a process with Python, numpy, the detections and this follower.
    """
    with tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as folder:
        path = Path(folder) / "film.npz"
        np.savez(
            path,
            boxes=np.concatenate([boxes for boxes, _, _ in film]),
            confidence=np.concatenate([confidence for _, confidence, _ in film]),
            ends=np.cumsum([len(boxes) for boxes, _, _ in film]),
            times=np.array([at for _, _, at in film]),
            size=np.array(clip.size),
            rate=np.array(clip.rate),
            image_points=np.array(clip.calibration.image_points if clip.calibration else []),
            floor_points=np.array(clip.calibration.floor_points if clip.calibration else []),
        )
        return measured("tests.support.followers", name, str(path))


def main() -> None:
    """Measure the follower that is named on the film that is named."""
    name, path = sys.argv[1:]
    with np.load(path) as kept:
        boxes = np.split(kept["boxes"], kept["ends"][:-1])
        confidence = np.split(kept["confidence"], kept["ends"][:-1])
        film = list(zip(boxes, confidence, kept["times"].tolist(), strict=True))
        size, rate = (int(kept["size"][0]), int(kept["size"][1])), float(kept["rate"])
        points = kept["image_points"].tolist(), kept["floor_points"].tolist()
    floor = _floor(size, *points)
    seconds = min(_seconds(FOLLOWERS[name](floor, rate), film) for _ in range(ROUNDS))
    print(json.dumps({"cpu_ms_per_frame": 1000 * seconds / len(film), "peak_mib": peak_mib()}))


def _floor(size: tuple[int, int], image: Sequence[tuple[float, float]], plan: Sequence[tuple[float, float]]) -> "Floor":
    from edge.floor import Calibration, Floor

    if not image:
        return Floor.uncalibrated(size)
    calibration = Calibration(image_points=tuple(image), floor_points=tuple(plan))
    return Floor.from_points(calibration, camera="film", floor="ground", image_size=size)


def _seconds(step: Step, film: Film) -> float:
    """Seconds of processor time to follow a film once, over all threads."""
    began = time.process_time()
    for boxes, confidence, at in film:
        step(boxes, confidence, at)
    return time.process_time() - began


def _stitched(tracker: "Tracker", floor: "Floor") -> Step:
    from edge.detector.detections import Detections
    from edge.stitching import Stitcher

    stitcher = Stitcher(floor.image_size, floor=floor)

    def step(boxes: Floats, confidence: Floats, at: float) -> tuple[npt.NDArray[np.int64], Floats]:
        people = stitcher.update(tracker.update(Detections(boxes=boxes, confidence=confidence), at))
        return people.ids, people.boxes

    return step


def _in_a_plain_loop(tracker: "BoTSORTTracker | ByteTrackTracker") -> Step:
    import supervision

    def step(boxes: Floats, confidence: Floats, at: float) -> tuple[npt.NDArray[np.int64], Floats]:
        found = tracker.update(supervision.Detections(xyxy=boxes, confidence=confidence))
        ids = np.full(len(found), -1) if found.tracker_id is None else found.tracker_id
        return np.asarray(ids, np.int64), np.asarray(found.xyxy, np.float32)

    return step


def _ultralytics(settings: str, size: tuple[int, int]) -> Step:
    # Or it asks the internet whether there is one, and installs what it misses.
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    chosen = IterableSimpleNamespace(**YAML.load(check_yaml(settings)))
    tracker = TRACKER_MAP[chosen.tracker_type](args=chosen)
    shape = (size[1], size[0])

    def step(boxes: Floats, confidence: Floats, at: float) -> tuple[npt.NDArray[np.int64], Floats]:
        people = np.zeros_like(confidence)
        found = Boxes(np.column_stack([boxes, confidence, people]), shape)
        rows = np.asarray(tracker.update(found), np.float32).reshape(-1, 8)
        return rows[:, 4].astype(np.int64), rows[:, :4]

    return step


if __name__ == "__main__":
    main()
