"""How many cameras this box carries: the real pipeline, as fast as it goes, on a film of the made-up shop.

Knows where the time of a frame goes, and the two limits of a box: frames are analysed one after another, and its cores
are shared by that and by decoding. Refuses to know cameras and networks: the film is drawn and encoded here first.
"""

import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import av
import psutil
from av.codec.codec import UnknownCodecError

from edge.assembly import Eyes
from edge.camera.file import FileSource
from edge.camera.fitness import Fitness
from edge.camera.frames import Frame
from edge.camera.pace import AsFastAsPossible
from edge.camera.sampling import Sampler
from edge.camera.synthetic import SyntheticSource
from edge.detector.providers import title_of
from edge.errors import EdgeError
from edge.scene import Scene
from edge.settings import CameraSettings
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import DOOR, QUEUE, ZONES
from protocol.wire import JsonObject

__all__ = ["Capacity", "Cost", "capacity_of", "in_words", "to_object"]

RATES = (10, 5, 2)
"""Frames a second, analysed of each camera."""
SENT = 25
"""Frames a second that a camera is taken to send, all of which are decoded."""
RESERVE = 0.2
"""The share of the box that is kept for delivery, the system and moments with more people."""

_BENCH = "bench"
_SIZE = (1280, 720)
_LENS = lens_of("overview", _SIZE)
_FILM_SECONDS, _FILM_RATE, _PEOPLE_PER_MINUTE = 6.0, 10, 120.0
_ENCODER: Final = "libx264"
_ENCODING = {"preset": "veryfast", "crf": "23", "bf": "0", "g": "20"}
"""As cameras encode: no picture refers to a later one; at 25 frames/s this would be some 4 Mbit/s."""
_WARMING_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one frame, in milliseconds: how long it takes, and the time of all processors together."""

    wall_ms: float
    processor_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What was measured. `processors` is how many of the `cores` that it may use were busy."""

    model: str
    provider: str
    frames: int
    detection: Cost
    counting: Cost
    decoding: Cost
    cores: int
    processors: float
    resident_mib: float
    memory_mib: float

    @property
    def frames_per_second(self) -> float:
        """Frames that the box can decode and analyse in all, without a reserve."""
        return min(1000 / self._loop_ms, 1000 * self.cores / (self._analysis_ms + self.decoding.processor_ms))

    def cameras(self, rate: float) -> int:
        """How many cameras it carries at so many analysed frames a second each, with the reserve."""
        by_loop = 1000 / (rate * self._loop_ms)
        sent = max(SENT, rate)
        by_cores = 1000 * self.cores / (rate * self._analysis_ms + sent * self.decoding.processor_ms)
        return math.floor((1 - RESERVE) * min(by_loop, by_cores))

    @property
    def _loop_ms(self) -> float:
        """How long the loop, which takes one frame after another, is busy with one."""
        return self.detection.wall_ms + self.counting.wall_ms

    @property
    def _analysis_ms(self) -> float:
        """What analysing a frame takes of all cores together."""
        return self.detection.processor_ms + self.counting.processor_ms


def capacity_of(eyes: Eyes, *, seconds: float) -> Capacity:
    """Measure for so long, after some seconds of drawing; raises EdgeError where no film can be made."""
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        frames = _filmed(Path(folder) / "shop.mp4").frames()
        scene = Scene([_camera()], box=_BENCH, image_sizes={_BENCH: _SIZE})
        for frame in islice(frames, _WARMING_FRAMES):
            scene.observe(eyes.detector.detect(frame), at=frame.at, image_size=_SIZE)
        return _measured(eyes, scene, frames, seconds=seconds)


def in_words(capacity: Capacity) -> Iterator[tuple[str, str]]:
    """What was measured, by its name."""
    picture = f"{_SIZE[0]}×{_SIZE[1]} in H.264"
    cameras = ", ".join(f"{capacity.cameras(rate)} at {rate}" for rate in RATES)
    yield "model", f"{capacity.model} on {title_of(capacity.provider)}"
    yield "detection", f"{capacity.detection.wall_ms:.1f} ms a frame"
    yield "counting", f"{capacity.counting.wall_ms:.1f} ms a frame"
    yield "decoding", f"{capacity.decoding.processor_ms:.1f} ms of one core a frame of {picture}"
    yield "cores", f"{capacity.processors:.1f} of {capacity.cores} were busy"
    yield "memory", f"{capacity.resident_mib:,.0f} MiB in this process, of {capacity.memory_mib:,.0f} MiB"
    yield "in all", f"{capacity.frames_per_second:.0f} frames/s decoded and analysed"
    yield "cameras", f"{cameras} frames/s analysed, if each sends {SENT} frames/s of {picture}"
    yield "reserve", f"{RESERVE:.0%} of the box, which these cameras leave free"


def to_object(capacity: Capacity) -> JsonObject:
    """The same for programs."""
    said: JsonObject = asdict(capacity)
    return said | {
        "frames_per_second": capacity.frames_per_second,
        "cameras": {str(rate): capacity.cameras(rate) for rate in RATES},
        "reserve": RESERVE,
        "sent_frames_per_second": SENT,
        "picture": list(_SIZE),
    }


def _measured(eyes: Eyes, scene: Scene, frames: Iterator[Frame], *, seconds: float) -> Capacity:
    decoding, detection, counting = _Meter(), _Meter(), _Meter()
    fitness, began, count = Fitness(), time.perf_counter(), 0
    while count == 0 or time.perf_counter() - began < seconds:
        with decoding:
            frame = next(frames)
        with detection:
            found = eyes.detector.detect(frame)
        with counting:
            fitness.look(frame.image, frame.at)
            scene.observe(found, at=frame.at, image_size=_SIZE)
        count += 1
    meters = (decoding, detection, counting)
    return Capacity(
        model=eyes.model,
        provider=eyes.provider,
        frames=count,
        detection=detection.of_each(count),
        counting=counting.of_each(count),
        decoding=decoding.of_each(count),
        cores=len(os.sched_getaffinity(0)),
        processors=sum(meter.processor for meter in meters) / sum(meter.wall for meter in meters),
        resident_mib=psutil.Process().memory_info().rss / 2**20,
        memory_mib=psutil.virtual_memory().total / 2**20,
    )


class _Meter:
    """Adds up the seconds inside its context: those that pass, and those of all processors together."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.processor -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.processor += time.process_time()

    def of_each(self, frames: int) -> Cost:
        """What one of so many frames took."""
        return Cost(wall_ms=1000 * self.wall / frames, processor_ms=1000 * self.processor / frames)


def _camera() -> CameraSettings:
    """A calibrated camera over the whole shop, with all that can be counted there."""
    image_points, floor_points = _LENS.calibration()
    return CameraSettings.model_validate(
        {
            "id": _BENCH,
            "image_size": _SIZE,
            "synthetic": {},
            "calibration": {"floor": "ground", "image_points": image_points, "floor_points": floor_points},
            "line": [{"id": DOOR.id, "a": DOOR.a, "b": DOOR.b}],
            "zone": [
                {"id": zone.id, "kind": "queue" if zone is QUEUE else "area", "polygon": zone.area.polygon}
                for zone in ZONES
            ],
        }
    )


def _filmed(path: Path) -> FileSource:
    """Some seconds of the shop in H.264, shown again and again as fast as they can be decoded."""
    film = Film(seed=1, lens=_LENS, rate=_FILM_RATE, seconds=_FILM_SECONDS, people_per_minute=_PEOPLE_PER_MINUTE)
    drawn = SyntheticSource(camera=_BENCH, film=film, pace=AsFastAsPossible())
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(_ENCODER, rate=_FILM_RATE, options=_ENCODING)
            stream.width, stream.height = _SIZE
            stream.pix_fmt = "yuv420p"
            for frame in drawn.frames():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
            container.mux(stream.encode(None))
    except (UnknownCodecError, OSError) as error:
        raise EdgeError(f"no film to measure with can be made: {error}") from error
    return FileSource(camera=_BENCH, path=path, pace=AsFastAsPossible(), sampler=Sampler(rate=None), loop=True)
