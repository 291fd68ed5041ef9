"""The made-up shop of the demo, and the truth about it: who came, stayed and went, by the walks that are drawn.

Knows nothing of pictures or of what was counted. Times are seconds of the film.
"""

import math
from dataclasses import dataclass
from random import Random

import numpy as np

from edge.camera.shop import Lens, Person, arrivals
from tools.demo.screen import Figures

__all__ = ["DOOR_PX", "PEOPLE_PER_MINUTE", "RATE", "SEED", "SIZE", "Shop", "Stay"]

SIZE = (640, 480)
RATE = 10.0
SEED = 1
PEOPLE_PER_MINUTE = 6.0
DOOR_PX = 64
"""How far from either edge of the picture the line of a door is. Nobody turns back there."""
GAP_SECONDS = 5.0
"""A visit is over when its person was out of sight so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One person: when their feet are first and last in the picture, and when they walk in and out over a door's line.

    Who never does the latter has infinity there.
    """

    first_seen: float
    last_seen: float
    walks_in: float
    walks_out: float


class Shop:
    """What is true of the first `seconds` of the film."""

    def __init__(self, *, seconds: float) -> None:
        lens = Lens(size=SIZE)
        people = arrivals(Random(SEED), lens=lens, seconds=seconds, people_per_minute=PEOPLE_PER_MINUTE)
        stays = (_stay(person, lens) for person in people)
        self.stays = tuple(stay for stay in stays if stay is not None)

    def figures(self, now: float, *, crossings_until: float) -> Figures:
        """What ought to be counted by `now`, of crossings those until another moment."""
        return Figures(
            in_view=sum(stay.first_seen <= now <= stay.last_seen for stay in self.stays),
            visits=sum(stay.last_seen + GAP_SECONDS < now for stay in self.stays),
            walked_in=sum(stay.walks_in < crossings_until for stay in self.stays),
            walked_out=sum(stay.walks_out < crossings_until for stay in self.stays),
        )


def _stay(person: Person, lens: Lens) -> Stay | None:
    moments = np.arange(math.ceil(person.times[0] * RATE), math.floor(person.times[-1] * RATE) + 1) / RATE
    x, y = (np.interp(moments, person.times, person.places[:, axis]) for axis in (0, 1))
    across = lens.project(np.stack([x, y, np.zeros_like(x)], axis=1))[:, 0]
    in_picture = moments[(across >= 0) & (across < SIZE[0])]
    inside = moments[(across > DOOR_PX) & (across < SIZE[0] - DOOR_PX)]
    if not in_picture.size:
        return None
    return Stay(
        first_seen=float(in_picture[0]),
        last_seen=float(in_picture[-1]),
        walks_in=float(inside[0]) if inside.size else math.inf,
        walks_out=float(inside[-1]) if inside.size else math.inf,
    )
