"""Where people were, as sums per cell. Knows places and milliseconds; refuses to know who was there.

A *space* is cut into cells, 32 × 32 of them to a tile, from the space's origin in both directions; tile and
cell numbers run with x and y, so they may be negative. Sums are whole numbers, so that tiles add exactly.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["CELLS", "HeatMap", "Layer", "Presence", "TileIncrement", "to_tenths"]

CELLS = 32
"""Cells along one side of a tile."""

Layer = Literal["entries", "presence"]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileIncrement:
    """What one tile gained: milliseconds of presence, or counts of entries, by cell index (row · 32 + column)."""

    layer: Layer
    tx: int
    ty: int
    cells: dict[int, int]


class HeatMap:
    """Sparse sums of one space since they were last taken."""

    def __init__(self, cell: float) -> None:
        """`cell` is a cell's side in the unit of places: metres, or reference pixels."""
        self._cell = cell
        self._tiles: dict[tuple[Layer, int, int], defaultdict[int, int]] = {}

    def add(self, places: Points, milliseconds: npt.NDArray[np.int64]) -> None:
        """Presence of people at places (n, 2), each for so many milliseconds (n,)."""
        self._add("presence", places, milliseconds)

    def enter(self, places: Points) -> None:
        """Entries: one at each of these places (n, 2)."""
        self._add("entries", places, np.ones(len(places), np.int64))

    def take(self) -> tuple[TileIncrement, ...]:
        """All increments in order of layer, ty, tx; the map is empty afterwards."""
        tiles, self._tiles = self._tiles, {}
        return tuple(
            TileIncrement(layer=layer, tx=tx, ty=ty, cells=dict(sorted(cells.items())))
            for (layer, tx, ty), cells in sorted(tiles.items(), key=lambda item: (item[0][0], item[0][2], item[0][1]))
        )

    def _add(self, layer: Layer, places: Points, amounts: npt.NDArray[np.int64]) -> None:
        # A place that is nan lies on no floor and in no cell; the caller leaves such people out of its sums too.
        there = np.isfinite(places).all(axis=1) & (amounts > 0)
        cells = np.floor(places[there] / self._cell).astype(np.int64)
        for (x, y), amount in zip(cells.tolist(), amounts[there].tolist(), strict=True):
            key: tuple[Layer, int, int] = (layer, x // CELLS, y // CELLS)
            self._tiles.setdefault(key, defaultdict(int))[y % CELLS * CELLS + x % CELLS] += amount


class Presence:
    """Credits people with the time since they were last seen, one second at most; new ones since they were first.

    A person is known to be one only some moments after the first sighting, and those moments were theirs too.

    The same credit goes into tiles, zones and minute reports, so their sums agree to the millisecond.
    """

    def __init__(self, forget_seconds: float = 60.0) -> None:
        self._forget_milliseconds = round(forget_seconds * 1000)
        self._seen: dict[int, int] = {}

    def update(self, ids: npt.NDArray[np.int64], since: npt.NDArray[np.float64], at: float) -> npt.NDArray[np.int64]:
        """Milliseconds, int64 (n,), for the people (n,) seen at this moment and first seen `since`, float64 (n,)."""
        now = round(at * 1000)
        people = ids.tolist()
        before = (self._seen.get(person, round(first * 1000)) for person, first in zip(people, since, strict=True))
        credited = np.array([min(now - seen, _LONGEST_CREDIT) for seen in before], np.int64)
        self._seen.update(dict.fromkeys(people, now))
        self._seen = {person: seen for person, seen in self._seen.items() if now - seen <= self._forget_milliseconds}
        return np.maximum(credited, 0)


_LONGEST_CREDIT = 1000
_TENTH = 100


def to_tenths(milliseconds: Mapping[int, int]) -> dict[int, int]:
    """Tenths of a second per cell, summing to the rounded (half up) total: the largest remainders are rounded up.

    Cells without a tenth are left out; equal remainders go to the lower cell first.
    """
    tenths = {cell: value // _TENTH for cell, value in milliseconds.items()}
    total = math.floor(sum(milliseconds.values()) / _TENTH + 0.5)
    order = sorted(milliseconds, key=lambda cell: (-(milliseconds[cell] % _TENTH), cell))
    for cell in order[: total - sum(tenths.values())]:
        tenths[cell] += 1
    return {cell: value for cell, value in sorted(tenths.items()) if value}
