"""Where people come and go within the picture. Knows a line and motions; refuses to know who they are.

Left of a → b is inside, as `edge.lines` has it. Who has gone out is away, whether they walk
straight on or along the street.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.lines import Line

__all__ = ["Doorways"]

Point = npt.NDArray[np.float64]

_STROLLING = 0.1
"""Who moves slower stands: body heights a second."""
_INSIDE, _STREET = 0.4, 1.0
"""How far from a doorway's line, on either side, somebody still belongs to it: body heights."""


class Doorways:
    """The doorways that one camera sees."""

    def __init__(self, lines: Sequence[Line], *, y_up: bool) -> None:
        """`y_up` is true on a floor plan and false in a picture; it says which side is the left."""
        self._lines = tuple(lines)
        self._left = 1.0 if y_up else -1.0

    def walks_out(self, feet: Point, velocity: Point, *, body: float) -> bool:
        """Whether somebody before or in a doorway moves away from what is inside.

        `feet` (2,) and the height of a `body` are in the unit of the lines, `velocity` (2,) is that a second.
        """
        return any(self._walks_out_of(line, feet, velocity, body) for line in self._lines)

    def _walks_out_of(self, line: Line, feet: Point, velocity: Point, body: float) -> bool:
        across, along = line.coordinates((float(feet[0]), float(feet[1])))
        inwards = across * self._left
        beside = (_INSIDE if inwards > 0 else _STREET) * body
        if inwards > _INSIDE * body or not -beside <= along <= line.length + beside:
            return False
        away = feet - self._within(line, body)
        return float(velocity @ away) > _STROLLING * body * float(np.linalg.norm(away))

    def _within(self, line: Line, body: float) -> Point:
        """A body's height inside the middle of a doorway."""
        start, end = np.array(line.a), np.array(line.b)
        ahead = (end - start) / line.length
        within: Point = (start + end) / 2 + np.array([-ahead[1], ahead[0]]) * (self._left * body)
        return within
