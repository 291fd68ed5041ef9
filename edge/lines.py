"""Who crosses which line. Knows segments and positions; refuses to know pixels, zones and visits.

    left of a → b is *in*            A person has a side only when clear of the line: farther from it than the
                                     band. Standing on it or walking along it changes nothing. When the clear
         in                          side changes, the straight way from the last clear position to this one must
    a ━━━━━━━━━━━▶ b                 cut the segment between a and b; a way around an end changes the side and
         out                         counts nothing. A new side is believed once it has been held for a moment,
                                     because a box whose legs are cut off for some frames jumps over the line.

So each crossing counts once and a U-turn not at all. Left is as seen on the plan or in the picture by somebody who
stands on a and looks towards b.
"""

import math
from collections.abc import Collection, Sequence
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

    def half_width(self, body: float) -> float:
        """Its band, or what a body of this height makes of it."""
        return _BAND_BODIES * body if self.band is None else self.band

    def coordinates(self, place: tuple[float, float]) -> tuple[float, float]:
        """How far a place is to the left of a → b where y is up, and how far along from a."""
        length = self.length
        ahead_x, ahead_y = (self.b[0] - self.a[0]) / length, (self.b[1] - self.a[1]) / length
        x, y = place[0] - self.a[0], place[1] - self.a[1]
        return ahead_x * y - ahead_y * x, ahead_x * x + ahead_y * y


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A person has crossed a line; `at` is when their feet were first seen behind it."""

    person: int
    line: str
    direction: Direction
    at: float


class LineWatch:
    """Follows people across the lines of one camera."""

    def __init__(
        self, lines: Sequence[Line], *, y_up: bool, hold_seconds: float = 0.5, forget_seconds: float = 60.0
    ) -> None:
        """`y_up` is true on a floor plan and false in a picture; it says which side is the left."""
        self.lines = tuple(lines)
        self._handedness = 1.0 if y_up else -1.0
        self._hold_seconds = hold_seconds
        self._forget_seconds = forget_seconds
        self._ways: dict[tuple[int, int], _Way] = {}
        self._seen_at: dict[int, float] = {}

    def update(
        self,
        ids: npt.NDArray[np.int64],
        places: Points,
        body: npt.NDArray[np.float64],
        at: float,
        *,
        doubted: Collection[int] = (),
    ) -> tuple[Crossing, ...]:
        """Crossings of which this frame leaves no doubt; they were earlier than it.

        Places (n, 2) and heights of bodies (n,) are in the lines' unit; a place that is nan is passed over.
        Who is out of sight has stayed where they were. Of people who are `doubted` nothing is believed for now.
        """
        self._see(ids, places, body, at)
        crossings = self._believed(seen_until=at - self._hold_seconds, doubted=doubted)
        self._forget(at)
        return crossings

    def meet(self, ids: npt.NDArray[np.int64], places: Points, body: npt.NDArray[np.float64], at: float) -> None:
        """Note on which side new people were first seen, which is before they are known to be people."""
        new = np.array([person not in self._seen_at for person in ids.tolist()], np.bool_)
        self._see(ids[new], places[new], body[new], at)

    def merge(self, elder: int, younger: int) -> None:
        """Two people turned out to be one, who goes the way of the one that crossed last: nothing is crossed twice."""
        if younger not in self._seen_at:
            return
        self._seen_at[elder] = max(self._seen_at.get(elder, -math.inf), self._seen_at.pop(younger))
        for index in range(len(self.lines)):
            kept, lost = self._ways.get((elder, index)), self._ways.pop((younger, index), None)
            if lost is not None and (kept is None or lost.crossed_at > kept.crossed_at):
                self._ways[elder, index] = lost

    def finish(self) -> tuple[Crossing, ...]:
        """Crossings still in doubt when the watching ends."""
        return self._believed(seen_until=math.inf)

    def _see(self, ids: npt.NDArray[np.int64], places: Points, body: npt.NDArray[np.float64], at: float) -> None:
        for row, person in enumerate(ids.tolist()):
            self._seen_at[person] = at
            if not np.isfinite(places[row]).all():
                continue
            place = (float(places[row, 0]), float(places[row, 1]))
            for index, line in enumerate(self.lines):
                left, along = line.coordinates(place)
                way = self._ways.setdefault((person, index), _Way())
                way.see(line, _Spot(across=left * self._handedness, along=along), line.half_width(float(body[row])), at)

    def _believed(self, *, seen_until: float, doubted: Collection[int] = ()) -> tuple[Crossing, ...]:
        """Crossings to sides held since that moment or before."""
        crossings: list[Crossing] = []
        for (person, index), way in self._ways.items():
            turn = way.turn
            if turn is None or turn.since > seen_until + _ROUNDING_SECONDS or person in doubted:
                continue
            way.stand(turn.spot)
            if turn.cuts:
                way.crossed_at = turn.began
                direction: Direction = "in" if turn.spot.left else "out"
                line = self.lines[index].id
                crossings.append(Crossing(person=person, line=line, direction=direction, at=turn.began))
        return tuple(crossings)

    def _forget(self, at: float) -> None:
        gone = {person for person, seen in self._seen_at.items() if at - seen > self._forget_seconds}
        if gone:
            self._seen_at = {person: seen for person, seen in self._seen_at.items() if person not in gone}
            self._ways = {key: way for key, way in self._ways.items() if key[0] not in gone}


_BAND_BODIES = 0.18
_ROUNDING_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A position in a line's own coordinates: across (in is positive) and along from a."""

    across: float
    along: float

    @property
    def left(self) -> bool:
        return self.across >= 0


@dataclass(slots=True, kw_only=True)
class _Turn:
    """Another side than the one believed, not held for long enough yet.

    began: since when the feet have been there; since: when they were clear of the line for the first time.
    cuts: whether the way there cut the segment.
    """

    spot: _Spot
    began: float
    since: float
    cuts: bool


@dataclass(slots=True)
class _Way:
    """One person's way at one line.

    clear: the last clear position on the side that is believed.
    left, since: the side of the last position, clear or not, and since when it has been that.
    came, went: whether the first and the last position since then that was not clear lay past the line's ends.
    crossed_at: when the line was last crossed.
    """

    clear: _Spot | None = None
    turn: _Turn | None = None
    came: bool | None = None
    went: bool = False
    left: bool | None = None
    since: float = 0.0
    crossed_at: float = -math.inf

    def see(self, line: Line, spot: _Spot, band: float, at: float) -> None:
        if self.left is not spot.left:
            self.left, self.since = spot.left, at
        if abs(spot.across) <= band:
            self.went = not -band <= spot.along <= line.length + band
            self.came = self.went if self.came is None else self.came
            self.turn = None
        elif self.clear is None or self.clear.left == spot.left:
            self.stand(spot)
        elif self.turn is None:
            around = self.came is True and self.went
            cuts = not around and 0 <= _along_at_cut(self.clear, spot) <= line.length
            self.turn = _Turn(spot=spot, began=self.since, since=at, cuts=cuts)
        else:
            self.turn.spot = spot

    def stand(self, spot: _Spot) -> None:
        """Believe in this place."""
        self.clear, self.turn, self.came, self.went = spot, None, None, False


def _along_at_cut(before: _Spot, now: _Spot) -> float:
    share = before.across / (before.across - now.across)
    return before.along + share * (now.along - before.along)
