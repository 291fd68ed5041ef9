"""Makes one person of what several cameras see on one floor. Knows places, times and how sure they are; no pixels.

Each camera follows its own people. Somebody who is new to a camera is compared with everybody whom it does not show:
with those whom another camera shows now, by where both see them, weighed by how well each camera can tell; and with
those whom nobody has seen for a moment, by whether they could have walked there. The best joint assignment wins, and
whoever stays unassigned is somebody new.

Nothing of this is final, for cameras confuse people who pass each other. With each frame all people of its camera are
compared anew with whom the others show, by how well they have agreed of late, and the best joint assignment wins again:
two may turn out to be one, one to be two, and two to have changed places.

A person is where the cameras that show them say, weighed by their certainty, and is credited to the surest one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from edge.doorways import Doorways
from edge.lines import Line
from edge.sights import Point, Sight, Somebody, Spread, weighed
from edge.walkers import Walkers

__all__ = ["Fused", "Fusion", "FusionSettings"]

_NEVER = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionSettings:
    """When two cameras show one person. Metres and seconds.

    fresh_seconds: so long what a camera saw last is where somebody is now.
    gap_seconds: how long somebody may be seen by nobody. probation_seconds: so late a camera may be sure of somebody.
    error_m: what cameras disagree by, calibrated as well as people do it, beside what their pixels explain.
    gate: the largest halved squared distance, in standard deviations, of two views of one person when one is new.
    slack_m, walking, turning: as in stitching: what places may be off by, the fastest walk in metres a second, and
    how fast the place of somebody unseen becomes uncertain.
    unlikelihood: how far somebody seen again may be from certain.
    doorway_seconds: so soon somebody turns back in a doorway.
    lately_seconds: the time constant with which the cameras' disagreement over somebody is averaged.
    worst: the most that one moment counts. strange: what is assumed of two who were never compared.
    alone: whom nobody fits better than this is alone. loyalty: so much better than the present person another must fit.
    young_seconds: who has been somebody for longer was really there, and cameras have since mixed two people up.
    """

    fresh_seconds: float = 0.6
    gap_seconds: float = 5.0
    probation_seconds: float = 2.2
    error_m: float = 0.45
    gate: float = 1.5
    slack_m: float = 0.85
    walking: float = 2.0
    turning: float = 0.5
    unlikelihood: float = 5.0
    doorway_seconds: float = 1.0
    lately_seconds: float = 1.0
    worst: float = 8.0
    strange: float = 6.0
    alone: float = 5.0
    loyalty: float = 2.0
    young_seconds: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """The scene after one camera's frame.

    people: everybody whom some camera shows now.
    in_frame, credited: bool, shape (n,), whom this frame shows; of those, who is credited to its camera.
    merged: pairs of ids, the second of which turned out never to have been anybody but the first.
    doubted: ids that may yet turn out so.
    """

    people: Walkers
    in_frame: npt.NDArray[np.bool_]
    credited: npt.NDArray[np.bool_]
    merged: tuple[tuple[int, int], ...]
    doubted: frozenset[int]


class Fusion:
    """The people of a scene with several cameras."""

    def __init__(self, settings: FusionSettings | None = None, doorways: Sequence[Line] = ()) -> None:
        self._settings = settings or FusionSettings()
        self._doorways = Doorways(doorways, y_up=True)
        self._people: dict[int, Somebody] = {}
        self._owners: dict[tuple[str, int], int] = {}
        self._frame_at: dict[str, float] = {}
        self._disagreements: dict[tuple[str, int, int], float] = {}
        self._doubted: dict[str, frozenset[int]] = {}
        self._next_id = 1

    def update(self, camera: str, seen: Walkers, spreads: npt.NDArray[np.float64]) -> Fused:
        """Take one camera's people and the covariances (n, 2, 2) of their places, in square metres.

        Who stands on no floor is passed over. Frames of all cameras come in order of time.
        """
        at = seen.at
        known = np.asarray(np.isfinite(np.hstack([seen.places, seen.first_places])).all(axis=1))
        seen, spreads = seen.rows(known), spreads[known]
        passed = at - self._frame_at.get(camera, at)
        self._frame_at[camera] = at
        newcomers, known_ids = [], set()
        for sight in (Sight.of(seen, row, spreads[row]) for row in range(len(seen))):
            owner = self._owners.get((camera, sight.key))
            if owner is None:
                newcomers.append(sight)
            else:
                known_ids.add(owner)
                self._people[owner].views[camera] = sight
        self._welcome(camera, newcomers, taken=known_ids)
        merged = self._regroup(camera, at, passed)
        self._locate(at)
        self._forget(at)
        return self._told(camera, at, merged)

    def _welcome(self, camera: str, sights: Sequence[Sight], *, taken: set[int]) -> None:
        """Find out who these people of a camera are; they are none of the `taken`."""
        owners = self._recognised(camera, sights, taken=taken)
        for row, sight in enumerate(sights):
            somebody = self._people[owners[row]] if row in owners else self._begin(sight)
            somebody.views[camera] = sight

    def _recognised(self, camera: str, sights: Sequence[Sight], *, taken: set[int]) -> dict[int, int]:
        """The person behind each row that is new to its camera, where there is one.

        Whom only this camera has seen of late, its own stitching knows better.
        """
        others = [one for one in self._people.values() if one.id not in taken and one.last_camera != camera]
        if not sights or not others:
            return {}
        costs = np.array([[self._unlikelihood(one, sight) for one in others] for sight in sights])
        limit = self._settings.unlikelihood
        pairs = zip(*linear_sum_assignment(np.minimum(costs, limit)), strict=True)
        return {int(row): others[column].id for row, column in pairs if costs[row, column] < limit}

    def _unlikelihood(self, somebody: Somebody, sight: Sight) -> float:
        """From 0; infinite where the two cannot be one person."""
        settings, gap = self._settings, sight.at - somebody.seen_at
        if gap <= settings.fresh_seconds:
            return self._disagreement(somebody, sight)
        unseen = max(sight.since - somebody.seen_at, 0.0)
        if unseen > settings.gap_seconds:
            return math.inf
        walked = math.dist(sight.first_place, somebody.place)
        if walked > settings.slack_m + settings.walking * unseen:
            return math.inf
        if unseen > settings.doorway_seconds and self._goes_and_comes(somebody, sight):
            return math.inf
        spread = settings.slack_m / 2 + settings.turning * unseen
        return (walked / spread) ** 2 / 2 + math.log(spread / (settings.slack_m / 2))

    def _disagreement(self, somebody: Somebody, sight: Sight) -> float:
        """How badly two views of now fit, and of when the newer one began, in halved squared standard deviations."""
        spread = sight.spread + somebody.spread
        misses = [sight.place - somebody.place]
        then = somebody.place_at(sight.since)
        if then is not None:
            misses.append(sight.first_place - then)
        cost = float(np.mean([self._distance(miss, spread) for miss in misses]))
        return cost if cost <= self._settings.gate else math.inf

    def _goes_and_comes(self, somebody: Somebody, sight: Sight) -> bool:
        """Whether one walks out by a doorway and the other comes in by it."""
        came = (sight.place - sight.first_place) / max(sight.at - sight.since, 1e-3)
        went_out = self._doorways.walks_out(somebody.place, somebody.velocity(), body=sight.body)
        return went_out and self._doorways.walks_out(sight.first_place, -came, body=sight.body)

    def _begin(self, sight: Sight) -> Somebody:
        somebody = Somebody(
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
            somebody.place, somebody.spread = weighed(list(shown.values()))
            somebody.seen_at = max(sight.at for sight in shown.values())
            somebody.last_camera = next(iter(shown)) if len(shown) == 1 else ""
            somebody.remember(somebody.seen_at)

    def _shown(self, somebody: Somebody, at: float) -> dict[str, Sight]:
        """By camera: what its last frame shows of somebody, if that was just now."""
        return {
            camera: sight
            for camera, sight in somebody.views.items()
            if sight.at == self._frame_at[camera] and at - sight.at <= self._settings.fresh_seconds
        }

    def _regroup(self, camera: str, at: float, passed: float) -> tuple[tuple[int, int], ...]:
        """Have each of a camera's people be whom the others have shown there of late, or alone; who was never real."""
        mine = {one.id: one.views[camera] for one in self._people.values() if _is_at(one.views.get(camera), at)}
        there = self._elsewhere(camera, at)
        costs = self._costs(camera, mine, there, passed)
        ids, owners = list(there), list(mine)
        targets = [ids[column] if column < len(ids) else None for column in linear_sum_assignment(costs)[1]]
        moves = [
            (owner, target)
            for owner, target in zip(owners, targets, strict=True)
            if target != owner and (target is not None or owner in there)
        ]
        for owner, _ in moves:
            del self._people[owner].views[camera]
        became: dict[int, int] = {}
        merged = []
        for owner, target in moves:
            if target is None:
                continue
            somebody = self._people[became.get(target, target)]
            somebody.views[camera] = mine[owner]
            if owner not in there:
                elder, younger = sorted((self._people[owner], somebody), key=lambda one: one.id)
                merged += [(elder.id, younger.id)] if at - younger.since <= self._settings.young_seconds else []
                elder.absorb(self._people.pop(younger.id))
                became[younger.id] = elder.id
        alone = [mine[owner] for owner, target in moves if target is None]
        if alone:
            self._locate(at)
            shown = {one.id for one in self._people.values() if camera in self._shown(one, at)}
            anew = [replace(sight, since=at, first_place=sight.place, from_edge=False) for sight in alone]
            self._welcome(camera, anew, taken=shown | {owner for owner, _ in moves})
        return tuple(merged)

    def _elsewhere(self, camera: str, at: float) -> dict[int, tuple[Point, Spread]]:
        """Where the other cameras show people now, and how surely, by id."""
        views = {one.id: self._shown(one, at) for one in self._people.values()}
        others = {key: [sight for name, sight in shown.items() if name != camera] for key, shown in views.items()}
        return {key: weighed(sights) for key, sights in others.items() if sights}

    def _costs(
        self, camera: str, mine: dict[int, Sight], there: dict[int, tuple[Point, Spread]], passed: float
    ) -> npt.NDArray[np.float64]:
        """How badly each of a camera's people (rows) fits those whom others show, and then being alone (columns).

        Who is shown by this camera alone cannot be somebody whom it has shown beside them.
        """
        settings = self._settings
        newest = 1 - math.exp(-passed / settings.lately_seconds)
        costs = np.full((len(mine), len(there) + len(mine)), _NEVER)
        lately: dict[tuple[str, int, int], float] = {}
        doubted: set[int] = set()
        for row, (owner, sight) in enumerate(mine.items()):
            costs[row, len(there) + row] = settings.alone
            for column, (other, (place, spread)) in enumerate(there.items()):
                now = min(self._distance(sight.place - place, sight.spread + spread), settings.worst)
                before = self._disagreements.get(
                    (camera, sight.key, other), now if other == owner else settings.strange
                )
                lately[camera, sight.key, other] = disagreement = before + newest * (now - before)
                if other == owner:
                    costs[row, column] = disagreement - settings.loyalty
                elif owner in there or not self._people[owner].seen_beside(self._people[other]):
                    costs[row, column] = disagreement
                    if owner not in there and other not in mine and now < settings.alone:
                        doubted.add(max(owner, other))
        self._disagreements = {key: one for key, one in self._disagreements.items() if key[0] != camera} | lately
        self._doubted[camera] = frozenset(doubted)
        return costs

    def _distance(self, miss: Point, spread: Spread) -> float:
        """How far two views are from being of one place, in halved squared standard deviations."""
        return float(miss @ np.linalg.solve(spread + np.eye(2) * self._settings.error_m**2, miss)) / 2

    def _forget(self, at: float) -> None:
        keep = self._settings.gap_seconds + self._settings.probation_seconds
        self._people = {key: one for key, one in self._people.items() if at - one.seen_at <= keep}
        for one in self._people.values():
            one.views = {camera: sight for camera, sight in one.views.items() if at - sight.at <= keep}
        self._owners = {
            (camera, sight.key): one.id for one in self._people.values() for camera, sight in one.views.items()
        }
        self._doubted = {
            camera: doubted
            for camera, doubted in self._doubted.items()
            if at - self._frame_at[camera] <= self._settings.fresh_seconds
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
            doubted=frozenset().union(*self._doubted.values()),
        )


def _is_at(sight: Sight | None, at: float) -> bool:
    return sight is not None and sight.at == at
