"""Who crosses which line. Knows segments and positions; refuses to know pixels, zones and visits.

    left of a → b is *in*            A person has a side only when clear of the line: farther from it than the
                                     band, or past its ends. Standing on it changes nothing. When the clear side
         in                          changes, the straight way from the last clear position to this one must
    a ━━━━━━━━━━━▶ b                 cut the segment between a and b; a way around an end changes the side and
         out                         counts nothing. So each crossing counts once and a U-turn not at all.

Left is as seen on the plan or in the picture by somebody who stands on a and looks towards b.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigurationError

__all__ = ["Crossing", "Direction", "Line", "LineWatch"]

Points = npt.NDArray[np.float64]
Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A segment on the floor (metres) or in the reference picture (pixels).

    band: half its thickness in that unit; None is 0.18 of a body height, which is 0.3 m.
    """

    id: str
    a: tuple[float, float]
    b: tuple[float, float]
    band: float | None = None

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise ConfigurationError(f"line {self.id}: its ends are the same point {self.a}")

    @property
    def length(self) -> float:
        """From a to b."""
        return math.dist(self.a, self.b)

    def coordinates(self, place: tuple[float, float]) -> tuple[float, float]:
        """How far a place is to the left of a → b where y is up, and how far along from a."""
        length = self.length
        ahead_x, ahead_y = (self.b[0] - self.a[0]) / length, (self.b[1] - self.a[1]) / length
        x, y = place[0] - self.a[0], place[1] - self.a[1]
        return ahead_x * y - ahead_y * x, ahead_x * x + ahead_y * y


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A person has crossed a line."""

    person: int
    line: str
    direction: Direction
    at: float


class LineWatch:
    """Follows people across the lines of one camera."""

    def __init__(self, lines: Sequence[Line], *, y_up: bool, forget_seconds: float = 60.0) -> None:
        """`y_up` is true on a floor plan and false in a picture; it says which side is the left."""
        self.lines = tuple(lines)
        self._handedness = 1.0 if y_up else -1.0
        self._forget_seconds = forget_seconds
        self._sides: dict[tuple[int, int], _Side] = {}
        self._seen_at: dict[int, float] = {}

    def update(
        self, ids: npt.NDArray[np.int64], places: Points, body: npt.NDArray[np.float64], at: float
    ) -> tuple[Crossing, ...]:
        """Crossings completed in this frame.

        Places (n, 2) and heights of bodies (n,) are in the lines' unit; a place that is nan is passed over.
        """
        crossings: list[Crossing] = []
        for row, person in enumerate(ids.tolist()):
            self._seen_at[person] = at
            if not np.isfinite(places[row]).all():
                continue
            place = (float(places[row, 0]), float(places[row, 1]))
            for index in range(len(self.lines)):
                direction = self._step(person, index, place, float(body[row]))
                if direction:
                    crossings.append(Crossing(person=person, line=self.lines[index].id, direction=direction, at=at))
        self._forget(at)
        return tuple(crossings)

    def meet(self, ids: npt.NDArray[np.int64], places: Points, body: npt.NDArray[np.float64], at: float) -> None:
        """Note on which side new people were first seen, which is before they are known to be people."""
        new = np.array([person not in self._seen_at for person in ids.tolist()], np.bool_)
        self.update(ids[new], places[new], body[new], at)

    def _step(self, person: int, index: int, place: tuple[float, float], body: float) -> Direction | None:
        line = self.lines[index]
        across, along = line.coordinates(place)
        band = _BAND_BODIES * body if line.band is None else line.band
        if abs(across) <= band and -band <= along <= line.length + band:
            return None
        now = _Side(across=across * self._handedness, along=along)
        before = self._sides.get((person, index))
        self._sides[person, index] = now
        if before is None or before.left == now.left or not 0 <= _along_at_cut(before, now) <= line.length:
            return None
        return "in" if now.left else "out"

    def _forget(self, at: float) -> None:
        gone = {person for person, seen in self._seen_at.items() if at - seen > self._forget_seconds}
        if gone:
            self._seen_at = {person: seen for person, seen in self._seen_at.items() if person not in gone}
            self._sides = {key: side for key, side in self._sides.items() if key[0] not in gone}


_BAND_BODIES = 0.18


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The last clear position in a line's own coordinates: across (left is positive) and along."""

    across: float
    along: float

    @property
    def left(self) -> bool:
        return self.across >= 0


def _along_at_cut(before: _Side, now: _Side) -> float:
    share = before.across / (before.across - now.across)
    return before.along + share * (now.along - before.along)
