"""A camera of the made-up shop: decodes and plays a film of it, and knows nothing else of the shop."""

from collections.abc import Iterator

import cv2
import numpy as np

from edge.camera.frames import Frame
from edge.camera.pace import Pace
from edge.camera.sampling import Sampler
from edge.synthetic.film import Film

__all__ = ["SyntheticSource"]


class SyntheticSource:
    """Plays a film once; its first moment is `start_at`."""

    def __init__(
        self, *, camera: str, film: Film, pace: Pace, sampler: Sampler | None = None, start_at: float = 0.0
    ) -> None:
        self._camera = camera
        self._film = film
        self._pace = pace
        self._sampler = sampler or Sampler(rate=None)
        self._start_at = start_at

    def frames(self) -> Iterator[Frame]:
        """Frames due, in order, then the end; those that a busy machine is too late for are not even drawn."""
        for index, moment, jpeg in self._film.pictures(self._is_wanted):
            at = self._start_at + moment
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            self._pace.keep(at)
            yield Frame(at=at, image=np.asarray(image, np.uint8), camera=self._camera, index=index)

    def _is_wanted(self, moment: float) -> bool:
        at = self._start_at + moment
        return not self._pace.is_late(at) and self._sampler.due(at)
