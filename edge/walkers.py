"""The people of one moment on the floor: what zones, lines, visits and heat maps are told of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Walkers"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walkers:
    """Who is where at a moment, in ascending order of id. Places are metres, or reference pixels without calibration.

    at: when, monotonic seconds.
    ids: int64, shape (n,), one a stay.
    places: float64, shape (n, 2), where they stand; nan above the horizon.
    first_places, since: where and when each was first seen, earlier than now because of the probation.
    bodies: float64, shape (n,), heights in the unit of places.
    confidence: float32, shape (n,), the detector's.
    from_edge, at_edge: bool, shape (n,), first seen at a picture's edge; there now.
    """

    at: float
    ids: npt.NDArray[np.int64]
    places: Points
    first_places: Points
    since: npt.NDArray[np.float64]
    bodies: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32]
    from_edge: npt.NDArray[np.bool_]
    at_edge: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def none(cls, at: float) -> "Walkers":
        """Nobody."""
        nothing = np.empty(0)
        return cls(
            at=at,
            ids=nothing.astype(np.int64),
            places=np.empty((0, 2)),
            first_places=np.empty((0, 2)),
            since=nothing,
            bodies=nothing,
            confidence=nothing.astype(np.float32),
            from_edge=nothing.astype(np.bool_),
            at_edge=nothing.astype(np.bool_),
        )

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "Walkers":
        """Some of them."""
        return Walkers(
            at=self.at,
            ids=self.ids[chosen],
            places=self.places[chosen],
            first_places=self.first_places[chosen],
            since=self.since[chosen],
            bodies=self.bodies[chosen],
            confidence=self.confidence[chosen],
            from_edge=self.from_edge[chosen],
            at_edge=self.at_edge[chosen],
        )
