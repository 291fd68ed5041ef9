"""What is true of people's walks on the floor, whatever any camera sees: what ought to be counted.

Knows walks and shapes, exactly: between two moments everybody goes straight on. Refuses to know pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.synthetic.life import Person
from edge.synthetic.plan import DOOR, ZONES, Line, Rectangle, Zone
from edge.synthetic.till import QueueStay

__all__ = ["Passing", "Stay", "Steps", "ZoneStay", "crossings", "in_line", "spans_inside", "stay_of", "steps_of"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Someone crosses a line."""

    at: float
    line: str
    inward: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneStay:
    """Someone is in a zone from `start` to `end`."""

    zone: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One person's visit: from the first crossing of the door to the last, and what happened between."""

    person: int
    entered_at: float
    left_at: float
    passings: tuple[Passing, ...]
    zones: tuple[ZoneStay, ...]
    queue: QueueStay | None

    @property
    def dwell_seconds(self) -> float:
        """How long they stayed."""
        return self.left_at - self.entered_at

    def zone_seconds(self) -> dict[str, float]:
        """How long they were in each zone that they were in."""
        total: dict[str, float] = {}
        for one in self.zones:
            total[one.zone] = total.get(one.zone, 0.0) + one.end - one.start
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Somebody's way in n steps of a second at most: when each starts (n,), how long it takes, its middle (n, 2)."""

    starts: Points
    milliseconds: npt.NDArray[np.int64]
    places: Points


def stay_of(person: Person, *, door: Line = DOOR, zones: Sequence[Zone] = ZONES) -> Stay:
    """The truth about somebody who goes through the door at least once."""
    passings = crossings(person, door)
    areas = [zone.area for zone in zones]
    return Stay(
        person=person.id,
        entered_at=passings[0].at,
        left_at=passings[-1].at,
        passings=passings,
        zones=tuple(
            ZoneStay(zone=zone.id, start=start, end=end)
            for zone, spans in zip(zones, spans_inside(person, areas), strict=True)
            for start, end in spans
        ),
        queue=person.queue,
    )


def crossings(person: Person, line: Line) -> tuple[Passing, ...]:
    """Each time that somebody steps from one side of a line to the other between its ends."""
    a, b = np.asarray(line.a), np.asarray(line.b)
    along = b - a
    relative = person.places - a
    side = along[0] * relative[:, 1] - along[1] * relative[:, 0]
    turns = np.flatnonzero((side[:-1] < 0) != (side[1:] < 0))
    found = []
    for turn in turns.tolist():
        share = side[turn] / (side[turn] - side[turn + 1])
        place = relative[turn] + share * (relative[turn + 1] - relative[turn])
        if 0 <= place @ along <= along @ along:
            at = person.times[turn] + share * (person.times[turn + 1] - person.times[turn])
            found.append(Passing(at=float(at), line=line.id, inward=bool(side[turn] < 0)))
    return tuple(found)


def spans_inside(person: Person, areas: Sequence[Rectangle]) -> list[list[tuple[float, float]]]:
    """From when to when somebody is in each area, one pair a stay; each leg is clipped at the areas' sides."""
    start, change = person.places[:-1], np.diff(person.places, axis=0)
    seconds = np.diff(person.times)
    low = np.array([(area.left, area.bottom) for area in areas])[:, None]
    high = np.array([(area.right, area.top) for area in areas])[:, None]
    # Nobody is so slow that a still leg taken as a very short one matters.
    way = np.where(change == 0, 1e-12, change)
    first, last = (low - start) / way, (high - start) / way
    enters = np.minimum(first, last).max(axis=2).clip(0, None)
    leaves = np.maximum(first, last).min(axis=2).clip(None, 1)
    spans: list[list[tuple[float, float]]] = [[] for _ in areas]
    for area, leg in zip(*np.nonzero(leaves > enters), strict=True):
        begin = float(person.times[leg] + enters[area, leg] * seconds[leg])
        end = float(person.times[leg] + leaves[area, leg] * seconds[leg])
        if spans[area] and begin - spans[area][-1][1] < 1e-6:
            spans[area][-1] = (spans[area][-1][0], end)
        else:
            spans[area].append((begin, end))
    return spans


def steps_of(person: Person, start: float, end: float) -> Steps:
    """Where they are from `start` to `end`, parted by whole seconds."""
    borders = np.concatenate([[start], np.arange(np.floor(start) + 1, end), [end]])
    middles = (borders[:-1] + borders[1:]) / 2
    places = [np.interp(middles, person.times, person.places[:, axis]) for axis in (0, 1)]
    milliseconds = np.diff(np.round(borders * 1000)).astype(np.int64)
    return Steps(starts=borders[:-1], milliseconds=milliseconds, places=np.stack(places, axis=1))


def in_line(stays: Sequence[Stay], seconds: float) -> int:
    """How many wait in the line then; who is being served does not wait."""
    waits = [stay.queue for stay in stays if stay.queue is not None]
    return sum(wait.joined_at <= seconds < wait.joined_at + wait.wait_seconds for wait in waits)
