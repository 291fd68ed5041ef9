"""What can be wrong with a shape somebody drew: plain geometry over a handful of points.

Knows polygons, lines and the picture's size, all in one unit. Refuses to know whose shape it is and how it is reported.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

__all__ = ["crossing_sides", "first_outside", "has_area"]

Point = tuple[float, float]
Side = tuple[Point, Point]

_BESIDE_PICTURE = 0.1
"""Share of the picture by which a shape may reach beyond it: nobody draws exactly along an edge."""


def has_area(polygon: Sequence[Point]) -> bool:
    """Whether the polygon, which closes itself, encloses anything."""
    first = polygon[0]
    farthest = max(polygon, key=lambda point: math.dist(first, point))
    return any(_turn(first, farthest, point) for point in polygon)


def crossing_sides(polygon: Sequence[Point]) -> tuple[int, int] | None:
    """Two sides that cut through each other, counted from 1 (side 1 joins points 1 and 2); None where none do."""
    numbered = list(enumerate(_sides(polygon), start=1))
    for (number, one), (other_number, other) in combinations(numbered, 2):
        if _cut(one, other):
            return number, other_number
    return None


def first_outside(points: Sequence[Point], image_size: tuple[int, int]) -> Point | None:
    """The first point farther outside a picture (width, height) than a tenth of it."""
    for point in points:
        for value, length in zip(point, image_size, strict=True):
            if not -_BESIDE_PICTURE * length <= value <= (1 + _BESIDE_PICTURE) * length:
                return point
    return None


def _sides(polygon: Sequence[Point]) -> Iterator[Side]:
    yield from zip(polygon, [*polygon[1:], polygon[0]], strict=True)


def _cut(one: Side, other: Side) -> bool:
    """Whether each side's ends lie on different sides of the other; touching is no cut."""
    (a, b), (c, d) = one, other
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Point, b: Point, c: Point) -> int:
    """1 for a turn to the left at b on the way from a over b to c, -1 to the right, 0 straight on."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)
