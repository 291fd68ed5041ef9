"""The plan of the made-up shop: where walls, shelves, till, door and zones are, in metres, x right and y up.

Knows shapes. Refuses to know people, cameras and colours. The door is in the wall at y = 0; outside lies a street.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "AISLES",
    "BLOCKS",
    "CORRIDORS_X",
    "DOOR",
    "DOORWAY_X",
    "QUEUE",
    "QUEUE_STEP_M",
    "QUEUE_X",
    "SPOTS",
    "STREET_Y",
    "TILL",
    "TILL_Y",
    "ZONES",
    "Block",
    "Line",
    "Point",
    "Rectangle",
    "Spot",
    "ViewName",
    "Zone",
]

Point = tuple[float, float]
ViewName = Literal["overview", "door", "aisles", "till"]
"""Where cameras hang."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A piece of the floor."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def polygon(self) -> tuple[Point, Point, Point, Point]:
        """Its corners, counter-clockwise."""
        return (self.left, self.bottom), (self.right, self.bottom), (self.right, self.top), (self.left, self.top)


@dataclass(frozen=True, slots=True)
class Block:
    """Something that stands on the floor and hides what is behind it."""

    ground: Rectangle
    height_m: float
    kind: Literal["wall", "shelf", "counter"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line people cross; from the right of a→b to its left is in."""

    id: str
    a: Point
    b: Point


@dataclass(frozen=True, slots=True)
class Zone:
    """A named piece of the floor."""

    id: str
    area: Rectangle


@dataclass(frozen=True, slots=True)
class Spot:
    """Where people stop to look at goods: somewhere between two points, reached from an aisle."""

    aisle: int
    start: Point
    end: Point


DOORWAY_X = (0.8, 2.6)
STREET_Y = -1.2
DOOR = Line("door", (0.2, 0.9), (3.2, 0.9))

AISLES = (1.5, 3.9, 6.4)
"""The y of the ways along the shelves."""
CORRIDORS_X = (2.7, 7.4)
"""The ways from aisle to aisle."""

QUEUE_X, TILL_Y, QUEUE_STEP_M = 8.2, 1.8, 0.75
"""Who is served stands at the till; who waits stands behind, a step apart."""

SPOTS = (
    Spot(0, (3.8, 1.95), (6.6, 1.95)),
    Spot(1, (3.8, 3.35), (6.6, 3.35)),
    Spot(1, (3.8, 4.45), (6.6, 4.45)),
    Spot(1, (1.95, 3.5), (1.95, 4.5)),
    Spot(2, (3.8, 5.85), (6.6, 5.85)),
    Spot(2, (3.3, 7.05), (6.9, 7.05)),
)

BLOCKS = (
    Block(Rectangle(-0.2, 0.0, 0.0, 8.0), 4.8, "wall"),
    Block(Rectangle(-0.2, 8.0, 10.2, 8.2), 4.8, "wall"),
    Block(Rectangle(10.0, 0.0, 10.2, 8.0), 4.8, "wall"),
    Block(Rectangle(-6.0, -0.2, DOORWAY_X[0], 0.0), 4.8, "wall"),
    Block(Rectangle(DOORWAY_X[1], -0.2, 16.0, 0.0), 4.8, "wall"),
    Block(Rectangle(3.6, 2.4, 6.8, 2.9), 1.2, "shelf"),
    Block(Rectangle(3.6, 4.9, 6.8, 5.4), 1.4, "shelf"),
    Block(Rectangle(3.0, 7.5, 7.2, 8.0), 2.1, "shelf"),
    Block(Rectangle(0.5, 3.3, 1.5, 4.7), 0.8, "counter"),
    Block(Rectangle(8.8, 1.0, 9.4, 2.5), 1.0, "counter"),
)

QUEUE = Zone("queue", Rectangle(7.75, TILL_Y + QUEUE_STEP_M / 2, 8.65, 7.4))
TILL = Zone("till", Rectangle(7.75, 1.4, 8.65, TILL_Y + QUEUE_STEP_M / 2))
ZONES = (
    Zone("entry", Rectangle(0.2, 0.9, 3.2, 2.8)),
    Zone("offers", Rectangle(1.5, 3.2, 2.3, 4.8)),
    Zone("first-aisle", Rectangle(3.6, 2.9, 6.8, 4.9)),
    Zone("back-aisle", Rectangle(3.0, 5.4, 7.2, 7.5)),
    TILL,
    QUEUE,
)
