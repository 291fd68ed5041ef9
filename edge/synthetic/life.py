"""Who comes into the made-up shop, and every step they take.

Knows habits and chance, on the ways of `plan`. Refuses to know cameras. Times are seconds of the shop's own time. The
same randomness gives the same people.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from edge.synthetic.plan import (
    AISLES,
    CORRIDORS_X,
    DOORWAY_X,
    QUEUE_STEP_M,
    QUEUE_X,
    SPOTS,
    STREET_Y,
    TILL_Y,
    Point,
    Spot,
)
from edge.synthetic.till import STEP_SECONDS, QueueStay, Till, Turn

__all__ = ["BRISK", "UNHURRIED", "Crowd", "Habits", "Person", "Posture", "arriving", "seeded_visitors", "visitors"]

Points = npt.NDArray[np.float64]
Range = tuple[float, float]

_MARGIN_M = 0.45
"""How far from a doorpost people pass."""
_MEETING_M = 0.8
_KNOWN_STOPS = 30
"""How many stops of people before are remembered, to meet them there."""
_LONGEST_BROWSING_SECONDS = 1200.0
"""Somebody who came earlier than this has long turned to the till or gone, so that their walk is certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How long people take, in seconds, from and to; and which share of them does what."""

    stop_seconds: Range
    service_seconds: Range
    patience_seconds: Range
    most_stops: int = 4
    buy_share: float = 0.5
    pair_share: float = 0.12
    meet_share: float = 0.15


BRISK = Habits(stop_seconds=(2.0, 9.0), service_seconds=(6.0, 14.0), patience_seconds=(30.0, 120.0))
"""A shop in which much happens in a minute: for films."""
UNHURRIED = Habits(stop_seconds=(10.0, 150.0), service_seconds=(20.0, 70.0), patience_seconds=(120.0, 600.0))
"""A shop as shops are: for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """How somebody stands: where, in metres; facing where they go or last went, in radians from x; and if they walk."""

    place: Point
    facing: float
    walking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone's whole walk: at `times` seconds (n,) they are at `places` metres (n, 2), and between them in between."""

    id: int
    height_m: float
    times: Points
    places: Points
    queue: QueueStay | None = None

    def posture(self, seconds: float) -> Posture:
        """Where they are then; before they come and after they went, where that was."""
        leg = min(max(int(np.searchsorted(self.times, seconds, side="right")), 1), len(self.times) - 1)
        x, y = (float(np.interp(seconds, self.times, self.places[:, axis])) for axis in (0, 1))
        walking = math.dist(self.places[leg - 1], self.places[leg]) > 0
        across, along = self.places[leg] - self.places[leg - 1 if walking else max(leg - 2, 0)]
        return Posture(place=(x, y), facing=math.atan2(along, across), walking=walking)


class Crowd:
    """Who is there at a moment; moments must not go back."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._coming = iter(people)
        self._there: list[Person] = []
        self._known_until = -math.inf

    def at(self, seconds: float) -> list[Person]:
        """Everyone who has come and not gone by then, in order of their coming."""
        while self._known_until < seconds + _LONGEST_BROWSING_SECONDS:
            person = next(self._coming, None)
            if person is None:
                break
            self._there.append(person)
            self._known_until = max(self._known_until, person.times[0])
        self._there = [person for person in self._there if person.times[-1] >= seconds]
        return sorted((one for one in self._there if one.times[0] <= seconds), key=lambda one: one.id)


def arriving(random: Random, *, per_minute: float, until: float) -> Iterator[float]:
    """Moments at which people come, by chance (Poisson)."""
    moment = random.expovariate(per_minute / 60) if per_minute > 0 else math.inf
    while moment < until:
        yield moment
        moment += random.expovariate(per_minute / 60)


def visitors(random: Random, arrivals: Iterable[float], habits: Habits = BRISK) -> Iterator[Person]:
    """Everyone who comes, as soon as their whole walk is certain; `arrivals` ascend."""
    shop = _Shop(random, habits)
    for moment in arrivals:
        yield from shop.buyers_until(moment)
        yield from shop.admit(moment)
    yield from shop.buyers_until(math.inf)


def seeded_visitors(seed: int, *, per_minute: float, until: float) -> Iterator[Person]:
    """Everyone who comes in a film, to each camera and each judge of it the same."""
    moments = arriving(Random(f"{seed} arrivals"), per_minute=per_minute, until=until)
    return visitors(Random(f"{seed} people"), moments)


@dataclass(slots=True)
class _Walk:
    """A walk in the making, at a steady pace."""

    number: int
    pace: float
    lane: float
    """How far beside the middle of an aisle this person goes, in metres."""
    places: list[Point]
    times: list[float]
    aisle: int = 0
    stops: list[tuple[Spot, Point, float, float]] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.times[-1]

    def go(self, *ways: Point) -> None:
        for place in ways:
            distance = math.dist(self.places[-1], place)
            if distance > 0:
                self.times.append(self.now + distance / self.pace)
                self.places.append(place)

    def wait_until(self, moment: float) -> None:
        if moment > self.now:
            self.times.append(moment)
            self.places.append(self.places[-1])

    def go_to_aisle(self, aisle: int, x: float) -> None:
        """Along the aisles and corridors to this x in the middle of an aisle."""
        here = self.places[-1][0]
        lane = AISLES[self.aisle] + self.lane
        if aisle == self.aisle:
            self.go((here, lane), (x, lane))
            return
        corridor = min(CORRIDORS_X, key=lambda way: abs(way - here) + abs(way - x)) + self.lane
        there = AISLES[aisle] + self.lane
        self.go((here, lane), (corridor, lane), (corridor, there), (x, there))
        self.aisle = aisle

    def leave(self, door_x: float, street_x: float) -> None:
        self.go_to_aisle(0, door_x)
        self.go((door_x, STREET_Y), (street_x, STREET_Y))

    def person(self, random: Random, queue: QueueStay | None = None) -> Person:
        return Person(
            id=self.number,
            height_m=random.uniform(1.55, 1.9),
            times=np.asarray(self.times),
            places=np.asarray(self.places),
            queue=queue,
        )


class _Shop:
    """Plans people in the order in which they come, and the till in the order in which they turn to it."""

    def __init__(self, random: Random, habits: Habits) -> None:
        self._random = random
        self._habits = habits
        self._till = Till()
        self._coming: list[tuple[float, int, _Walk]] = []
        self._stops: list[tuple[Spot, Point, float, float]] = []
        self._number = 0

    def admit(self, moment: float) -> Iterator[Person]:
        """Someone comes, perhaps with a companion; who wants to buy is planned to the end later."""
        random, habits = self._random, self._habits
        walk = self._enter(moment)
        for _ in range(random.randint(1, habits.most_stops)):
            self._browse(walk)
        if random.random() < habits.meet_share:
            self._meet(walk)
        self._stops = [*self._stops, *walk.stops][-_KNOWN_STOPS:]
        paired = random.random() < habits.pair_share
        if not paired and random.random() < habits.buy_share:
            heapq.heappush(self._coming, (walk.now, walk.number, walk))
            return
        walk.leave(self._door_x(), self._street_x())
        leader = walk.person(random)
        yield leader
        if paired:
            yield self._companion(leader)

    def buyers_until(self, moment: float) -> Iterator[Person]:
        """Those who turned to the till before this moment."""
        while self._coming and self._coming[0][0] <= moment:
            _, _, walk = heapq.heappop(self._coming)
            yield self._buyer(walk)

    def _enter(self, moment: float) -> _Walk:
        random = self._random
        self._number += 1
        walk = _Walk(
            number=self._number,
            pace=random.uniform(0.8, 1.4),
            lane=random.uniform(-0.2, 0.2),
            places=[(self._street_x(), STREET_Y)],
            times=[moment],
        )
        door_x = self._door_x()
        walk.go((door_x, STREET_Y), (door_x, AISLES[0] + walk.lane))
        return walk

    def _browse(self, walk: _Walk) -> None:
        spot = self._random.choice(SPOTS)
        share = self._random.random()
        x, y = (a + share * (b - a) for a, b in zip(spot.start, spot.end, strict=True))
        walk.go_to_aisle(spot.aisle, x)
        walk.go((x, y))
        arrived = walk.now
        walk.wait_until(arrived + self._random.uniform(*self._habits.stop_seconds))
        walk.stops.append((spot, (x, y), arrived, walk.now))

    def _meet(self, walk: _Walk) -> None:
        """Go and stand with somebody who will still be looking at something, if there is anybody."""
        here = walk.places[-1]
        for spot, (x, y), start, end in reversed(self._stops):
            soonest = walk.now + (abs(x - here[0]) + abs(y - here[1])) / walk.pace
            if start < soonest < end - 1:
                beside = x + math.copysign(_MEETING_M, here[0] - x)
                walk.go_to_aisle(spot.aisle, beside)
                walk.go((beside, y))
                walk.wait_until(max(end, walk.now + self._habits.stop_seconds[0]))
                return

    def _buyer(self, walk: _Walk) -> Person:
        random, habits = self._random, self._habits
        decided_at = walk.now
        place = self._till.places_taken(decided_at)
        before = (len(walk.times), walk.aisle)
        self._walk_into_line(walk, place)
        turn = self._till.join(
            decided_at=decided_at,
            arrives_at=walk.now,
            service_seconds=random.uniform(*habits.service_seconds),
            patience_seconds=random.uniform(*habits.patience_seconds),
        )
        if turn is None:
            length, walk.aisle = before
            del walk.times[length:], walk.places[length:]
        else:
            self._wait_in_line(walk, turn)
        walk.leave(self._door_x(), self._street_x())
        return walk.person(random, turn.stay if turn else None)

    def _walk_into_line(self, walk: _Walk, place: int) -> None:
        y = TILL_Y + place * QUEUE_STEP_M
        walk.go_to_aisle(walk.aisle, CORRIDORS_X[1] + walk.lane)
        walk.go((CORRIDORS_X[1] + walk.lane, y), (QUEUE_X, y))

    def _wait_in_line(self, walk: _Walk, turn: Turn) -> None:
        place = turn.first_place
        for step in turn.steps:
            place -= 1
            walk.wait_until(step)
            walk.places.append((QUEUE_X, TILL_Y + place * QUEUE_STEP_M))
            walk.times.append(step + STEP_SECONDS)
        walk.wait_until(turn.gone_at)
        walk.aisle = 0
        walk.go((CORRIDORS_X[1] + walk.lane, walk.places[-1][1]))

    def _companion(self, leader: Person) -> Person:
        """Somebody who stays at the leader's side."""
        self._number += 1
        beside = np.array([self._random.choice([-0.4, 0.4]), 0.15])
        return Person(
            id=self._number,
            height_m=self._random.uniform(1.5, 1.9),
            times=leader.times + 0.3,
            places=leader.places + beside,
        )

    def _door_x(self) -> float:
        return self._random.uniform(DOORWAY_X[0] + _MARGIN_M, DOORWAY_X[1] - _MARGIN_M)

    def _street_x(self) -> float:
        middle = sum(DOORWAY_X) / 2
        return middle + self._random.choice([-1, 1]) * self._random.uniform(3.5, 4.5)
