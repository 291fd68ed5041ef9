"""One person of a scene, and what each of its cameras shows of them. Knows places and times; decides nothing."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.walkers import Walkers

__all__ = ["Point", "Sight", "Somebody", "Spread", "weighed"]

Point = npt.NDArray[np.float64]
"""On the floor, float64, shape (2,), metres."""
Spread = npt.NDArray[np.float64]
"""A covariance, float64, shape (2, 2), in square metres."""

_MEMORY_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one camera's frame shows of somebody; `key` is the camera's own id of them."""

    key: int
    at: float
    place: Point
    spread: Spread
    first_place: Point
    since: float
    body: float
    confidence: float
    from_edge: bool
    at_edge: bool

    @classmethod
    def of(cls, seen: Walkers, row: int, spread: Spread) -> "Sight":
        """One of those whom a camera's frame shows."""
        return cls(
            key=int(seen.ids[row]),
            at=seen.at,
            place=seen.places[row],
            spread=spread,
            first_place=seen.first_places[row],
            since=float(seen.since[row]),
            body=float(seen.bodies[row]),
            confidence=float(seen.confidence[row]),
            from_edge=bool(seen.from_edge[row]),
            at_edge=bool(seen.at_edge[row]),
        )


@dataclass(slots=True, kw_only=True)
class Somebody:
    """One person of the scene; `last_camera` is the only one that showed them last, if it was one."""

    id: int
    since: float
    first_place: Point
    from_edge: bool
    views: dict[str, Sight] = field(default_factory=dict)
    place: Point = field(default_factory=lambda: np.full(2, np.nan))
    spread: Spread = field(default_factory=lambda: np.eye(2))
    seen_at: float = -math.inf
    last_camera: str = ""
    _way: deque[tuple[float, Point]] = field(default_factory=deque)

    def remember(self, at: float) -> None:
        """Note that they are where they are now."""
        self._way.append((at, self.place))
        while at - self._way[0][0] > _MEMORY_SECONDS:
            self._way.popleft()

    def absorb(self, other: "Somebody") -> None:
        """Take over what is known of somebody who is the same."""
        for camera, sight in other.views.items():
            if camera not in self.views or self.views[camera].at < sight.at:
                self.views[camera] = sight
        if other.since < self.since:
            self.since, self.first_place, self.from_edge = other.since, other.first_place, other.from_edge

    def seen_beside(self, other: "Somebody") -> bool:
        """Whether one camera knows both, and has shown them at one time."""
        pairs = [(self.views[camera], other.views[camera]) for camera in self.views.keys() & other.views.keys()]
        return any(min(one.at, two.at) >= max(one.since, two.since) for one, two in pairs)

    def velocity(self) -> Point:
        """Metres a second over the last second."""
        (began, start), (ended, end) = next(one for one in self._way if self._way[-1][0] - one[0] <= 1.0), self._way[-1]
        return (end - start) / (ended - began) if ended > began else np.zeros(2)

    def place_at(self, at: float) -> Point | None:
        """Where they were then, if that is known."""
        before = [place for moment, place in self._way if moment <= at + 0.05]
        return before[-1] if before else None


def weighed(sights: Sequence[Sight]) -> tuple[Point, Spread]:
    """The place that several cameras see, weighed by how sure each is, and how sure it is then."""
    weights = np.array([np.linalg.inv(sight.spread) for sight in sights])
    spread = np.linalg.inv(weights.sum(axis=0))
    return spread @ np.einsum("nij,nj->i", weights, np.array([sight.place for sight in sights])), spread
