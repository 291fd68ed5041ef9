"""IP cameras by RTSP over TCP.

Knows which FFmpeg options make a network camera prompt and bounded in time, and tells a camera that
is not there from one that is silent. Refuses to reconnect: one call of `frames` is one connection.
"""

import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from edge.address import Address
from edge.camera.frames import Frame
from edge.camera.live import LiveStream
from edge.camera.pictures import Opening, Rotation, Witness, unwitnessed
from edge.camera.sampling import Sampler
from edge.camera.trouble import SourceTrouble, Trouble

__all__ = ["RtspSource"]

OPEN_SECONDS = 10.0
READ_SECONDS = 10.0
"""Longer than a low-rate sub-stream pauses between frames, shorter than a visit's gap is long remembered."""
PROBE_SECONDS = 1.0
RTSP_PORT = 554

OPTIONS = {
    # UDP loses packets silently, and damaged pictures look like people leaving.
    "rtsp_transport": "tcp",
    # Sound would keep a camera whose video hangs looking alive.
    "allowed_media_types": "video",
    # The description names the codec; probing longer only holds the first seconds back as a burst.
    "probesize": "32",
    "fpsprobesize": "0",
}


class RtspSource:
    """Frames of the camera at `url`, of which errors and logs say scheme, host and port alone."""

    def __init__(
        self,
        *,
        camera: str,
        url: str | Address,
        clock: Callable[[], float],
        sampler: Sampler,
        rotation: Rotation = 0,
        open_seconds: float = OPEN_SECONDS,
        read_seconds: float = READ_SECONDS,
        witness: Witness = unwitnessed,
    ) -> None:
        self._opening = Opening(
            source=camera,
            address=url if isinstance(url, Address) else Address(text=url),
            # PyAV's limits end a call that waits; FFmpeg's own also bounds the farewell on closing.
            options=OPTIONS | {"timeout": str(round(read_seconds * 1_000_000))},
            open_seconds=open_seconds,
            read_seconds=read_seconds,
            witness=witness,
        )
        self._stream = LiveStream(self._opening, clock=clock, sampler=sampler, rotation=rotation)

    def frames(self) -> Iterator[Frame]:
        """Frames due, from one connection; always ends in SourceTrouble."""
        played = False
        try:
            for frame in self._stream.frames():
                played = True
                yield frame
        except SourceTrouble as trouble:
            if not played and trouble.reason in {Trouble.STALLED, Trouble.UNREACHABLE}:
                self._probe()
            raise

    def _probe(self) -> None:
        """Say more exactly why nothing answers: no such name, no such host, or nobody listening."""
        try:
            parts = urlsplit(self._opening.address.text)
            address = parts.hostname or "", parts.port or RTSP_PORT
            socket.create_connection(address, timeout=PROBE_SECONDS).close()
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            raise self._opening.trouble(Trouble.UNREACHABLE, detail) from None
