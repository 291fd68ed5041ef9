"""One connection after another to a live camera, as frames on the box's clock.

Knows how pictures, presentation times and the analysis rate come together; RTSP and USB cameras
differ only in what they open.
"""

from collections.abc import Callable, Iterator

from av.container import InputContainer

from edge.camera.frames import Frame
from edge.camera.pictures import Opening, Rotation, decoded, image_of, opened, shown_seconds
from edge.camera.presentation import PresentationClock
from edge.camera.sampling import Sampler
from edge.camera.trouble import Trouble

__all__ = ["LiveStream"]


class LiveStream:
    """Frames of one camera; numbers and times go on from one connection to the next."""

    def __init__(
        self, opening: Opening, *, clock: Callable[[], float], sampler: Sampler, rotation: Rotation = 0
    ) -> None:
        self._opening = opening
        self._clock = clock
        self._sampler = sampler
        self._rotation = rotation
        self._presentation = PresentationClock()
        self._count = 0

    def frames(self) -> Iterator[Frame]:
        """Frames due, from one connection; always ends in SourceTrouble."""
        self._presentation.restart()
        with opened(self._opening) as container:
            yield from self._due_frames(container)
        raise self._opening.trouble(Trouble.ENDED, "the camera closed the connection")

    def _due_frames(self, container: InputContainer) -> Iterator[Frame]:
        for picture in decoded(container, self._opening):
            arrived = self._clock()
            at = self._presentation.at(shown_seconds(picture), arrived=arrived)
            index = self._count
            self._count += 1
            if self._sampler.due(at):
                image = image_of(picture, rotation=self._rotation)
                yield Frame(at=at, image=image, camera=self._opening.source, index=index)
