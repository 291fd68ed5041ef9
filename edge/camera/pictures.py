"""Decoded pictures out of anything FFmpeg opens: the part that RTSP, USB and file sources share.

Knows PyAV: opening with time-outs, decoding past damage, closing whatever happens, and translating
FFmpeg's errors into `SourceTrouble`. It measures silence as PyAV does, and knows no other time.
Refuses to know about presentation, rates and reconnecting.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

import av
import av.error
import cv2
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge.address import Address
from edge.camera.frames import Image
from edge.camera.trouble import SourceTrouble, Trouble, cause_of

__all__ = [
    "Opening",
    "Rotation",
    "Sighting",
    "Witness",
    "decoded",
    "image_of",
    "opened",
    "shown_seconds",
    "unwitnessed",
]

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which a picture is turned to stand upright."""

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

FRUITLESS_PACKETS_ALLOWED = 750
"""Packets in a row without one picture, after which a source is not video. A camera may send a key
frame only each 20 s, and until the first one there is nothing to decode: 30 s at 25 frames/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What came out of one packet: a picture shown at so many stream seconds (None: unknown), or nothing whole."""

    codec: str
    shown: float | None
    is_whole: bool


Witness = Callable[[Sighting], None]
"""Told of everything that a source decodes, also of what the analysis rate passes over."""


def unwitnessed(_: Sighting) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is opened, and how long it may keep silent; `source` is the camera's or the file's name."""

    source: str
    address: Address
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    open_seconds: float | None = None
    read_seconds: float | None = None
    witness: Witness = unwitnessed

    def trouble(self, reason: Trouble, detail: str, *, advice: str = "") -> SourceTrouble:
        """An error that names this source."""
        return SourceTrouble(source=self.source, address=self.address, reason=reason, detail=detail, advice=advice)

    @property
    def patience_seconds(self) -> float | None:
        """How long nothing may come while it is opened: a time-out for reading holds for the answers too."""
        limits = [limit for limit in (self.open_seconds, self.read_seconds) if limit is not None]
        return min(limits, default=None)

    def silence(self, limit_seconds: float | None) -> SourceTrouble:
        """The error of a source that said nothing for as long as it may."""
        return self.trouble(Trouble.STALLED, f"nothing came for {limit_seconds or 0:g} s")


@contextmanager
def opened(opening: Opening) -> Iterator[InputContainer]:
    """The open container, closed at the end; FFmpeg's errors while opening become SourceTrouble."""
    began = time.monotonic()
    try:
        container = av.open(
            opening.address.text,
            format=opening.format,
            options=dict(opening.options),
            timeout=(opening.open_seconds, opening.read_seconds),
        )
    except av.error.FFmpegError as error:
        # FFmpeg calls an RTSP answer that never came "invalid data"; the time that passed tells.
        if _is_over(opening.patience_seconds, since=began):
            raise opening.silence(opening.patience_seconds) from None
        cause = cause_of(error)
        raise opening.trouble(Trouble.UNREACHABLE if cause is Trouble.ENDED else cause, _words(error)) from None
    try:
        yield container
    finally:
        container.close()


def decoded(container: InputContainer, opening: Opening) -> Iterator[VideoFrame]:
    """Every picture until the source ends; damaged packets are passed over."""
    fruitless = 0
    try:
        stream = _video_stream(container, opening)
        codec = stream.codec_context.name
        for packet in _packets(container, stream, opening):
            pictures, damaged = _whole_pictures(packet)
            fruitless = 0 if pictures else fruitless + 1
            if fruitless > FRUITLESS_PACKETS_ALLOWED:
                raise opening.trouble(Trouble.GARBAGE, f"{fruitless} packets in a row gave no picture")
            for _ in range(damaged):
                opening.witness(Sighting(codec=codec, shown=None, is_whole=False))
            for picture in pictures:
                opening.witness(Sighting(codec=codec, shown=shown_seconds(picture), is_whole=True))
                yield picture
    except av.error.FFmpegError as error:
        cause = cause_of(error)
        if cause is Trouble.STALLED:
            raise opening.silence(opening.read_seconds) from None
        raise opening.trouble(cause, _words(error)) from None


def image_of(picture: VideoFrame, *, rotation: Rotation = 0) -> Image:
    """The picture as blue-green-red pixels, upright."""
    # One thread converts a picture in two thirds of the CPU time that several need.
    image = cast("Image", picture.to_ndarray(format="bgr24", threads=1))
    return cast("Image", cv2.rotate(image, TURNS[rotation])) if rotation else image


def shown_seconds(picture: VideoFrame) -> float | None:
    """The picture's presentation time in stream seconds, where the stream says it."""
    if picture.pts is None or picture.time_base is None:
        return None
    return float(picture.pts * picture.time_base)


def _video_stream(container: InputContainer, opening: Opening) -> VideoStream:
    streams = container.streams.video
    if not streams:
        raise opening.trouble(Trouble.UNSUPPORTED, "it has no video")
    if cast("object", streams[0].codec_context) is None:
        raise opening.trouble(Trouble.UNSUPPORTED, "its video is of a kind that this FFmpeg cannot decode")
    # One thread: several delay pictures by as many, and cameras share the cores among themselves.
    streams[0].codec_context.thread_count = 1
    return streams[0]


def _packets(container: InputContainer, stream: VideoStream, opening: Opening) -> "Iterator[Packet[VideoStream]]":
    """Packets as they come. A time-out first flushes what FFmpeg holds, and only a second one would be an error."""
    asked = time.monotonic()
    for packet in container.demux(stream):
        is_last = _is_over(opening.read_seconds, since=asked)
        yield packet
        if is_last:
            raise opening.silence(opening.read_seconds)
        asked = time.monotonic()


def _whole_pictures(packet: "Packet[VideoStream]") -> tuple[list[VideoFrame], int]:
    """The packet's pictures, and how many were damaged."""
    try:
        pictures = packet.decode()
    except av.error.InvalidDataError:
        return [], 1
    whole = [picture for picture in pictures if not picture.is_corrupt]
    return whole, len(pictures) - len(whole)


def _is_over(limit_seconds: float | None, *, since: float) -> bool:
    return limit_seconds is not None and time.monotonic() - since >= limit_seconds


def _words(error: av.error.FFmpegError) -> str:
    return error.strerror or type(error).__name__
