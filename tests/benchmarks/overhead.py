"""What counting costs on top of seeing: the whole pipeline beside decoding and detecting alone, on the same film.

Processor time an analysed frame on `pets_s2l1` with yolox_nano, best of three rounds in turn, one thread for the
network in both; and the resident memory at the end. Run it as `python -m tests.benchmarks.overhead`.
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import psutil

from edge.assembly import eyes
from edge.camera.frames import Frame
from edge.detector.detections import Detector
from edge.replay import Outputs, Replay, replay
from edge.settings import BoxSettings, CameraSettings, DetectorSettings

__all__ = ["main"]

ROUNDS = 3


def seeing(video: Path, detector: Detector) -> float:
    """Milliseconds of processor time a frame to decode it and find its people."""
    began, frames = time.process_time(), 0
    with av.open(str(video)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            image = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
            detector.detect(Frame(at=index / 10, image=image, camera="square", index=index))
            frames += 1
    return 1000 * (time.process_time() - began) / frames


def counting(video: Path, detector: Detector) -> float:
    """Milliseconds of processor time an analysed frame for everything, up to durable items."""
    plan = Replay(
        video=video,
        camera=CameraSettings(id="square", file=video),
        box=BoxSettings(id="box", venue="venue"),
        seed=0,
        start=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replay(plan, detector, Outputs(), progress=lambda _: None).cpu_ms_per_frame


def main() -> None:
    """Measure, and print one line of JSON."""
    assets = Path(os.environ["FOOTFALL_ASSETS"])
    video = assets / "videos" / "pets_s2l1.mp4"
    settings = DetectorSettings(model=str(assets / "models" / "yolox_nano.onnx"), threads=1)
    detector = eyes(settings, environment={}).detector
    rounds = [(seeing(video, detector), counting(video, detector)) for _ in range(ROUNDS)]
    floor, whole = (min(column) for column in zip(*rounds, strict=True))
    figures = {
        "seeing_ms_per_frame": round(floor, 2),
        "counting_ms_per_frame": round(whole, 2),
        "overhead_ratio": round(whole / floor, 3),
        "resident_mib": round(psutil.Process().memory_info().rss / 2**20),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
