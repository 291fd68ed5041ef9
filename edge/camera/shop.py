"""A made-up shop floor: who walks where and when, and where a camera would see them.

Knows people as points with a height on a floor in metres, and a pinhole camera on the wall. Knows
everything exactly, so it is the truth that drawn frames are judged by. Refuses to draw.
"""

import math
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

__all__ = ["Lens", "Person", "Seen", "Truth", "TruthFrame", "TruthVisit", "arrivals", "seen_at", "truth_of"]

Points = npt.NDArray[np.float64]

NEAREST_M, FARTHEST_M = 4.0, 10.5
"""Distance along the floor between which people walk, from the point under the camera."""
BEYOND_EDGE_M = 0.8
"""How far outside the picture a walk begins and ends."""
SHOULDERS_M = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A pinhole camera `height_m` above the floor's origin, looking along +y and down by `tilt_degrees`."""

    size: tuple[int, int]
    height_m: float = 3.2
    tilt_degrees: float = 30.0
    focal_share: float = 0.8
    """Focal length as a share of the picture's width."""

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.focal_share * self.size[0]

    def project(self, points: Points) -> Points:
        """Pixels (n, 2) of points in metres (n, 3): x right, y away, z up."""
        sine, cosine = self._tilt()
        below = self.height_m - points[:, 2]
        depth = points[:, 1] * cosine + below * sine
        u = self.size[0] / 2 + self.focal_px * points[:, 0] / depth
        v = self.size[1] / 2 + self.focal_px * (below * cosine - points[:, 1] * sine) / depth
        return np.stack([u, v], axis=1)

    def floor_at(self, pixels: Points) -> Points:
        """Floor metres (n, 2) under pixels (n, 2); NaN at and above the horizon."""
        sine, cosine = self._tilt()
        right = (pixels[:, 0] - self.size[0] / 2) / self.focal_px
        down = (pixels[:, 1] - self.size[1] / 2) / self.focal_px
        descent = sine + down * cosine
        reach = self.height_m / np.where(descent > 0, descent, np.nan)
        return np.stack([right * reach, (cosine - down * sine) * reach], axis=1)

    def half_width_m(self, distance_m: float) -> float:
        """How far to either side the picture reaches on the floor at this distance."""
        sine, cosine = self._tilt()
        return (distance_m * cosine + self.height_m * sine) * self.size[0] / 2 / self.focal_px

    def _tilt(self) -> tuple[float, float]:
        return math.sin(math.radians(self.tilt_degrees)), math.cos(math.radians(self.tilt_degrees))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone's whole walk: at `times` seconds (n,) they are at `places` metres (n, 2), and between them in between."""

    id: int
    height_m: float
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    """Of coat and trousers, blue-green-red."""
    times: Points
    places: Points

    def place(self, seconds: float) -> tuple[float, float] | None:
        """Where they stand then, in floor metres; None before they come and after they went."""
        if not self.times[0] <= seconds <= self.times[-1]:
            return None
        x, y = (float(np.interp(seconds, self.times, self.places[:, axis])) for axis in (0, 1))
        return x, y


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A person as the camera sees them: box in pixels (left, top, right, bottom), unclipped; feet; floor metres."""

    person: Person
    box: tuple[float, float, float, float]
    feet: tuple[float, float]
    floor: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthFrame:
    """Who is in one frame.

    ids int64 (n,); boxes float32 (n, 4), clipped to the picture; feet in pixels and floor in metres float32 (n, 2).
    """

    at: float
    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    feet: npt.NDArray[np.float32]
    floor: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthVisit:
    """One person's stay in the picture: the first and the last frame's moment with their feet in it."""

    id: int
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a drawn film shows, frame by frame and visit by visit."""

    frames: tuple[TruthFrame, ...]
    visits: tuple[TruthVisit, ...]


def arrivals(random: Random, *, lens: Lens, seconds: float, people_per_minute: float) -> tuple[Person, ...]:
    """People arriving by chance (Poisson), each with a walk of their own."""
    people: list[Person] = []
    moment = random.expovariate(people_per_minute / 60)
    while moment < seconds:
        people.append(_person(random, number=len(people) + 1, arrives=moment, lens=lens))
        moment += random.expovariate(people_per_minute / 60)
    return tuple(people)


def seen_at(seconds: float, people: tuple[Person, ...], lens: Lens) -> list[Seen]:
    """Everyone on the floor then, farthest first; some may be outside the picture."""
    seen = []
    for person in people:
        place = person.place(seconds)
        if place is not None:
            seen.append(_seen(person, place, lens))
    return sorted(seen, key=lambda one: -one.floor[1])


def truth_of(moments: list[float], start_at: float, people: tuple[Person, ...], lens: Lens) -> Truth:
    """The truth of a film whose frames show `moments` seconds after `start_at`."""
    frames = tuple(_truth_frame(start_at + moment, seen_at(moment, people, lens), lens) for moment in moments)
    spans: dict[int, tuple[float, float]] = {}
    for frame in frames:
        for number in frame.ids.tolist():
            spans[number] = (spans.get(number, (frame.at, frame.at))[0], frame.at)
    visits = tuple(TruthVisit(id=number, first_seen=a, last_seen=b) for number, (a, b) in spans.items())
    return Truth(frames=frames, visits=visits)


def _person(random: Random, *, number: int, arrives: float, lens: Lens) -> Person:
    entrance = random.choice([-1, 1])
    places = [_beyond_edge(random, entrance, lens)]
    for _ in range(random.randint(1, 3)):
        distance = random.uniform(NEAREST_M, FARTHEST_M)
        places.append((random.uniform(-0.7, 0.7) * lens.half_width_m(distance), distance))
    places.append(_beyond_edge(random, random.choice([-1, 1]), lens))
    times, walk = _walk(random, arrives, places)
    return Person(
        id=number,
        height_m=random.uniform(1.55, 1.9),
        colours=(_colour(random), _colour(random)),
        times=np.asarray(times),
        places=np.asarray(walk),
    )


def _beyond_edge(random: Random, side: int, lens: Lens) -> tuple[float, float]:
    distance = random.uniform(NEAREST_M, FARTHEST_M)
    return side * (lens.half_width_m(distance) + BEYOND_EDGE_M), distance


def _walk(
    random: Random, arrives: float, places: list[tuple[float, float]]
) -> tuple[list[float], list[tuple[float, float]]]:
    """Moments and places of a walk at a steady pace with a pause at each place between the ends."""
    pace = random.uniform(0.8, 1.4)
    times, walk = [arrives], [places[0]]
    for place in places[1:]:
        times.append(times[-1] + math.dist(walk[-1], place) / pace)
        walk.append(place)
        if place is not places[-1]:
            times.append(times[-1] + random.uniform(0.5, 6.0))
            walk.append(place)
    return times, walk


def _colour(random: Random) -> tuple[int, int, int]:
    return random.randint(10, 230), random.randint(10, 230), random.randint(10, 230)


def _seen(person: Person, place: tuple[float, float], lens: Lens) -> Seen:
    x, y = place
    half = SHOULDERS_M / 2
    feet, head, left, right = lens.project(
        np.asarray([(x, y, 0), (x, y, person.height_m), (x - half, y, 0), (x + half, y, 0)], dtype=np.float64)
    ).tolist()
    box = (left[0], head[1], right[0], feet[1])
    return Seen(person=person, box=box, feet=(feet[0], feet[1]), floor=place)


def _truth_frame(at: float, seen: list[Seen], lens: Lens) -> TruthFrame:
    width, height = lens.size
    inside = [one for one in seen if 0 <= one.feet[0] < width and 0 <= one.feet[1] < height]
    boxes = np.asarray([one.box for one in inside], dtype=np.float32).reshape(-1, 4)
    limits = np.asarray([width, height, width, height], dtype=np.float32)
    return TruthFrame(
        at=at,
        ids=np.asarray([one.person.id for one in inside], dtype=np.int64),
        boxes=np.clip(boxes, 0, limits),
        feet=np.asarray([one.feet for one in inside], dtype=np.float32).reshape(-1, 2),
        floor=np.asarray([one.floor for one in inside], dtype=np.float32).reshape(-1, 2),
    )
