"""Who is in a camera's picture, where, and how much of them is in sight: the truth that drawn frames are judged by.

Knows bodies, blocks and rays, exactly. Refuses to draw.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from edge.synthetic.figure import LIMBS, RADII, STRIDES_PER_SECOND, TALL_M, Joint, joints
from edge.synthetic.lens import Lens
from edge.synthetic.life import Crowd, Person
from edge.synthetic.plan import BLOCKS, Block

__all__ = ["IN_SIGHT", "Seen", "Sightings", "Truth", "TruthFrame", "TruthVisit", "hides", "seen_at", "truth_of"]

Points = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

IN_SIGHT = 0.5
"""The share of a body from which on somebody is in sight."""

_NEAREST_M = 0.3
_STARTS = np.array([limb.start for limb in LIMBS])
_ENDS = np.array([limb.end for limb in LIMBS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A person as a camera sees them.

    `joints`: pixels (16, 2), and `radii` around them in pixels (16,), as `figure.Joint` names them. `box` is their
    outline (left, top, right, bottom), unclipped; `feet` the pixel of `floor`, the metres where they stand.
    `visible` is the share of the body that is in the picture and behind nothing and nobody.
    """

    person: int
    joints: Points
    radii: Points
    depth: float
    box: tuple[float, float, float, float]
    feet: tuple[float, float]
    floor: tuple[float, float]
    visible: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthFrame:
    """Who is in one frame, hidden or not.

    ids int64 (n,); boxes float32 (n, 4), of the whole body, clipped to the picture; feet in pixels, perhaps below the
    picture, and floor in metres, float32 (n, 2); visible float32 (n,), the share of each body that is in sight.
    """

    at: float
    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    feet: npt.NDArray[np.float32]
    floor: npt.NDArray[np.float32]
    visible: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthVisit:
    """One person's stay before a camera: the first and the last frame's moment in which they are in sight.

    In between they may have been out of sight for a short while. Who is back later is another visit.
    """

    id: int
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a drawn film shows, frame by frame and visit by visit."""

    frames: tuple[TruthFrame, ...]
    visits: tuple[TruthVisit, ...]


class Sightings:
    """Joins moments at which people are in sight to visits; `visits` are in order of their beginning."""

    def __init__(self, *, gap_seconds: float = 5.0) -> None:
        self._gap_seconds = gap_seconds
        self._latest: dict[int, int] = {}
        self.visits: list[TruthVisit] = []

    def add(self, at: float, seen: Iterable[Seen]) -> None:
        """Everyone whose outline is in the picture of this moment, in sight or not."""
        for person in (one.person for one in seen if one.visible >= IN_SIGHT):
            place = self._latest.get(person)
            if place is None or at - self.visits[place].last_seen > self._gap_seconds:
                self._latest[person] = len(self.visits)
                self.visits.append(TruthVisit(id=person, first_seen=at, last_seen=at))
            else:
                self.visits[place] = replace(self.visits[place], last_seen=at)


def truth_of(moments: Sequence[float], start_at: float, people: Iterable[Person], lens: Lens) -> Truth:
    """The truth of a film whose frames show `moments` seconds after `start_at`."""
    crowd, sightings = Crowd(people), Sightings()
    frames = []
    for moment in moments:
        seen = seen_at(moment, crowd.at(moment), lens)
        sightings.add(start_at + moment, seen)
        frames.append(_truth_frame(start_at + moment, seen, lens))
    return Truth(frames=tuple(frames), visits=tuple(sightings.visits))


def seen_at(seconds: float, people: Sequence[Person], lens: Lens) -> list[Seen]:
    """Everyone whose outline is in the picture then, farthest first."""
    bodies = [body for person in people if (body := _Body.of(person, seconds, lens)) is not None]
    bodies.sort(key=lambda body: -body.depth)
    return [body.seen(lens, bodies[number + 1 :]) for number, body in enumerate(bodies)]


def hides(block: Block, lens: Lens, place: tuple[float, float]) -> bool:
    """Whether a block may stand before somebody at this place.

    It may not where one of its sides has the place and the camera on its outside: that side parts the two.
    """
    ground = block.ground
    (x, y), pose = place, lens.pose
    parts = (
        x <= ground.left and pose.x <= ground.left,
        x >= ground.right and pose.x >= ground.right,
        y <= ground.bottom and pose.y <= ground.bottom,
        y >= ground.top and pose.y >= ground.top,
    )
    return not any(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """A person before a camera, on their own."""

    person: int
    floor: tuple[float, float]
    solid: Points
    flat: Points
    radii: Points
    depth: float
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, person: Person, seconds: float, lens: Lens) -> "_Body | None":
        """None where no part of the outline is in the picture."""
        posture = person.posture(seconds)
        stride = math.sin(2 * math.pi * STRIDES_PER_SECOND * seconds + person.id) if posture.walking else 0.0
        solid = joints(place=posture.place, height_m=person.height_m, facing=posture.facing, stride=stride)
        depths = lens.depth(solid)
        if depths.min() < _NEAREST_M:
            return None
        flat = lens.project(solid)
        radii = RADII * (person.height_m / TALL_M) * lens.focal_px / depths
        low, high = (flat - radii[:, None]).min(axis=0), (flat + radii[:, None]).max(axis=0)
        if (high <= 0).any() or (low >= lens.size).any():
            return None
        return cls(
            person=person.id,
            floor=posture.place,
            solid=solid,
            flat=flat,
            radii=radii,
            depth=float(depths[Joint.BELLY]),
            box=cast("tuple[float, float, float, float]", (*low.tolist(), *high.tolist())),
        )

    def seen(self, lens: Lens, nearer: Sequence["_Body"]) -> Seen:
        """With what stands before it."""
        solid = np.concatenate([self.solid, (self.solid[_STARTS] + self.solid[_ENDS]) / 2])
        flat = np.concatenate([self.flat, (self.flat[_STARTS] + self.flat[_ENDS]) / 2])
        clear = ((flat >= 0) & (flat < lens.size)).all(axis=1) & ~_behind_blocks(lens.place, solid)
        for other in nearer:
            if _overlap(self.box, other.box):
                clear &= ~other.covers(flat)
        feet = lens.project(np.array([[*self.floor, 0.0]]))[0]
        return Seen(
            person=self.person,
            joints=self.flat,
            radii=self.radii,
            depth=self.depth,
            box=self.box,
            feet=(float(feet[0]), float(feet[1])),
            floor=self.floor,
            visible=float(clear.mean()),
        )

    def covers(self, points: Points) -> Flags:
        """Which pixels (n, 2) lie on this body's limbs."""
        start, end = self.flat[_STARTS], self.flat[_ENDS]
        along = end - start
        relative = points[:, None] - start
        share = ((relative * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-9)).clip(0, 1)
        thick = self.radii[_STARTS] + share * (self.radii[_ENDS] - self.radii[_STARTS])
        return np.asarray((np.hypot(*np.moveaxis(relative - share[..., None] * along, 2, 0)) < thick).any(axis=1))


_LOW = np.array([(block.ground.left, block.ground.bottom, 0.0) for block in BLOCKS])
_HIGH = np.array([(block.ground.right, block.ground.top, block.height_m) for block in BLOCKS])


def _behind_blocks(eye: Points, points: Points) -> Flags:
    """Which points (n, 3) a block hides from the eye (3,): the way there passes through it (slab method)."""
    way = points[:, None] - eye
    way = np.where(way == 0, 1e-12, way)
    first, last = (_LOW - eye) / way, (_HIGH - eye) / way
    enters = np.minimum(first, last).max(axis=2)
    leaves = np.maximum(first, last).min(axis=2)
    return np.asarray(((enters < leaves) & (leaves > 0) & (enters < 1)).any(axis=1))


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _truth_frame(at: float, seen: list[Seen], lens: Lens) -> TruthFrame:
    boxes = np.asarray([one.box for one in seen], dtype=np.float32).reshape(-1, 4)
    return TruthFrame(
        at=at,
        ids=np.asarray([one.person for one in seen], dtype=np.int64),
        boxes=np.clip(boxes, 0, np.asarray([*lens.size, *lens.size], dtype=np.float32)),
        feet=np.asarray([one.feet for one in seen], dtype=np.float32).reshape(-1, 2),
        floor=np.asarray([one.floor for one in seen], dtype=np.float32).reshape(-1, 2),
        visible=np.asarray([one.visible for one in seen], dtype=np.float32),
    )
