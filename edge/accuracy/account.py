"""What happened in a film, as it was counted or as it truly was. Knows moments; refuses to know who it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.lines import Direction

__all__ = ["Account", "Film", "Passage", "Stay", "Truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A visit: first and last seen, seconds of the film."""

    first: float
    last: float

    @property
    def dwell_seconds(self) -> float:
        """From the first to the last sighting."""
        return self.last - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Somebody crosses a line at this second of the film."""

    at: float
    line: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Visits and crossings; None where nobody says."""

    stays: tuple[Stay, ...] | None
    passages: tuple[Passage, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """When each frame was shown, seconds of the film, and the size of its pictures as analysed: width, height."""

    moments: Sequence[float]
    image_size: tuple[int, int]


class Truth(Protocol):
    """What truly happened in a film."""

    @property
    def tells_crossings(self) -> bool:
        """Whether crossings may be in it, as far as is known before the film is played."""
        ...

    def account(self, film: Film) -> Account:
        """The truth in seconds of this film. Raises ConfigurationError when it is another's."""
        ...
