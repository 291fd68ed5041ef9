"""Video files as sources: for replays, tests and demonstrations.

Knows presentation times inside one file; the first frame shows `start_at`. No clock is read here, so
the same file gives the same frames.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from edge.address import Address
from edge.camera.frames import Frame
from edge.camera.pace import Pace
from edge.camera.pictures import Opening, Rotation, Witness, decoded, image_of, opened, shown_seconds, unwitnessed
from edge.camera.presentation import MINIMUM_STEP_SECONDS
from edge.camera.sampling import Sampler
from edge.camera.trouble import SourceTrouble, Trouble

__all__ = ["FileSource", "Footage", "footage_of"]

logger = logging.getLogger(__name__)

ADVICE = {
    Trouble.UNREACHABLE: "check the path",
    Trouble.REFUSED: "check who may read the file",
    Trouble.GARBAGE: "give a whole video file that ffprobe can read; a copy that broke off must be copied again",
    Trouble.UNSUPPORTED: "give a file with a video stream, for instance H.264 in MP4",
}
ELSE_ADVICE = "check the file, and the disk that it lies on"
TRUNCATED_SHARE = 0.9
"""A file that ends before this part of the length it declares has lost its end."""


class FileSource:
    """Frames of the video at `path`; `loop` shows it again and again, with times and numbers going on."""

    def __init__(
        self,
        *,
        camera: str,
        path: Path,
        pace: Pace,
        sampler: Sampler,
        start_at: float = 0.0,
        rotation: Rotation = 0,
        loop: bool = False,
        witness: Witness = unwitnessed,
    ) -> None:
        self._camera = camera
        self._opening = Opening(source=camera, address=Address(text=str(path)), witness=witness)
        self._pace = pace
        self._sampler = sampler
        self._rotation = rotation
        self._loop = loop
        self._next_at = start_at
        self._count = 0

    def frames(self) -> Iterator[Frame]:
        """Frames due, in order; a file cut short gives what can be decoded. Raises SourceTrouble."""
        with _advised(self._opening):
            yield from self._showing()
            while self._loop:
                yield from self._showing()

    def _showing(self) -> Iterator[Frame]:
        """The film once, from the moment after the last frame shown."""
        first_number, first_at = self._count, self._next_at
        with opened(self._opening) as container:
            interval = _usual_interval(container)
            for at, picture in _timed(decoded(container, self._opening), start_at=first_at, interval=interval):
                index = self._count
                self._count += 1
                self._next_at = at + interval
                if self._sampler.due(at):
                    self._pace.keep(at)
                    image = image_of(picture, rotation=self._rotation)
                    yield Frame(at=at, image=image, camera=self._camera, index=index)
            declared = container.duration
        if self._count == first_number:
            raise self._opening.trouble(Trouble.GARBAGE, "it holds no picture that can be decoded")
        if declared and self._next_at - first_at < TRUNCATED_SHARE * declared / av.time_base:
            self._warn(self._next_at - first_at, declared / av.time_base)

    def _warn(self, shown_seconds: float, declared_seconds: float) -> None:
        logger.warning(
            "%s ends after %.1f s of the %.1f s that it declares; it was probably cut short",
            self._opening.address.place,
            shown_seconds,
            declared_seconds,
            extra={"action": "read-video", "camera": self._camera},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What a file says of itself; None where it does not say. `rate` is frames a second."""

    frames: int | None = None
    seconds: float | None = None
    rate: float | None = None


def footage_of(path: Path) -> Footage:
    """What a file says of itself, which is nothing where it has no video. Raises SourceError."""
    opening = Opening(source=path.name, address=Address(text=str(path)))
    with _advised(opening), opened(opening) as container:
        if not container.streams.video:
            return Footage()
        stream = container.streams.video[0]
        return Footage(
            frames=stream.frames or None,
            seconds=container.duration / av.time_base if container.duration else None,
            rate=float(stream.average_rate) if stream.average_rate else None,
        )


@contextmanager
def _advised(opening: Opening) -> Iterator[None]:
    """Trouble with a camera, said as of a file."""
    try:
        yield
    except SourceTrouble as trouble:
        advice = ADVICE.get(trouble.reason, ELSE_ADVICE)
        raise opening.trouble(trouble.reason, trouble.detail, advice=advice) from None


def _timed(pictures: Iterator[VideoFrame], *, start_at: float, interval: float) -> Iterator[tuple[float, VideoFrame]]:
    """Each picture with its moment; always later than the one before, and guessed where the file says none."""
    first: float | None = None
    at = start_at - interval
    for picture in pictures:
        shown = shown_seconds(picture)
        if shown is None:
            at += interval
        else:
            first = shown - (at + interval - start_at) if first is None else first
            at = max(start_at + shown - first, at + MINIMUM_STEP_SECONDS)
        yield at, picture


def _usual_interval(container: InputContainer) -> float:
    """Seconds between frames as the file declares them; 25 frames/s where it does not."""
    rate = container.streams.video[0].average_rate if container.streams.video else None
    return float(1 / rate) if rate else 0.04
