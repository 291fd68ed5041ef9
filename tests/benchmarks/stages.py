"""What counting costs on top of seeing, and where the time of a frame goes.

The overhead ratio is the whole pipeline, from the file to durable items, over its floor: decoding, fitting the picture
to the network, the network and its boxes, in the plainest loop. Both run on the same film (`pets_s2l1`, 480×360, up to
eight people at a time) with the same session: yolox_nano, one thread, no spinning. The camera has an entrance line and
three zones, one of them a queue.

Milliseconds are processor time an analysed frame, the best of three rounds in turn, each in a process of its own;
resident MiB is what the whole one's holds at the end. The stages are the real functions, timed where they stand in the
real loop: `scene` is places, zones, lines, visits and heat maps; `writing` is SQLite; `loop` is what is left.
"""

import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from time import process_time

import av
import numpy as np
import psutil

from edge.assembly import eyes
from edge.camera.file import FileSource
from edge.camera.frames import Frame
from edge.detector.detections import Detector
from edge.detector.letterbox import Letterbox
from edge.detector.onnx import OnnxDetector
from edge.detector.session import Network
from edge.exchange.writer import Writer
from edge.motion_tracker import MotionTracker
from edge.replay import Outputs, Replay, replay
from edge.scene import Scene
from edge.settings import BoxSettings, CameraSettings, DetectorSettings
from edge.stitching import Stitcher
from tests.support.assets import assets_folder
from tests.support.child import measured
from tests.support.stopwatch import Stopwatch

__all__ = ["STAGES", "floor", "main", "staged", "whole"]

ROUNDS = 3
CAMERA = {
    "id": "square",
    "image_size": (480, 360),
    "line": [{"id": "door", "a": (60, 120), "b": (60, 340)}],
    "zone": [
        {"id": "middle", "polygon": [(150, 120), (330, 120), (330, 240), (150, 240)]},
        {"id": "right", "polygon": [(330, 100), (470, 100), (470, 350), (330, 350)]},
        {
            "id": "queue",
            "kind": "queue",
            "polygon": [(150, 240), (330, 240), (330, 350), (150, 350)],
            "served_in": "right",
        },
    ],
}
STAGES: dict[str, tuple[type, str]] = {
    "decode": (FileSource, "frames"),
    "letterbox": (Letterbox, "fill"),
    "inference": (Network, "run"),
    "boxes, suppression": (OnnxDetector, "detect"),
    "tracking": (MotionTracker, "update"),
    "stitching": (Stitcher, "update"),
    "scene": (Scene, "observe"),
    "writing": (Writer, "commit"),
}
"""What is timed, in the order in which a frame meets it; the time of one within another counts only once."""


def main() -> None:
    """Measure, and end with one line of figures; with an argument, only the part that it names, in this process."""
    assets = assets_folder()
    if sys.argv[1:]:
        settings = DetectorSettings(model=str(assets / "models/yolox_nano.onnx"), threads=1)
        name, film, found = sys.argv[1], assets / "videos/pets_s2l1.mp4", eyes(settings, environment={})
        camera = CameraSettings.model_validate(CAMERA | {"file": film})
        detector = found.detector if name == "floor" else found.watching([camera])
        print(json.dumps(PARTS[name](film, detector)))
        return
    rounds = [{part: measured("tests.benchmarks.stages", part) for part in PARTS} for _ in range(ROUNDS)]
    best = {part: min((each[part] for each in rounds), key=itemgetter("ms_per_frame")) for part in PARTS}
    seeing, counting = best["floor"]["ms_per_frame"], best["whole"]["ms_per_frame"]
    figures = {
        "overhead_ratio": round(counting / seeing, 3),
        "seeing_ms_per_frame": round(seeing, 2),
        "counting_ms_per_frame": round(counting, 2),
        "resident_mib": round(best["whole"]["resident_mib"]),
        "stages": shares(best["staged"]),
    }
    print(json.dumps(figures))


def floor(film: Path, detector: Detector) -> dict[str, float]:
    """Decoding the film and detecting in it, and nothing else."""
    began, frames = process_time(), 0
    with av.open(str(film)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for picture in container.decode(video=0):
            image = np.asarray(picture.to_ndarray(format="bgr24", threads=1), np.uint8)
            detector.detect(Frame(at=frames / 10, image=image, camera="square", index=frames))
            frames += 1
    return {"ms_per_frame": 1000 * (process_time() - began) / frames}


def whole(film: Path, detector: Detector) -> dict[str, float]:
    """Everything, up to durable items."""
    camera = CameraSettings.model_validate(CAMERA | {"file": film})
    box = BoxSettings(id="box", venue="venue")
    plan = Replay(video=film, camera=camera, box=box, seed=0, start=datetime(2026, 1, 1, tzinfo=UTC))
    result = replay(plan, detector, Outputs(), progress=lambda _: None)
    assert result.analysed == result.frames, "the floor analyses each frame"
    resident_mib = psutil.Process().memory_info().rss / 2**20
    return {"ms_per_frame": result.cpu_ms_per_frame, "frames": result.analysed, "resident_mib": resident_mib}


def staged(film: Path, detector: Detector) -> dict[str, float]:
    """Everything again, with a stopwatch at each stage."""
    watch = Stopwatch()
    with ExitStack() as stack:
        for name, (owner, function) in STAGES.items():
            stack.enter_context(watch.timing(name, owner, function))
        total = whole(film, detector)
    spent = {name: 1000 * watch.seconds[name] / total["frames"] for name in STAGES}
    return {**spent, "loop": total["ms_per_frame"] - sum(spent.values()), "ms_per_frame": total["ms_per_frame"]}


def shares(spent: dict[str, float]) -> dict[str, dict[str, float]]:
    """Each stage beside the whole that it is part of."""
    total = spent["ms_per_frame"]
    return {
        name: {"ms_per_frame": round(milliseconds, 3), "share": round(milliseconds / total, 4)}
        for name, milliseconds in spent.items()
        if name != "ms_per_frame"
    }


PARTS = {"floor": floor, "whole": whole, "staged": staged}
"""What is measured, each in processes of its own."""


if __name__ == "__main__":
    main()
