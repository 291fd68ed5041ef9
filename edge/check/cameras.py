"""Whether each camera can be reached and sends what it should: all at once, and never longer than a limit."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence

from edge import clock
from edge.assembly import source_of
from edge.camera.trial import Observer, Trial, try_source
from edge.check.decoders import CODECS
from edge.check.findings import Finding, fail, ok, warn
from edge.settings import CameraSettings

__all__ = ["check_cameras", "judged", "look_at"]

_LOOK_SECONDS = 2.0
_AT_ONCE = 8
_GRACE_SECONDS = 10.0
"""Beyond a camera's own time-outs, for what they do not bound: a disk that hangs, video without one whole picture."""
_SLOW = 0.8
"""Less than this share of the rate that is to be analysed is too little."""
_HOLES = 0.05
_SHAPE = 0.02
"""Widths over heights further apart than this belong to different pictures."""


def check_cameras(cameras: Sequence[CameraSettings]) -> Iterator[Finding]:
    """One finding a camera, as they come in; what has not answered by the limit has failed."""
    trials: queue.SimpleQueue[tuple[CameraSettings, Trial | BaseException]] = queue.SimpleQueue()
    turns = threading.BoundedSemaphore(_AT_ONCE)

    def run(camera: CameraSettings) -> None:
        with turns:
            try:
                trials.put((camera, look_at(camera, seconds=_LOOK_SECONDS)))
            except BaseException as defect:  # noqa: BLE001  raised again where the trials are read
                trials.put((camera, defect))

    for camera in cameras:
        threading.Thread(target=run, args=(camera,), daemon=True).start()
    deadline = time.monotonic() + limit_seconds(cameras)
    waiting = {camera.id: camera for camera in cameras}
    while waiting:
        try:
            camera, trial = trials.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(trial, BaseException):
            raise trial
        del waiting[camera.id]
        yield judged(camera, trial)
    for name in waiting:
        yield fail(f"camera {name}", "it gave no picture and no error in time", "restart the camera; check the network")


def limit_seconds(cameras: Sequence[CameraSettings]) -> float:
    """How long all of them together may take."""
    rounds = -(-len(cameras) // _AT_ONCE)
    patience = max((camera.open_seconds + camera.read_seconds for camera in cameras), default=0.0)
    return rounds * (patience + _LOOK_SECONDS + _GRACE_SECONDS)


def look_at(camera: CameraSettings, *, seconds: float) -> Trial:
    """Look at a camera through the same source that vision would open."""
    observer = Observer(clock=clock.monotonic)
    return try_source(source_of(camera, witness=observer), observer, seconds=seconds)


def judged(camera: CameraSettings, trial: Trial) -> Finding:
    """What a short look says of a camera."""
    topic = f"camera {camera.id}"
    if trial.size is None:
        said, advice = _trouble(camera, trial)
        return fail(topic, said, advice)
    width, height = trial.size
    rate = trial.steadiness.rate
    pace = "one picture" if rate is None else f"{rate:.1f} pictures/s"
    said = f"{width}×{height}, {pace}, {CODECS.get(trial.codec, trial.codec or 'drawn here')}"
    said += f", the first after {trial.opening_seconds:.1f} s"
    faults = list(_faults(camera, trial, size=(width, height)))
    if faults:
        return warn(topic, f"{said}; {'; '.join(fault for fault, _ in faults)}", "; ".join(each for _, each in faults))
    return ok(topic, said)


def _faults(camera: CameraSettings, trial: Trial, *, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """What is not as it should be, each with its remedy."""
    rate = trial.steadiness.rate
    if trial.trouble is not None:
        yield _trouble(camera, trial)
    if rate is not None and rate < _SLOW * camera.rate:
        yield f"camera.rate asks for {camera.rate:g}", "raise the stream's rate in the camera, or lower camera.rate"
    lost = trial.damaged + trial.steadiness.missing
    if lost > _HOLES * (trial.pictures + lost):
        yield f"{lost} pictures missing or damaged", "check cable, switch and the camera's bit rate"
    drawn = camera.image_size
    if drawn is not None and abs(size[0] / size[1] - drawn[0] / drawn[1]) > _SHAPE:
        yield (
            f"image_size has other proportions, {drawn[0]}×{drawn[1]}",
            "draw zones, lines and masks anew on a picture of this stream, and set image_size to its size",
        )


def _trouble(camera: CameraSettings, trial: Trial) -> tuple[str, str]:
    """Why a camera gives no picture, and what to do."""
    if trial.trouble is None:
        return "it ended without one picture", f"check what {camera.file or 'its source'} holds"
    said, _, advice = str(trial.trouble).removeprefix(f"{camera.id}: ").rpartition("; ")
    return said, advice
