"""Turns tracks into people. Knows where tracks ended and began; refuses to know pixels, zones or visits.

A tracker loses people behind pillars, shelves and each other, and finds them again under a new number.
Here a track first lives in probation, so that a flicker is never a person; a longer one where it lies inside the boxes
of people, because detectors see some bodies double. When the probation is over, all tracks that are due are compared
at once with all people lost shortly before they began: the lost motion runs forwards, the new one backwards, both
slowing down as people do when out of sight, and the disagreement is weighed in body heights against an uncertainty
that grows with the gap. The best joint assignment wins; whoever stays unassigned is somebody new.

Who was lost while walking out over the picture's edge has most likely left, and who begins there has
most likely just come, so across an edge only a brief flicker is joined. A doorway in the picture is told by a line:
who was lost walking out over it, and who then begins walking in, are two people.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge.boxes import covered
from edge.doorways import Doorways
from edge.floor import BODY_M, Floor
from edge.lines import Line
from edge.tracker import Tracks

__all__ = ["People", "Stitcher", "StitchingSettings"]

Point = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class People(Tracks):
    """Tracks whose ids name people: one id a stay.

    since: float64, shape (n,), when each was first seen; earlier than this frame, because of the probation.
    first_boxes: float32, shape (n, 4), where each was first seen, pixels.
    from_edge: bool, shape (n,), first seen at the picture's edge.
    at_edge: bool, shape (n,), at the picture's edge now.
    """

    since: npt.NDArray[np.float64]
    first_boxes: npt.NDArray[np.float32]
    from_edge: npt.NDArray[np.bool_]
    at_edge: npt.NDArray[np.bool_]

    @classmethod
    def none(cls, at: float) -> "People":
        """Nobody."""
        nothing = np.empty(0)
        return cls(
            at=at,
            ids=nothing.astype(np.int64),
            boxes=np.empty((0, 4), np.float32),
            confidence=nothing.astype(np.float32),
            since=nothing,
            first_boxes=np.empty((0, 4), np.float32),
            from_edge=nothing.astype(np.bool_),
            at_edge=nothing.astype(np.bool_),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchingSettings:
    """When two tracks are one person. Lengths are in body heights (1.7 m where the floor is calibrated).

    minimum_seconds, minimum_sightings: how long and how often a track must be seen to count as a person.
    crowded_share: a track with more of itself, 0 to 1, than this inside people's boxes must be seen longer.
    crowded_seconds: so long.
    gap_seconds: how long a person may be out of sight.
    overlap_seconds: how long a track may go on beside the one that continues it.
    walking: fastest plausible walk, heights a second (1.2 is about 2 m/s).
    slack: what boxes may be off by, heights.
    turning: how fast the place of somebody unseen becomes uncertain, heights a second.
    size_error: standard deviation of the logarithm of a body height measured twice.
    unlikelihood: how far a pair may be from certain, in halved squared standard deviations.
    edge_gap_seconds: the longest gap across the picture's edge, and of somebody who turns back in a doorway.
    """

    minimum_seconds: float = 0.7
    minimum_sightings: int = 3
    crowded_share: float = 0.25
    crowded_seconds: float = 2.2
    gap_seconds: float = 5.0
    overlap_seconds: float = 0.5
    walking: float = 1.2
    slack: float = 0.5
    turning: float = 0.3
    size_error: float = 0.15
    unlikelihood: float = 5.0
    edge_gap_seconds: float = 1.0

    @property
    def longest_absence(self) -> float:
        """Seconds after which nobody who was lost is found again: the gap, and the probation of who comes after it."""
        return self.gap_seconds + self.crowded_seconds


class Stitcher:
    """Gives person ids to the tracks of one camera."""

    def __init__(
        self,
        image_size: tuple[int, int],
        settings: StitchingSettings | None = None,
        floor: Floor | None = None,
        doorways: Sequence[Line] = (),
    ) -> None:
        """`image_size` is width, height in pixels; a calibrated floor makes distances metric.

        Left of a → b of a doorway is inside, as `edge.lines` has it; its points are where feet are, on the floor where
        that is calibrated, else in the picture.
        """
        self._settings = settings or StitchingSettings()
        self._ruler = _Ruler(image_size, floor)
        self._doorways = Doorways(doorways, y_up=self._ruler.is_metric)
        self._lives: dict[int, _Life] = {}
        self._next_person = 1

    def update(self, tracks: Tracks) -> People:
        """The people among these tracks, in ascending order of person id."""
        self._observe(tracks)
        self._recognise(tracks.at)
        self._forget(tracks.at)
        return self._people(tracks)

    def _observe(self, tracks: Tracks) -> None:
        for track, sighting in zip(tracks.ids.tolist(), self._ruler.measure(tracks), strict=True):
            life = self._lives.setdefault(track, _Life(first=sighting))
            life.see(sighting)
        self._notice_crowds([self._lives[track] for track in tracks.ids.tolist()])

    def _notice_crowds(self, lives: "list[_Life]") -> None:
        """Add up how much of whoever is in probation lies inside people's boxes."""
        newcomers = [life for life in lives if life.person is None]
        if not newcomers:
            return
        known = [life.last.box for life in lives if life.person is not None]
        shares = covered(np.array([life.last.box for life in newcomers]), np.array(known).reshape(-1, 4))
        for life, share in zip(newcomers, shares.tolist(), strict=True):
            life.covered += share

    def _recognise(self, at: float) -> None:
        due = [life for life in self._lives.values() if life.person is None and life.last.at == at and self._ripe(life)]
        lost = [track for track, life in self._lives.items() if life.person is not None and life.last.at < at]
        joined = self._joined([self._lives[track] for track in lost], due)
        for index, life in enumerate(due):
            if index in joined:
                life.person = self._lives.pop(lost[joined[index]]).person
            else:
                life.person = _Person(id=self._next_person, first=life.first, from_edge=self._ruler.at_edge(life.first))
                self._next_person += 1

    def _ripe(self, life: "_Life") -> bool:
        settings, lived = self._settings, life.last.at - life.first.at
        crowded = life.covered > settings.crowded_share * life.sightings
        enough = settings.crowded_seconds if crowded else settings.minimum_seconds
        return lived >= enough and life.sightings >= settings.minimum_sightings

    def _joined(self, lost: "list[_Life]", due: "list[_Life]") -> dict[int, int]:
        """Index of the lost person for each due track that continues one."""
        if not lost or not due:
            return {}
        limit = self._settings.unlikelihood
        costs = np.array([[self._unlikelihood(former, new) for former in lost] for new in due])
        # A forbidden pair costs as much as leaving both alone, so that it never displaces a good one.
        rows, columns = linear_sum_assignment(np.minimum(costs, limit))
        return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if costs[row, column] < limit}

    def _unlikelihood(self, former: "_Life", new: "_Life") -> float:
        """Minus the logarithm of how well the two fit, from 0; infinite where they can't be one person."""
        if not self._possible(former, new):
            return math.inf
        settings, unit = self._settings, self._ruler.unit(former, new)
        gap = max(new.first.at - former.last.at, 0.0)
        between = new.first.place - former.fitted()
        misses = (
            between - former.velocity() * _coasting(gap),
            between - new.velocity() * _coasting(gap),
            new.first.place - former.last.place,
        )
        spread = settings.slack / 2 + settings.turning * gap
        miss = min(float(np.linalg.norm(one)) for one in misses) / unit / spread
        size = math.log(new.height() / former.height()) / settings.size_error
        cost = (miss**2 + size**2) / 2 + math.log(spread / (settings.slack / 2))
        return cost if math.isfinite(cost) else math.inf

    def _possible(self, former: "_Life", new: "_Life") -> bool:
        """Whether the gap is short enough, not across the picture's edge or out and in of a door, and within a walk."""
        settings, unit = self._settings, self._ruler.unit(former, new)
        gap = new.first.at - former.last.at
        if not -settings.overlap_seconds <= gap <= settings.gap_seconds + _ROUNDING_SECONDS:
            return False
        leaves = self._ruler.leaves(former.last, former.drift()) or self._ruler.leaves(new.first, -new.drift())
        went = self._doorways.walks_out(self._ruler.feet(former.last), former.velocity(), body=unit)
        came = self._doorways.walks_out(self._ruler.feet(new.first), -new.velocity(), body=unit)
        if (leaves or (went and came)) and gap > settings.edge_gap_seconds:
            return False
        walked = float(np.linalg.norm(new.first.place - former.last.place)) / unit
        return walked <= settings.slack + settings.walking * max(gap, 0.0)

    def _forget(self, at: float) -> None:
        keep = self._settings.longest_absence
        self._lives = {track: life for track, life in self._lives.items() if at - life.last.at <= keep}

    def _people(self, tracks: Tracks) -> People:
        lives = [self._lives[track] for track in tracks.ids.tolist()]
        known = [(life.person, row) for row, life in enumerate(lives) if life.person is not None]
        known.sort(key=lambda pair: pair[0].id)
        rows = np.array([row for _, row in known], np.intp)
        return People(
            at=tracks.at,
            ids=np.array([person.id for person, _ in known], np.int64),
            boxes=tracks.boxes[rows],
            confidence=tracks.confidence[rows],
            since=np.array([person.first.at for person, _ in known], np.float64),
            first_boxes=np.array([person.first.box for person, _ in known], np.float32).reshape(-1, 4),
            from_edge=np.array([person.from_edge for person, _ in known], np.bool_),
            at_edge=np.array([self._ruler.at_edge(lives[row].last) for row in rows], np.bool_),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    """A person at an instant: box in pixels, place in the ruler's space, height of the box in pixels."""

    at: float
    box: Point
    place: Point
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    id: int
    first: _Sighting
    from_edge: bool


@dataclass(slots=True, kw_only=True)
class _Life:
    """What is remembered of one track: its beginning and its last second.

    covered: the share of it inside a person's box, added up over its sightings while it was in probation.
    """

    first: _Sighting
    person: _Person | None = None
    sightings: int = 0
    covered: float = 0.0
    recent: deque[_Sighting] = field(default_factory=deque)

    @property
    def last(self) -> _Sighting:
        return self.recent[-1]

    def see(self, sighting: _Sighting) -> None:
        self.sightings += 1
        self.recent.append(sighting)
        while sighting.at - self.recent[0].at > _MEMORY_SECONDS:
            self.recent.popleft()

    def height(self) -> float:
        return float(np.median([one.height for one in self.recent]))

    def velocity(self) -> Point:
        """Per second, by least squares over the last second; zero of too short a life."""
        slope, _ = self._line()
        return slope

    def drift(self) -> Point:
        """How the head moves in the picture, pixels a second."""
        seconds = self.recent[-1].at - self.recent[0].at
        if seconds < _MEMORY_SECONDS / 4:
            return np.zeros(2)
        heads = _heads(np.array([self.recent[0].box, self.recent[-1].box]))
        moved: Point = (heads[1] - heads[0]) / seconds
        return moved

    def fitted(self) -> Point:
        """Where the line through the last second ends: steadier than the last box, which is often cut."""
        slope, middle = self._line()
        times = [one.at for one in self.recent]
        return middle + slope * (times[-1] - sum(times) / len(times))

    def _line(self) -> tuple[Point, Point]:
        times = np.array([one.at for one in self.recent])
        places = np.array([one.place for one in self.recent])
        middle: Point = places.mean(axis=0)
        offsets = times - times.mean()
        if times[-1] - times[0] < _MEMORY_SECONDS / 4:
            return np.zeros(2), middle
        slope: Point = offsets @ (places - middle) / (offsets @ offsets)
        return slope, middle


_MEMORY_SECONDS = 1.0
_ROUNDING_SECONDS = 1e-6
_COASTING_SECONDS = 1.5
_EDGE_MARGIN = 0.25
_STROLLING = 0.1


def _coasting(seconds: float) -> float:
    """Seconds' worth of speed somebody unseen keeps, who slows down with a time constant."""
    return _COASTING_SECONDS * (1 - math.exp(-seconds / _COASTING_SECONDS))


class _Ruler:
    """Places and distances: on the floor where it is calibrated, else heads in the picture."""

    def __init__(self, image_size: tuple[int, int], floor: Floor | None) -> None:
        self._width, self._height = image_size
        self._floor = floor if floor is not None and floor.calibrated else None

    @property
    def is_metric(self) -> bool:
        return self._floor is not None

    def measure(self, tracks: Tracks) -> list[_Sighting]:
        boxes = tracks.boxes.astype(np.float64)
        # Others hide legs far more often than heads, so in the picture a person is where the head is.
        places = self._on_floor(tracks, self._floor) if self._floor else _heads(boxes)
        return [
            _Sighting(at=tracks.at, box=box, place=place, height=max(float(box[3] - box[1]), 1.0))
            for box, place in zip(boxes, places, strict=True)
        ]

    @staticmethod
    def _on_floor(tracks: Tracks, floor: Floor) -> Point:
        return floor.place(floor.feet(tracks.boxes)) if tracks.places is None else tracks.places

    def unit(self, one: _Life, other: _Life) -> float:
        return BODY_M if self._floor else (one.height() + other.height()) / 2

    def at_edge(self, sighting: _Sighting) -> bool:
        left, top, right, bottom = map(float, sighting.box)
        margin = sighting.height * _EDGE_MARGIN
        return left < margin or top < 1 or right > self._width - margin or bottom > self._height - margin

    def leaves(self, sighting: _Sighting, drift: Point) -> bool:
        """Whether somebody moving so walks over the edge of the picture."""
        left, top, right, bottom = map(float, sighting.box)
        margin = sighting.height * _EDGE_MARGIN
        sideways, down = map(float, drift / (sighting.height * _STROLLING))
        over_side = (left < margin and sideways < -1) or (right > self._width - margin and sideways > 1)
        over_end = (top < 1 and down < -1) or (bottom > self._height - margin and down > 1)
        return over_side or over_end

    def feet(self, sighting: _Sighting) -> Point:
        """Where doorways are: on the floor where it is calibrated, else in the picture."""
        left, _, right, bottom = map(float, sighting.box)
        return sighting.place if self._floor else np.array([(left + right) / 2, bottom])


def _heads(boxes: Point) -> Point:
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 1]], axis=1)
