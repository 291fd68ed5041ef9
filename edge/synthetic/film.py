"""A film of the made-up shop as a network camera would send it, one JPEG after the other; the truth stays beside it.

The same seed gives the same bytes. Films with the same seed and different lenses show the same people.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2

from edge.synthetic.drawing import Painter
from edge.synthetic.lens import Lens
from edge.synthetic.life import Crowd, Person, seeded_visitors
from edge.synthetic.sight import Truth, seen_at, truth_of

__all__ = ["Film"]

_JPEG_QUALITY = 90
"""Of 100, as OpenCV counts; colours are stored at half the resolution, as cameras do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """`seconds` of shop life at `rate` pictures a second, with `people_per_minute` arriving."""

    seed: int
    lens: Lens
    rate: float = 10.0
    seconds: float = 60.0
    people_per_minute: float = 12.0

    def pictures(self, is_wanted: Callable[[float], bool] = lambda _: True) -> Iterator[tuple[int, float, bytes]]:
        """Of each picture that is wanted at its moment: its number, its moment in seconds of the film, and its JPEG."""
        painter, crowd = Painter(self.lens, self.seed), Crowd(self._people())
        for index, moment in filter(lambda one: is_wanted(one[1]), enumerate(self._moments())):
            drawn = painter.picture(seen_at(moment, crowd.at(moment), self.lens), moment, index)
            _, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            yield index, moment, jpeg.tobytes()

    def truth(self, *, start_at: float = 0.0) -> Truth:
        """Who is in each picture, and the visits; the film's first moment is `start_at`."""
        return truth_of(list(self._moments()), start_at, self._people(), self.lens)

    def _people(self) -> Iterator[Person]:
        return seeded_visitors(self.seed, per_minute=self.people_per_minute, until=self.seconds)

    def _moments(self) -> Iterator[float]:
        return (number / self.rate for number in range(round(self.seconds * self.rate)))
