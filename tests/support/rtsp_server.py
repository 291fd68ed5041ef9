"""Real RTSP cameras for tests, as processes and sockets that can be cut, frozen and restarted.

`RtspServer` runs GStreamer's RTSP server over a film, which `prepared_film` makes of video files and
`encoded_film` of drawn pictures. `NonsenseCamera` speaks RTSP and plays rubbish; `BabblingServer` is no
camera at all and says what it is told to, or nothing.
"""

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from tests.support.debian import gstreamer_python
from tests.support.ports import free_port

__all__ = ["BabblingServer", "NonsenseCamera", "RtspServer", "encoded_film", "prepared_film"]

Picture = npt.NDArray[np.uint8]
Unit = tuple[float, bytes, bool]

SCRIPT = Path(__file__).with_name("gst_rtsp_server.py")
START_SECONDS = 20.0
TIME_BASE = Fraction(1, 90_000)
ENCODING = {"crf": "16", "preset": "veryfast", "bf": "0", "sc_threshold": "0", "threads": "1"}
"""As cameras encode: no picture refers to a later one, key frames come at their interval only."""


DESCRIPTION = b"\r\n".join(
    [
        b"v=0",
        b"o=- 0 0 IN IP4 127.0.0.1",
        b"s=camera",
        b"t=0 0",
        b"m=video 0 RTP/AVP 96",
        b"a=rtpmap:96 H264/90000",
        b"a=fmtp:96 packetization-mode=1",
        b"a=control:track1",
        b"",
    ]
)


class RtspServer:
    """One camera at `url`: a film shown in real time by GStreamer's RTSP server.

    `wall_clock_origin` is the Unix time at which the film began; None lets it begin when the first
    client asks. It stays the same over `kill` and `restart`, so the film resumes where the wall clock is.
    `within` is what to write before the command, for the server to listen at an `address` of another network.
    """

    def __init__(
        self,
        film: Path,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        within: Sequence[str] = (),
        user: str | None = None,
        password: str | None = None,
        wall_clock_origin: float | None = None,
        loop: bool = False,
    ) -> None:
        self.address = address
        self.port = port or free_port()
        self.wall_clock_origin = wall_clock_origin
        self._film = film
        self._within = within
        self._user = user
        self._password = password or ""
        self._loop = loop
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where the camera is, with user and password."""
        credentials = f"{self._user}:{self._password}@" if self._user else ""
        return f"rtsp://{credentials}{self.address}:{self.port}/camera"

    @property
    def pid(self) -> int:
        """The number of the server's process."""
        if self._process is None:
            raise RuntimeError("the RTSP server is not running")
        return self._process.pid

    def start(self) -> None:
        """Switch the camera on, and wait until it listens. Skips the test where GStreamer is not installed."""
        python = gstreamer_python()
        if python is None:
            pytest.skip("needs Debian's GStreamer RTSP server: see debian-packages.txt")
        self._ready.clear()
        command: list[str | Path] = [*self._within, python, SCRIPT, *self._arguments()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._process = process
        threading.Thread(target=self._follow, args=(process,), daemon=True).start()
        if not self._ready.wait(START_SECONDS):
            self.kill()
            raise RuntimeError(f"the RTSP server did not listen on port {self.port} within {START_SECONDS:.0f} s")

    def kill(self) -> None:
        """Cut the camera's power: SIGKILL, no farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Cut the power, and switch the camera on again on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop sending without closing a connection, as a hung camera does."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen camera go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _arguments(self) -> list[str]:
        given = [str(self._film), "--address", self.address, "--port", str(self.port)]
        if self._user:
            given += ["--user", self._user, "--password", self._password]
        if self.wall_clock_origin is not None:
            given += ["--wall-clock-origin", repr(self.wall_clock_origin)]
        return [*given, "--loop"] if self._loop else given

    def _follow(self, process: subprocess.Popen[str]) -> None:
        """Read what one process says until it ends."""
        if process.stdout is None:
            return
        with process.stdout as lines:
            for line in lines:
                word, _, value = line.partition(" ")
                if word == "ready":
                    self._ready.set()
                elif word == "playing":
                    self.wall_clock_origin = float(value)


class BabblingServer:
    """A TCP server that says `words` to whoever connects, then keeps the line open and silent."""

    def __init__(self, words: bytes = b"") -> None:
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    @property
    def url(self) -> str:
        """Where it listens, as if it were a camera."""
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            with suppress(OSError):  # it may have gone already
                connection.sendall(self._words)


class NonsenseCamera:
    """A camera that answers every request as it should and then plays `payload` as H.264, or nothing at all."""

    def __init__(self, payload: bytes = b"") -> None:
        self._payload = payload
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"

    def _serve(self) -> None:
        """One client after another, each until it goes."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection, connection.makefile("rb") as stream:
                for request in iter(lambda: _request(stream), b""):
                    connection.sendall(_answer(request))
                    if request.startswith(b"PLAY") and self._payload:
                        self._babble(connection)

    def _babble(self, connection: socket.socket) -> None:
        for number in itertools.count():
            packet = struct.pack("!BBHII", 0x80, 0x80 | 96, number & 0xFFFF, number * 3000, 7) + self._payload
            connection.sendall(b"$\0" + struct.pack("!H", len(packet)) + packet)


def _request(stream: BinaryIO) -> bytes:
    """The next request's head; nothing when the client has gone."""
    return b"".join(itertools.takewhile(lambda line: line != b"\r\n", stream))


def _answer(request: bytes) -> bytes:
    number = next(line for line in request.splitlines() if line.lower().startswith(b"cseq"))
    head = [b"RTSP/1.0 200 OK", number, b"Session: 1", b"Public: DESCRIBE, SETUP, PLAY"]
    if request.startswith(b"SETUP"):
        head.append(b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    body = DESCRIPTION if request.startswith(b"DESCRIBE") else b""
    head += [b"Content-Type: application/sdp", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def prepared_film(videos: Sequence[Path], folder: Path, *, key_interval: int = 10) -> Path:
    """Re-encode videos, one after another, into a film with a key frame every `key_interval` frames."""
    units: list[Unit] = []
    start = 0.0
    for video in videos:
        with av.open(str(video)) as container:
            rate = container.streams.video[0].average_rate or Fraction(10)
            pictures = (cast("Picture", frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0))
            segment = list(_encoded(pictures, rate=rate, key_interval=key_interval))
        units += [(start + seconds, data, is_key) for seconds, data, is_key in segment]
        start += len(segment) / float(rate)
    return _written(units, duration=start, folder=folder)


def encoded_film(
    segments: Sequence[Sequence[Picture]], folder: Path, *, rate: int = 10, key_interval: int = 10
) -> Path:
    """Encode drawn pictures into a film; each segment may have a size of its own."""
    units: list[Unit] = []
    for segment in segments:
        start = len(units) / rate
        encoded = _encoded(iter(segment), rate=Fraction(rate), key_interval=key_interval)
        units += [(start + seconds, data, is_key) for seconds, data, is_key in encoded]
    return _written(units, duration=len(units) / rate, folder=folder)


def _encoded(pictures: Iterator[Picture], *, rate: Fraction, key_interval: int) -> Iterator[Unit]:
    encoder: VideoCodecContext | None = None
    for number, picture in enumerate(pictures):
        encoder = encoder or _encoder(picture, rate=rate, key_interval=key_interval)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = round(number * TIME_BASE.denominator / rate)
        frame.time_base = TIME_BASE
        yield from map(_unit, encoder.encode(frame))
    if encoder is not None:
        yield from map(_unit, encoder.encode(None))


def _encoder(picture: Picture, *, rate: Fraction, key_interval: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = rate
    encoder.time_base = TIME_BASE
    encoder.gop_size = key_interval
    encoder.options = ENCODING
    return encoder


def _unit(packet: "Packet[VideoStream]") -> Unit:
    return float((packet.pts or 0) * TIME_BASE), bytes(packet), packet.is_keyframe


def _written(units: Sequence[Unit], *, duration: float, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "units.h264").write_bytes(b"".join(data for _, data, _ in units))
    index = [(seconds, len(data), is_key) for seconds, data, is_key in units]
    (folder / "units.json").write_text(json.dumps({"duration": duration, "units": index}))
    return folder
