"""One person's stay in one scene. Knows when people were seen; refuses to know pixels, tracks and the wall clock.

A visit begins with a person's first sighting and ends some seconds after the last. Open visits are handed out
as checkpoints, so that a crash can close them afterwards. Times are monotonic seconds of this boot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge.lines import Crossing
from edge.walkers import Walkers

__all__ = ["Began", "Checkpoint", "Ended", "Turnover", "Visit", "VisitBook", "VisitSettings", "interrupted"]

Began = Literal["entered", "appeared", "resumed", "continued"]
Ended = Literal["left", "lost", "interrupted", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """An open visit as plain values: all of it survives JSON.

    number counts the visits that its run began in the scene, from 1.
    zone_milliseconds holds only zones in which time was spent; crossings are counts by line, then direction.
    """

    scene: str
    number: int = 0
    first_seen: float
    last_seen: float
    began: Began
    zone_milliseconds: dict[str, int]
    crossings: dict[str, dict[str, int]]
    frames: int
    mean_confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Checkpoint):
    """A stay that is over."""

    ended: Ended

    @property
    def dwell_seconds(self) -> float:
        """From the first to the last sighting."""
        return self.last_seen - self.first_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnover:
    """Who came and which stays ended with a frame.

    begun: bool, shape (n,), people of the frame whom this frame shows for the first time and who count as visitors.
    """

    begun: npt.NDArray[np.bool_]
    closed: tuple[Visit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSettings:
    """When a stay begins and ends.

    zones: ids in the order of the columns that `update` is given. entrances: ids of lines that lead in.
    resumable: checkpoints left open by the run before; as many people there at once are not new.
    """

    scene: str
    zones: tuple[str, ...] = ()
    entrances: frozenset[str] = frozenset()
    end_seconds: float = 5.0
    split_seconds: float = 12 * 3600.0
    resumable: int = 0
    resume_seconds: float = 5.0


class VisitBook:
    """The stays in one scene."""

    def __init__(self, settings: VisitSettings) -> None:
        self._settings = settings
        self._open: dict[int, _Stay] = {}
        self._numbers = count(1)
        self._resumable = settings.resumable
        self._resume_until: float | None = None

    def update(
        self, people: Walkers, zone_milliseconds: npt.NDArray[np.int64], crossings: Sequence[Crossing]
    ) -> Turnover:
        """Enter one frame's people, their time in zones (people, zones), and their crossings."""
        if self._resume_until is None:
            self._resume_until = people.at + self._settings.resume_seconds
        begun = np.zeros(len(people), np.bool_)
        closed: list[Visit] = []
        for row, person in enumerate(people.ids.tolist()):
            stay = self._open.get(person)
            if stay is not None and people.at - stay.last_seen > self._settings.end_seconds:
                closed.append(self._close(person))
                stay = None
            if stay is None:
                stay = self._open[person] = self._begin(people, row)
                begun[row] = stay.began in _ARRIVALS
            elif people.at - stay.first_seen >= self._settings.split_seconds:
                closed.append(self._visit(stay, "split"))
                stay = self._open[person] = self._stay("continued", first_seen=people.at, last_seen=people.at)
            stay.see(people, row, dict(zip(self._settings.zones, zone_milliseconds[row].tolist(), strict=True)))
        self._cross(crossings)
        closed.extend(self._ended(people.at))
        return Turnover(begun=begun, closed=tuple(closed))

    def merge(self, elder: int, younger: int) -> None:
        """Make one stay of two whose people turned out to be one."""
        lost, kept = self._open.pop(younger, None), self._open.get(elder)
        if lost is None:
            return
        if kept is None:
            self._open[elder] = lost
        else:
            kept.absorb(lost)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All open visits as they stand."""
        return tuple(self._checkpoint(stay) for stay in self._open.values())

    def finish(self, crossings: Sequence[Crossing] = ()) -> tuple[Visit, ...]:
        """Enter the last crossings and close everything, because the watching ends and not the stays."""
        self._cross(crossings)
        visits = tuple(self._visit(stay, "interrupted") for stay in self._open.values())
        self._open = {}
        return visits

    def _cross(self, crossings: Sequence[Crossing]) -> None:
        for crossing in crossings:
            if crossing.person in self._open:
                self._open[crossing.person].cross(crossing, self._settings.entrances)

    def _begin(self, people: Walkers, row: int) -> "_Stay":
        since = float(people.since[row])
        # A person who comes back after the end of a visit begins anew where the new sightings begin.
        first_seen = since if people.at - since <= self._settings.end_seconds else people.at
        began: Began = "entered" if people.from_edge[row] else "appeared"
        if self._resumable and self._resume_until is not None and first_seen <= self._resume_until:
            self._resumable -= 1
            began = "resumed"
        return self._stay(began, first_seen=first_seen, last_seen=people.at)

    def _stay(self, began: Began, *, first_seen: float, last_seen: float) -> "_Stay":
        return _Stay(number=next(self._numbers), began=began, first_seen=first_seen, last_seen=last_seen)

    def _ended(self, at: float) -> list[Visit]:
        due = [person for person, stay in self._open.items() if at - stay.last_seen > self._settings.end_seconds]
        return [self._close(person) for person in due]

    def _close(self, person: int) -> Visit:
        stay = self._open.pop(person)
        return self._visit(stay, "left" if stay.at_exit else "lost")

    def _visit(self, stay: "_Stay", ended: Ended) -> Visit:
        return _ended_as(self._checkpoint(stay), ended)

    def _checkpoint(self, stay: "_Stay") -> Checkpoint:
        return Checkpoint(
            scene=self._settings.scene,
            number=stay.number,
            first_seen=stay.first_seen,
            last_seen=stay.last_seen,
            began=stay.began,
            zone_milliseconds={zone: spent for zone, spent in stay.zone_milliseconds.items() if spent},
            crossings={line: dict(counts) for line, counts in stay.crossings.items()},
            frames=stay.frames,
            mean_confidence=stay.confidence_sum / max(stay.frames, 1),
        )


def interrupted(checkpoint: Checkpoint) -> Visit:
    """The visit of which a crash left only this checkpoint."""
    return _ended_as(checkpoint, "interrupted")


_ARRIVALS = frozenset({"entered", "appeared"})


def _ended_as(checkpoint: Checkpoint, ended: Ended) -> Visit:
    return Visit(
        scene=checkpoint.scene,
        number=checkpoint.number,
        first_seen=checkpoint.first_seen,
        last_seen=checkpoint.last_seen,
        began=checkpoint.began,
        zone_milliseconds=checkpoint.zone_milliseconds,
        crossings=checkpoint.crossings,
        frames=checkpoint.frames,
        mean_confidence=checkpoint.mean_confidence,
        ended=ended,
    )


@dataclass(slots=True, kw_only=True)
class _Stay:
    """A visit while it is open."""

    number: int
    began: Began
    first_seen: float
    last_seen: float
    frames: int = 0
    confidence_sum: float = 0.0
    at_edge: bool = False
    last_entrance: str = ""
    zone_milliseconds: dict[str, int] = field(default_factory=dict)
    crossings: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def at_exit(self) -> bool:
        return self.at_edge or self.last_entrance == "out"

    def see(self, people: Walkers, row: int, zone_milliseconds: dict[str, int]) -> None:
        self.last_seen = people.at
        self.frames += 1
        self.confidence_sum += float(people.confidence[row])
        self.at_edge = bool(people.at_edge[row])
        for zone, spent in zone_milliseconds.items():
            self.zone_milliseconds[zone] = self.zone_milliseconds.get(zone, 0) + spent

    def absorb(self, other: "_Stay") -> None:
        """Take over another stay of the same person."""
        if other.first_seen < self.first_seen:
            self.first_seen, self.began = other.first_seen, other.began
        self.last_seen = max(self.last_seen, other.last_seen)
        self.frames += other.frames
        self.confidence_sum += other.confidence_sum
        self.last_entrance = self.last_entrance or other.last_entrance
        for zone, spent in other.zone_milliseconds.items():
            self.zone_milliseconds[zone] = self.zone_milliseconds.get(zone, 0) + spent
        for line, counts in other.crossings.items():
            mine = self.crossings.setdefault(line, {"in": 0, "out": 0})
            for direction, times in counts.items():
                mine[direction] += times

    def cross(self, crossing: Crossing, entrances: frozenset[str]) -> None:
        counts = self.crossings.setdefault(crossing.line, {"in": 0, "out": 0})
        counts[crossing.direction] += 1
        if crossing.line in entrances:
            if not self.last_entrance and crossing.direction == "in" and self.began == "appeared":
                self.began = "entered"
            self.last_entrance = crossing.direction
