"""Heat maps of a period, added up from stored tiles: whole days and hours from their own tiles, the edges from buckets.

All sums are exact integers. A space's cells keep their own coordinates: on a floor y runs up, in an image down.
Knows nothing of colours; `pictures` draws.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, and_, false, func, or_, select
from sqlmodel import Session

from cloud.errors import Conflict, NotFound
from cloud.ingest.tiles import decode_cells
from cloud.layouts import venue_layout
from cloud.periods import Period
from cloud.store.distinct import distinct_values
from cloud.store.tables import Tile
from cloud.store.upsert import table_of
from protocol.configuration import Coordinates, Space
from protocol.tiles import DIRECTIONS, TILE_SIDE, Layer

__all__ = ["Cells", "Grid", "Heat", "SpaceFigures", "amounts", "covering", "grid_of", "read_heat", "spaces"]

HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400
MAX_GRID_NUMBERS = 2_000_000
"""Of a grid, or of all tiles of a period; flow has eight a cell. As JSON each takes some hundred bytes."""
_ROWS_AT_ONCE = 500
_TILES = table_of(Tile)

Cells = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFigures:
    """A space that heat maps of a venue lie in; what no known layout describes has no shape."""

    space: str
    coordinates: str | None
    floor: str | None
    cell: float | None
    width_px: int | None
    height_px: int | None
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The sum of a layer over a period: by tile (tx, ty), its cells [row along y, column].

    Flow has a third axis, its directions, unless it was read without.
    """

    space: Space | None
    layer: Layer
    tiles: Mapping[tuple[int, int], Cells]

    @property
    def total(self) -> int:
        """The sum of all cells."""
        return sum(int(cells.sum()) for cells in self.tiles.values())

    @property
    def is_y_up(self) -> bool:
        """Whether rows go up, as on a floor."""
        return self.space is None or self.space.coordinates is not Coordinates.IMAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A dense rectangle of cells: `cells[row, column]` is the cell (x + column, y + row); flow has a third axis."""

    x: int
    y: int
    cells: Cells


def spaces(session: Session, *, venue: str) -> tuple[SpaceFigures, ...]:
    """Every space that a venue's layouts describe or its tiles lie in, with the layers that have tiles."""
    known = venue_layout(session, venue=venue).spaces
    return tuple(
        _figures(name, known.get(name), layers=_layers(session, venue=venue, space=name))
        for name in sorted({*known, *map(str, distinct_values(session.connection(), Tile, "space", venue=venue))})
    )


def read_heat(
    session: Session, *, venue: str, space: str, layer: Layer, period: Period, directions: bool = True
) -> Heat:
    """The heat of a period; without `directions` those of a flow are added up.

    Raises NotFound for a space that the venue has never had, and Conflict where there is more than the server bears.
    """
    known = venue_layout(session, venue=venue).spaces.get(space)
    if known is None and not _layers(session, venue=venue, space=space):
        raise NotFound(f"venue {venue} has no space {space}")
    wanted = _tiles_of(session, venue=venue, space=space, layer=layer, period=period)
    stored = (TILE_SIDE, TILE_SIDE, DIRECTIONS) if layer is Layer.FLOW else (TILE_SIDE, TILE_SIDE)
    kept = stored if directions else stored[:2]
    hint = "a shorter period or its tiles" if layer is Layer.FLOW and directions else "a shorter period"
    _require_room(session, wanted, most=MAX_GRID_NUMBERS // math.prod(kept), hint=hint)
    tiles: dict[tuple[int, int], Cells] = {}
    for tx, ty, blob in _blobs(session, wanted):
        cells = decode_cells(blob).astype(np.int64).reshape(stored)
        summed = tiles.setdefault((tx, ty), np.zeros(kept, dtype=np.int64))
        summed += cells if directions else amounts(cells)
    return Heat(space=known, layer=layer, tiles=tiles)


def amounts(cells: Cells) -> Cells:
    """One number a cell: the sum over all directions where there are any."""
    summed: Cells = cells.sum(axis=2) if cells.ndim > 2 else cells
    return summed


def covering(period: Period) -> Iterator[tuple[int, int, int]]:
    """A period as few, disjoint stretches: (level in seconds, start, end); level 0 are the buckets themselves."""
    yield from _cover(period.start_ms, period.end_ms, (DAY_SECONDS, HOUR_SECONDS, 0))


def grid_of(heat: Heat) -> Grid:
    """All tiles as one rectangle; raises Conflict when that has too many numbers, as where they lie far apart."""
    if not heat.tiles:
        shape = (0, 0, DIRECTIONS) if heat.layer is Layer.FLOW else (0, 0)
        return Grid(x=0, y=0, cells=np.zeros(shape, dtype=np.int64))
    columns, rows = [tx for tx, _ in heat.tiles], [ty for _, ty in heat.tiles]
    left, bottom = min(columns), min(rows)
    width, height = (max(columns) - left + 1) * TILE_SIDE, (max(rows) - bottom + 1) * TILE_SIDE
    depth = (DIRECTIONS,) if heat.layer is Layer.FLOW else ()
    if math.prod((width, height, *depth)) > MAX_GRID_NUMBERS:
        each = f" of {DIRECTIONS} directions each" if depth else ""
        raise Conflict(
            f"the heat map spans {width} × {height} cells{each}, too many for one grid of at most"
            f" {MAX_GRID_NUMBERS:,} numbers; ask for its tiles instead"
        )
    cells = np.zeros((height, width, *depth), dtype=np.int64)
    for (tx, ty), values in heat.tiles.items():
        row, column = (ty - bottom) * TILE_SIDE, (tx - left) * TILE_SIDE
        cells[row : row + TILE_SIDE, column : column + TILE_SIDE] = values
    return Grid(x=left * TILE_SIDE, y=bottom * TILE_SIDE, cells=cells)


def _tiles_of(session: Session, *, venue: str, space: str, layer: Layer, period: Period) -> ColumnElement[bool]:
    """Which rows make up a period, each moment of it once."""
    of_layer: dict[str, str | int] = {"venue": venue, "space": space, "layer": str(layer)}
    lengths = set(distinct_values(session.connection(), Tile, "length_seconds", **of_layer))
    parts = [
        and_(_TILES.c.length_seconds.in_(found), _TILES.c.start_ms >= start_ms, _TILES.c.start_ms < end_ms)
        for level, start_ms, end_ms in covering(period)
        if (found := [length for length in lengths if _level_of(int(length)) == level])
    ]
    return and_(*(_TILES.c[name] == value for name, value in of_layer.items()), or_(false(), *parts))


def _require_room(session: Session, wanted: ColumnElement[bool], *, most: int, hint: str) -> None:
    """Before anything is decoded: a box may say that people were anywhere."""
    places = select(_TILES.c.tx, _TILES.c.ty).where(wanted).distinct().limit(most + 1).subquery()
    found = session.connection().execute(select(func.count()).select_from(places)).scalar_one()
    if found > most:
        raise Conflict(
            f"the heat of this period lies in more than {most:,} squares of {TILE_SIDE} × {TILE_SIDE} cells, too many"
            f" for one map; ask for {hint}"
        )


def _blobs(session: Session, wanted: ColumnElement[bool]) -> Iterable[Row[int, int, bytes]]:
    query = select(_TILES.c.tx, _TILES.c.ty, _TILES.c.cells).where(wanted)
    return session.connection().execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})


def _cover(start_ms: int, end_ms: int, levels: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    if start_ms >= end_ms:
        return
    level, *finer = levels
    step_ms = level * 1000 or 1
    first, last = -(-start_ms // step_ms) * step_ms, end_ms // step_ms * step_ms
    if first >= last:
        yield from _cover(start_ms, end_ms, tuple(finer))
        return
    yield from _cover(start_ms, first, tuple(finer))
    yield level, first, last
    yield from _cover(last, end_ms, tuple(finer))


def _level_of(length_seconds: int) -> int:
    return length_seconds if length_seconds in {HOUR_SECONDS, DAY_SECONDS} else 0


def _figures(name: str, space: Space | None, *, layers: tuple[str, ...]) -> SpaceFigures:
    return SpaceFigures(
        space=name,
        coordinates=str(space.coordinates) if space else None,
        floor=space.floor if space else None,
        cell=space.cell if space else None,
        width_px=space.width if space else None,
        height_px=space.height if space else None,
        layers=layers,
    )


def _layers(session: Session, *, venue: str, space: str) -> tuple[str, ...]:
    return tuple(map(str, distinct_values(session.connection(), Tile, "layer", venue=venue, space=space)))
