"""Who is in which zone, and for how long. Knows polygons and positions; refuses to know pixels and visits.

Somebody who stands on a border must not flicker in and out. A new side counts once it has been held for a
while, or at once when it is clear of the border by a margin:

    outside ──in──▶ entering ──held or clearly in──▶ inside ──out──▶ leaving ──held or clearly out──▶ outside

Who is seen for the first time has no side to keep: the first place decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigurationError

__all__ = ["Areas", "Zone", "ZoneMove", "ZoneReading", "ZoneWatch"]

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """An area of the floor (metres) or of the reference picture (pixels); the polygon closes itself."""

    id: str
    polygon: tuple[tuple[float, float], ...]
    kind: str = "area"

    def __post_init__(self) -> None:
        if len(set(self.polygon)) < 3:
            raise ConfigurationError(f"zone {self.id}: its polygon needs three different points or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneMove:
    """A person entered or left a zone at this moment: when the side began to be held, not when it was believed."""

    person: int
    zone: str
    kind: Literal["entered", "left"]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneReading:
    """What the zones hold after one frame.

    inside: bool, shape (people, zones), in the order in which they were given.
    occupancy: int64, shape (zones,), how many of them: who is out of sight is not counted, and may be gone.
    """

    inside: Mask
    occupancy: npt.NDArray[np.int64]
    moves: tuple[ZoneMove, ...]


class _State(Enum):
    OUTSIDE = auto()
    ENTERING = auto()
    INSIDE = auto()
    LEAVING = auto()


class _Signal(Enum):
    IN = auto()
    OUT = auto()
    CLEARLY_IN = auto()
    CLEARLY_OUT = auto()
    HELD = auto()


_PHASES: dict[_State, dict[_Signal, _State]] = {
    _State.OUTSIDE: {_Signal.IN: _State.ENTERING, _Signal.CLEARLY_IN: _State.INSIDE},
    _State.ENTERING: {
        _Signal.OUT: _State.OUTSIDE,
        _Signal.CLEARLY_OUT: _State.OUTSIDE,
        _Signal.CLEARLY_IN: _State.INSIDE,
        _Signal.HELD: _State.INSIDE,
    },
    _State.INSIDE: {_Signal.OUT: _State.LEAVING, _Signal.CLEARLY_OUT: _State.OUTSIDE},
    _State.LEAVING: {
        _Signal.IN: _State.INSIDE,
        _Signal.CLEARLY_IN: _State.INSIDE,
        _Signal.CLEARLY_OUT: _State.OUTSIDE,
        _Signal.HELD: _State.OUTSIDE,
    },
}
_COUNTED = frozenset({_State.INSIDE, _State.LEAVING})
_UNDECIDED = frozenset({_State.ENTERING, _State.LEAVING})
_DECISIONS = frozenset({(_State.ENTERING, _State.INSIDE), (_State.LEAVING, _State.OUTSIDE)})
_SIGNALS = {
    (True, True): _Signal.CLEARLY_IN,
    (True, False): _Signal.IN,
    (False, False): _Signal.OUT,
    (False, True): _Signal.CLEARLY_OUT,
}
"""By whether a place is within the polygon, and whether it is clear of the border."""


class ZoneWatch:
    """Follows people through the zones of one camera."""

    def __init__(
        self, zones: Sequence[Zone], *, margin: float, hold_seconds: float = 1.0, gone_seconds: float = 5.0
    ) -> None:
        """`margin` is in the zones' unit; who is unseen for longer than `gone_seconds` has left."""
        self.zones = tuple(zones)
        self._areas = Areas([zone.polygon for zone in self.zones])
        self._margin = margin
        self._hold_seconds = hold_seconds
        self._gone_seconds = gone_seconds
        self._people: dict[int, _Person] = {}

    def update(self, ids: npt.NDArray[np.int64], places: Points, at: float) -> ZoneReading:
        """Zones of the people (n,) seen at these places (n, 2) at this moment; nan is in no zone."""
        moves: list[ZoneMove] = []
        within = self._areas.contain(places).tolist()
        clear = (self._areas.border_distances(places) > self._margin).tolist()
        inside = np.zeros((len(ids), len(self.zones)), np.bool_)
        for row, person in enumerate(ids.tolist()):
            known = self._people.get(person)
            is_new = known is None
            if known is None:
                known = self._people[person] = _Person(phases=[_Phase() for _ in self.zones])
            known.seen_at = at
            for column, phase in enumerate(known.phases):
                signal = _SIGNALS[within[row][column], is_new or clear[row][column]]
                kind = self._step(phase, signal, at)
                if kind:
                    moves.append(ZoneMove(person=person, zone=self.zones[column].id, kind=kind, at=phase.since))
                inside[row, column] = phase.state in _COUNTED
        moves.extend(self._farewells(at))
        return ZoneReading(inside=inside, occupancy=inside.sum(axis=0, dtype=np.int64), moves=tuple(moves))

    def merge(self, elder: int, younger: int) -> None:
        """Two people turned out to be one, who is where the elder was, if that is known."""
        lost = self._people.pop(younger, None)
        if lost is not None:
            self._people.setdefault(elder, lost)

    def _step(self, phase: "_Phase", signal: _Signal, at: float) -> Literal["entered", "left"] | None:
        before = phase.state
        phase.signal(signal, at)
        if phase.state in _UNDECIDED and at - phase.since >= self._hold_seconds:
            phase.state = _PHASES[phase.state][_Signal.HELD]
        if (before in _COUNTED) == (phase.state in _COUNTED):
            return None
        return "entered" if phase.state in _COUNTED else "left"

    def _farewells(self, at: float) -> list[ZoneMove]:
        gone = {key: known for key, known in self._people.items() if at - known.seen_at > self._gone_seconds}
        for person in gone:
            del self._people[person]
        return [
            ZoneMove(person=person, zone=zone.id, kind="left", at=known.seen_at)
            for person, known in gone.items()
            for zone, phase in zip(self.zones, known.phases, strict=True)
            if phase.state in _COUNTED
        ]


@dataclass(slots=True)
class _Phase:
    """A person's state in one zone, and when the side now held began to be held."""

    state: _State = _State.OUTSIDE
    since: float = 0.0

    def signal(self, signal: _Signal, at: float) -> None:
        after = _PHASES[self.state].get(signal, self.state)
        # Deciding keeps the moment at which the undecided side began.
        if after is not self.state and (self.state, after) not in _DECISIONS:
            self.since = at
        self.state = after


@dataclass(slots=True, kw_only=True)
class _Person:
    phases: list[_Phase]
    seen_at: float = 0.0


class Areas:
    """Polygons, each of three points or more, that close themselves."""

    def __init__(self, polygons: Sequence[Sequence[tuple[float, float]]]) -> None:
        corners = [np.array(polygon, np.float64) for polygon in polygons]
        self._firsts = np.cumsum([0, *map(len, corners)])[:-1]
        self._starts = np.concatenate([np.empty((0, 2)), *corners])
        ends = np.concatenate([np.empty((0, 2)), *(np.roll(each, -1, axis=0) for each in corners)])
        self._along = ends - self._starts
        self._ends_y = ends[:, 1]
        self._rise = np.where(self._along[:, 1] == 0, 1.0, self._along[:, 1])
        self._squared = np.maximum((self._along**2).sum(axis=1), 1e-12)

    def contain(self, places: Points) -> Mask:
        """Whether each place (n, 2) is in each polygon, by the even-odd rule: bool, shape (n, polygons).

        A border belongs to the area on its upper and right side (greater y and x), so that of two zones with a
        common edge exactly one has a person who stands on it.
        """
        if not len(self._firsts):
            return np.empty((len(places), 0), np.bool_)
        x, y = places[:, :1], places[:, 1:]
        start_x, start_y = self._starts.T
        spans = (start_y <= y) != (self._ends_y <= y)
        to_the_right = x < start_x + (y - start_y) * self._along[:, 0] / self._rise
        crossings = np.add.reduceat(spans & to_the_right, self._firsts, axis=1, dtype=np.int64)
        return np.asarray(crossings % 2 == 1)

    def border_distances(self, places: Points) -> npt.NDArray[np.float64]:
        """Distance of each place (n, 2) to the nearest point of each polygon's border: shape (n, polygons)."""
        if not len(self._firsts):
            return np.empty((len(places), 0))
        offset = places[:, None] - self._starts
        share = np.clip((offset * self._along).sum(axis=2) / self._squared, 0, 1)
        misses = offset - share[..., None] * self._along
        squared = np.minimum.reduceat((misses**2).sum(axis=2), self._firsts, axis=1)
        return np.asarray(np.sqrt(squared))
