"""USB cameras and capture cards, as Video4Linux devices.

Knows how a device is opened and what to check when it is not there; the rest is a live stream like
any other.
"""

from collections.abc import Callable, Iterator

from edge.address import Address
from edge.camera.frames import Frame
from edge.camera.live import LiveStream
from edge.camera.pictures import Opening, Rotation, Witness, unwitnessed
from edge.camera.sampling import Sampler
from edge.camera.trouble import SourceTrouble, Trouble

__all__ = ["UsbSource"]

ADVICE = {
    Trouble.UNREACHABLE: "check that it is plugged in and which /dev/video it is (v4l2-ctl --list-devices)",
    Trouble.REFUSED: "check that the user is in group video and that no other program uses it",
    Trouble.UNSUPPORTED: "check that it is a camera and supports this size and rate (v4l2-ctl --list-formats-ext)",
}


class UsbSource:
    """Frames of the camera at `device`, for instance /dev/video0; size and rate None leave the device's own."""

    def __init__(
        self,
        *,
        camera: str,
        device: str,
        clock: Callable[[], float],
        sampler: Sampler,
        rotation: Rotation = 0,
        size: tuple[int, int] | None = None,
        rate: int | None = None,
        witness: Witness = unwitnessed,
    ) -> None:
        options = {"video_size": f"{size[0]}x{size[1]}"} if size else {}
        if rate:
            options["framerate"] = str(rate)
        self._opening = Opening(
            source=camera, address=Address(text=device), format="v4l2", options=options, witness=witness
        )
        self._stream = LiveStream(self._opening, clock=clock, sampler=sampler, rotation=rotation)

    def frames(self) -> Iterator[Frame]:
        """Frames due, from one opening of the device; always ends in SourceTrouble."""
        try:
            yield from self._stream.frames()
        except SourceTrouble as trouble:
            raise self._opening.trouble(trouble.reason, trouble.detail, advice=ADVICE.get(trouble.reason, "")) from None
