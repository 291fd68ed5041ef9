"""A camera of the made-up shop: plays what `edge.synthetic` draws, with the truth beside it.

Cameras with the same seed and different views look at the same people. The same seed gives the same bytes.
"""

from collections.abc import Iterator

from edge.camera.frames import Frame
from edge.camera.pace import Pace
from edge.synthetic.drawing import Painter
from edge.synthetic.lens import Lens
from edge.synthetic.life import Crowd, Person, seeded_visitors
from edge.synthetic.sight import Truth, seen_at, truth_of

__all__ = ["SyntheticSource"]


class SyntheticSource:
    """A film of `seconds` with `people_per_minute` arriving, and its exact truth."""

    def __init__(
        self,
        *,
        camera: str,
        seed: int,
        pace: Pace,
        lens: Lens,
        rate: float = 10.0,
        seconds: float = 60.0,
        people_per_minute: float = 12.0,
        start_at: float = 0.0,
    ) -> None:
        self.lens = lens
        self._camera = camera
        self._pace = pace
        self._start_at = start_at
        self._seed = seed
        self._rate = rate
        self._seconds = seconds
        self._people_per_minute = people_per_minute

    def people(self) -> Iterator[Person]:
        """Everyone who comes during the film."""
        return seeded_visitors(self._seed, per_minute=self._people_per_minute, until=self._seconds)

    def truth(self) -> Truth:
        """Who is in each frame, and the visits."""
        return truth_of(list(self._moments()), self._start_at, self.people(), self.lens)

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, then the end."""
        painter = Painter(self.lens, self._seed)
        crowd = Crowd(self.people())
        for index, moment in enumerate(self._moments()):
            image = painter.picture(seen_at(moment, crowd.at(moment), self.lens), moment, index)
            at = self._start_at + moment
            self._pace.keep(at)
            yield Frame(at=at, image=image, camera=self._camera, index=index)

    def _moments(self) -> Iterator[float]:
        return (number / self._rate for number in range(round(self._seconds * self._rate)))
