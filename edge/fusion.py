"""Makes one person of what several cameras see on one floor. Knows places, times and how sure they are; no pixels.

Each camera follows its own people. Somebody who is new to a camera is compared with everybody whom it does not show:
with those whom another camera shows now, by where both see them, weighed by how well each camera can tell; and with
those whom nobody has seen for a moment, by whether they could have walked there. The best joint assignment wins, and
whoever stays unassigned is somebody new. What proves wrong later is mended: two who stay together, never seen by one
camera at once, are one; and whom two cameras see apart for a while are two.

A person is where the cameras that show them say, weighed by their certainty, and is credited to the surest one.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge.doorways import Doorways
from edge.lines import Line
from edge.walkers import Walkers

__all__ = ["Fused", "Fusion", "FusionSettings"]

Point = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionSettings:
    """When two cameras show one person. Metres and seconds.

    fresh_seconds: so long what a camera saw last is where somebody is now.
    gap_seconds: how long somebody may be seen by nobody.
    error_m: what cameras disagree by, calibrated as well as people do it, beside what their pixels explain.
    gate: the largest halved squared distance, in standard deviations, of two views of one person when one is new.
    slack_m, walking, turning: as in stitching: what places may be off by, the fastest walk in metres a second, and
    how fast the place of somebody unseen becomes uncertain.
    unlikelihood: how far somebody seen again may be from certain.
    doorway_seconds: so soon somebody turns back in a doorway.
    together_m, together_seconds: who stays so near for so long is one person.
    young_seconds: who has been somebody for longer was really there, and cameras have since mixed two people up.
    apart_m, apart_seconds: whom cameras see so far apart for so long are two.
    """

    fresh_seconds: float = 0.6
    gap_seconds: float = 5.0
    error_m: float = 0.3
    gate: float = 1.5
    slack_m: float = 0.85
    walking: float = 2.0
    turning: float = 0.5
    unlikelihood: float = 5.0
    doorway_seconds: float = 1.0
    together_m: float = 0.6
    together_seconds: float = 1.5
    young_seconds: float = 8.0
    apart_m: float = 1.5
    apart_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """The scene after one camera's frame.

    people: everybody whom some camera shows now.
    in_frame, credited: bool, shape (n,), whom this frame shows; of those, who is credited to its camera.
    merged: pairs of ids, the second of which turned out never to have been anybody but the first.
    """

    people: Walkers
    in_frame: npt.NDArray[np.bool_]
    credited: npt.NDArray[np.bool_]
    merged: tuple[tuple[int, int], ...]


class Fusion:
    """The people of a scene with several cameras."""

    def __init__(self, settings: FusionSettings | None = None, doorways: Sequence[Line] = ()) -> None:
        self._settings = settings or FusionSettings()
        self._doorways = Doorways(doorways, y_up=True)
        self._people: dict[int, _Somebody] = {}
        self._owners: dict[tuple[str, int], int] = {}
        self._frame_at: dict[str, float] = {}
        self._together_since: dict[tuple[int, int], float] = {}
        self._next_id = 1

    def update(self, camera: str, seen: Walkers, spreads: npt.NDArray[np.float64]) -> Fused:
        """Take one camera's people and the covariances (n, 2, 2) of their places, in square metres.

        Who stands on no floor is passed over. Frames of all cameras come in order of time.
        """
        at = seen.at
        known = np.asarray(np.isfinite(np.hstack([seen.places, seen.first_places])).all(axis=1))
        seen, spreads = seen.rows(known), spreads[known]
        self._frame_at[camera] = at
        rows = {row: self._owners.get((camera, key)) for row, key in enumerate(seen.ids.tolist())}
        sights = [_Sight.of(seen, row, spreads[row]) for row in range(len(seen))]
        newcomers = [row for row, owner in rows.items() if owner is None]
        rows |= self._recognised(camera, sights, newcomers, taken={one for one in rows.values() if one is not None})
        for row, owner in rows.items():
            somebody = self._people[owner] if owner is not None else self._begin(sights[row])
            somebody.views[camera] = sights[row]
            self._owners[camera, sights[row].key] = somebody.id
        self._locate(at)
        merged = self._merge(at)
        self._part(camera, at)
        self._forget(at)
        return self._told(camera, at, merged)

    def _recognised(
        self, camera: str, sights: "Sequence[_Sight]", newcomers: Sequence[int], *, taken: set[int]
    ) -> dict[int, int]:
        """The person behind each row that is new to its camera, where there is one.

        Whom only this camera has seen of late, its own stitching knows better.
        """
        others = [one for one in self._people.values() if one.id not in taken and one.last_camera != camera]
        if not newcomers or not others:
            return {}
        costs = np.array([[self._unlikelihood(one, sights[row]) for one in others] for row in newcomers])
        limit = self._settings.unlikelihood
        pairs = zip(*linear_sum_assignment(np.minimum(costs, limit)), strict=True)
        return {newcomers[row]: others[column].id for row, column in pairs if costs[row, column] < limit}

    def _unlikelihood(self, somebody: "_Somebody", sight: "_Sight") -> float:
        """From 0; infinite where the two cannot be one person."""
        settings, gap = self._settings, sight.at - somebody.seen_at
        if gap <= settings.fresh_seconds:
            return self._disagreement(somebody, sight)
        if gap > settings.gap_seconds:
            return math.inf
        walked = math.dist(sight.first_place, somebody.place)
        unseen = max(sight.since - somebody.seen_at, 0.0)
        if walked > settings.slack_m + settings.walking * unseen:
            return math.inf
        if unseen > settings.doorway_seconds and self._goes_and_comes(somebody, sight):
            return math.inf
        spread = settings.slack_m / 2 + settings.turning * unseen
        return (walked / spread) ** 2 / 2 + math.log(spread / (settings.slack_m / 2))

    def _disagreement(self, somebody: "_Somebody", sight: "_Sight") -> float:
        """How badly two views of now fit, and of when the newer one began, in halved squared standard deviations."""
        settings = self._settings
        spread = sight.spread + somebody.spread + np.eye(2) * settings.error_m**2
        misses = [sight.place - somebody.place]
        then = somebody.place_at(sight.since)
        if then is not None:
            misses.append(sight.first_place - then)
        cost = float(np.mean([miss @ np.linalg.solve(spread, miss) / 2 for miss in misses]))
        return cost if cost <= settings.gate else math.inf

    def _goes_and_comes(self, somebody: "_Somebody", sight: "_Sight") -> bool:
        """Whether one walks out by a doorway and the other comes in by it."""
        came = (sight.place - sight.first_place) / max(sight.at - sight.since, 1e-3)
        went_out = self._doorways.walks_out(somebody.place, somebody.velocity(), body=sight.body)
        return went_out and self._doorways.walks_out(sight.first_place, -came, body=sight.body)

    def _begin(self, sight: "_Sight") -> "_Somebody":
        somebody = _Somebody(
            id=self._next_id, since=sight.since, first_place=sight.first_place, from_edge=sight.from_edge
        )
        self._people[somebody.id] = somebody
        self._next_id += 1
        return somebody

    def _locate(self, at: float) -> None:
        """Where everybody is, by the cameras that show them now."""
        for somebody in self._people.values():
            shown = self._shown(somebody, at)
            if not shown:
                continue
            weights = np.array([np.linalg.inv(sight.spread) for sight in shown.values()])
            somebody.spread = np.linalg.inv(weights.sum(axis=0))
            places = np.array([sight.place for sight in shown.values()])
            somebody.place = somebody.spread @ np.einsum("nij,nj->i", weights, places)
            somebody.seen_at = max(sight.at for sight in shown.values())
            somebody.last_camera = next(iter(shown)) if len(shown) == 1 else ""
            somebody.remember(somebody.seen_at)

    def _shown(self, somebody: "_Somebody", at: float) -> "dict[str, _Sight]":
        """By camera: what its last frame shows of somebody, if that was just now."""
        return {
            camera: sight
            for camera, sight in somebody.views.items()
            if sight.at == self._frame_at[camera] and at - sight.at <= self._settings.fresh_seconds
        }

    def _merge(self, at: float) -> tuple[tuple[int, int], ...]:
        """Make one of those who stay together without one camera ever showing both."""
        settings = self._settings
        there = [one for one in self._people.values() if self._shown(one, at)]
        together = {
            (elder.id, younger.id): self._together_since.get((elder.id, younger.id), at)
            for elder, younger in combinations(there, 2)
            if math.dist(elder.place, younger.place) <= settings.together_m and not elder.seen_beside(younger)
        }
        self._together_since = together
        merged = []
        for (elder, younger), since in together.items():
            if at - since >= settings.together_seconds and {elder, younger} <= self._people.keys():
                is_young = at - self._people[younger].since <= settings.young_seconds
                self._absorb(self._people[elder], self._people.pop(younger))
                merged += [(elder, younger)] if is_young else []
        return tuple(merged)

    def _absorb(self, elder: "_Somebody", younger: "_Somebody") -> None:
        elder.views |= younger.views
        for camera, sight in younger.views.items():
            self._owners[camera, sight.key] = elder.id
        if younger.since < elder.since:
            elder.since, elder.first_place, elder.from_edge = younger.since, younger.first_place, younger.from_edge

    def _part(self, camera: str, at: float) -> None:
        """Take from their persons whom this camera sees apart from the others; they are somebody else, or new."""
        settings = self._settings
        lost: list[_Sight] = []
        for somebody in self._people.values():
            shown = self._shown(somebody, at)
            if camera not in shown or len(shown) < 2:
                somebody.apart_since.pop(camera, None)
                continue
            others = [sight.place for name, sight in shown.items() if name != camera]
            apart = min(math.dist(shown[camera].place, place) for place in others)
            if apart <= settings.apart_m:
                somebody.apart_since.pop(camera, None)
            elif at - somebody.apart_since.setdefault(camera, at) >= settings.apart_seconds:
                del somebody.apart_since[camera]
                sight = somebody.views.pop(camera)
                somebody.last_camera = ""
                lost.append(replace(sight, since=at, first_place=sight.place, from_edge=False))
        if not lost:
            return
        self._locate(at)
        there = {one.id for one in self._people.values() if camera in self._shown(one, at)}
        owners = self._recognised(camera, lost, range(len(lost)), taken=there)
        for row, sight in enumerate(lost):
            somebody = self._people[owners[row]] if row in owners else self._begin(sight)
            somebody.views[camera] = sight
            self._owners[camera, sight.key] = somebody.id
        self._locate(at)

    def _forget(self, at: float) -> None:
        keep = self._settings.gap_seconds
        self._people = {key: one for key, one in self._people.items() if at - one.seen_at <= keep}
        for one in self._people.values():
            one.views = {camera: sight for camera, sight in one.views.items() if at - sight.at <= keep}
        self._owners = {
            (camera, sight.key): one.id for one in self._people.values() for camera, sight in one.views.items()
        }

    def _told(self, camera: str, at: float, merged: tuple[tuple[int, int], ...]) -> Fused:
        there = [(one, self._shown(one, at)) for _, one in sorted(self._people.items())]
        there = [(one, shown) for one, shown in there if shown]
        surest = [min(shown, key=lambda name: float(np.trace(shown[name].spread))) for _, shown in there]
        people = Walkers(
            at=at,
            ids=np.array([one.id for one, _ in there], np.int64),
            places=np.array([one.place for one, _ in there]).reshape(-1, 2),
            first_places=np.array([one.first_place for one, _ in there]).reshape(-1, 2),
            since=np.array([one.since for one, _ in there], np.float64),
            bodies=np.array([max(sight.body for sight in shown.values()) for _, shown in there], np.float64),
            confidence=np.array([max(sight.confidence for sight in shown.values()) for _, shown in there], np.float32),
            from_edge=np.array([one.from_edge for one, _ in there], np.bool_),
            at_edge=np.array([all(sight.at_edge for sight in shown.values()) for _, shown in there], np.bool_),
        )
        in_frame = np.array([camera in shown for _, shown in there], np.bool_)
        return Fused(
            people=people,
            in_frame=in_frame,
            credited=in_frame & np.array([name == camera for name in surest], np.bool_),
            merged=merged,
        )


_MEMORY_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """What one camera's frame shows of somebody; `key` is the camera's own id of them."""

    key: int
    at: float
    place: Point
    spread: npt.NDArray[np.float64]
    first_place: Point
    since: float
    body: float
    confidence: float
    from_edge: bool
    at_edge: bool

    @classmethod
    def of(cls, seen: Walkers, row: int, spread: npt.NDArray[np.float64]) -> "_Sight":
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
class _Somebody:
    """One person of the scene. `apart_since` says since when each camera sees them apart from the others."""

    id: int
    since: float
    first_place: Point
    from_edge: bool
    views: dict[str, _Sight] = field(default_factory=dict)
    place: Point = field(default_factory=lambda: np.full(2, np.nan))
    spread: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(2))
    seen_at: float = -math.inf
    last_camera: str = ""
    apart_since: dict[str, float] = field(default_factory=dict)
    _way: deque[tuple[float, Point]] = field(default_factory=deque)

    def remember(self, at: float) -> None:
        self._way.append((at, self.place))
        while at - self._way[0][0] > _MEMORY_SECONDS:
            self._way.popleft()

    def seen_beside(self, other: "_Somebody") -> bool:
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
