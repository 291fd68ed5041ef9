"""Heat maps: the spaces that there are, the numbers, a picture, and the tiles of a slippy map."""

import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlmodel import Session

from cloud.access.roles import Role
from cloud.analytics import PeriodUsed, period_used
from cloud.api.dependencies import Around, PeriodOfVenue, ReadSession, VenueRow
from cloud.api.etags import tagged
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.errors import Invalid
from cloud.heatmaps import Grid, Heat, SpaceFigures, grid_of, read_heat, spaces
from cloud.pictures import MAX_ZOOM, MIN_ZOOM, picture, picture_tile
from cloud.store.tables import Venue
from protocol.tiles import Layer
from protocol.wire import Slug

__all__ = ["HeatTurn", "router"]

HEATS_AT_ONCE = 2
"""Of all tiles of the map and venues' pages: each adds up a period's heat, whose greatest cell gives the colours."""

router = APIRouter(prefix="/venues/{venue}", tags=["heat maps"], route_class=GuardedRoute)


class MapLayer(StrEnum):
    """What a heat map counts."""

    PRESENCE = "presence"
    ENTRIES = "entries"
    FLOW = "flow"


class MapFormat(StrEnum):
    """How a heat map is given."""

    JSON = "json"
    PNG = "png"
    NPY = "npy"
    NPZ = "npz"


class HeatGrid(BaseModel):
    """A heat map as numbers: `cells[row][column]` is the cell (x + column, y + row) of the space.

    Presence is in person-seconds, entries and flow in counts; a flow cell holds its eight directions.
    """

    venue: str
    space: str
    layer: MapLayer
    period: PeriodUsed
    unit: str
    coordinates: str | None = Field(description="`floor`: metres, y up; `image`: reference pixels, y down")
    cell: float | None = Field(description="side of a cell, in metres or reference pixels")
    x: int
    y: int
    columns: int
    rows: int
    total: float = Field(description="sum of all cells")
    greatest: float
    cells: list[list[float]] | list[list[list[float]]]


_FILES: dict[int | str, dict[str, object]] = {
    200: {
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("image/png", "application/x-npy", "application/x-npz")
        }
    }
}
_PICTURE: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    zoom: int
    x: int
    y: int


def _place(
    z: Annotated[int, Path(ge=MIN_ZOOM, le=MAX_ZOOM, description="0 is a pixel a cell")],
    x: Annotated[int, Path(ge=-(2**20), le=2**20)],
    y: Annotated[int, Path(ge=-(2**20), le=2**20, description="counted downwards; floors above 0 m are negative")],
) -> _Place:
    return _Place(zoom=z, x=x, y=y)


def _turn(around: Around) -> Iterator[None]:
    """A turn among whole maps, taken before anything is opened for the request."""
    with around.limits.maps.take("as many heat maps are being made as this server bears; try again soon"):
        yield


async def _heat_turn() -> AsyncIterator[None]:
    yield


HeatTurn = Depends(_heat_turn, scope="function", max_concurrency=HEATS_AT_ONCE)
"""A turn among those; however many wait for theirs, they hold no thread and no connection."""
TilePlace = Annotated[_Place, Depends(_place)]
SpaceId = Annotated[Slug, Path(description="id of the space")]


@router.get("/spaces")
@needs(Role.VIEWER)
def show_spaces(session: ReadSession, row: VenueRow) -> tuple[SpaceFigures, ...]:
    """List the spaces in which heat maps of a venue lie."""
    return spaces(session, venue=row.venue)


@router.get("/heatmap", response_model=HeatGrid, responses=_FILES, dependencies=[Depends(_turn, scope="function")])
@needs(Role.VIEWER, heavy=True)
def show(
    request: Request,
    session: ReadSession,
    row: VenueRow,
    period: PeriodOfVenue,
    space: Annotated[Slug | None, Query(description="may be left out where there is only one")] = None,
    layer: MapLayer = MapLayer.PRESENCE,
    format_: Annotated[MapFormat, Query(alias="format")] = MapFormat.JSON,
    scale: Annotated[int, Query(ge=1, le=16, description="PNG: pixels a cell")] = 4,
) -> Response:
    """A heat map of a period as a JSON grid, a PNG, or a numpy file."""
    name = space or _only_space(session, venue=row.venue)
    heat = read_heat(session, venue=row.venue, space=name, layer=Layer(layer.value), period=period)
    match format_:
        case MapFormat.JSON:
            grid = _json_grid(heat, venue=row, space=name, layer=layer, used=period_used(period, venue=row))
            return tagged(request, grid.model_dump_json().encode(), media_type="application/json")
        case MapFormat.PNG:
            return tagged(request, picture(heat, scale=scale), media_type="image/png")
        case MapFormat.NPY:
            return tagged(request, _npy(grid_of(heat)), media_type="application/x-npy")
        case MapFormat.NPZ:
            return tagged(request, _npz(heat, grid_of(heat)), media_type="application/x-npz")


@router.get(
    "/heatmap/{space}/{layer}/{z}/{x}/{y}.png",  # noqa: FAST003  TilePlace takes them
    response_class=Response,
    responses=_PICTURE,
    dependencies=[HeatTurn],
)
@needs(Role.VIEWER)
def show_tile(
    request: Request,
    session: ReadSession,
    row: VenueRow,
    period: PeriodOfVenue,
    space: SpaceId,
    layer: MapLayer,
    place: TilePlace,
) -> Response:
    """A 256 × 256 tile for Leaflet's CRS.Simple."""
    wanted = Layer(layer.value)
    heat = read_heat(session, venue=row.venue, space=space, layer=wanted, period=period, directions=False)
    return tagged(request, picture_tile(heat, zoom=place.zoom, x=place.x, y=place.y), media_type="image/png")


def _only_space(session: Session, *, venue: str) -> str:
    names = [found.space for found in spaces(session, venue=venue)]
    if len(names) != 1:
        raise Invalid(f"`space` must be named; there are: {', '.join(names) or 'none yet'}")
    return names[0]


def _json_grid(heat: Heat, *, venue: Venue, space: str, layer: MapLayer, used: PeriodUsed) -> HeatGrid:
    grid = grid_of(heat)
    per_unit = _per_unit(heat)
    rows, columns = grid.cells.shape[:2]
    return HeatGrid(
        venue=venue.venue,
        space=space,
        layer=layer,
        period=used,
        unit=_unit(heat),
        coordinates=str(heat.space.coordinates) if heat.space else None,
        cell=heat.space.cell if heat.space else None,
        x=grid.x,
        y=grid.y,
        columns=columns,
        rows=rows,
        total=heat.total / per_unit,
        greatest=int(grid.cells.max(initial=0)) / per_unit,
        cells=(grid.cells / per_unit).tolist(),
    )


def _per_unit(heat: Heat) -> int:
    return 10 if heat.layer is Layer.PRESENCE else 1


def _unit(heat: Heat) -> str:
    return {Layer.PRESENCE: "person-seconds", Layer.ENTRIES: "people"}.get(heat.layer, "moves")


def _npy(grid: Grid) -> bytes:
    """The integers as they are kept: presence in tenths of a person-second."""
    out = io.BytesIO()
    np.save(out, grid.cells, allow_pickle=False)
    return out.getvalue()


def _npz(heat: Heat, grid: Grid) -> bytes:
    """The same, with where its first cell lies and how large a cell is."""
    out = io.BytesIO()
    cell = heat.space.cell if heat.space else float("nan")
    np.savez_compressed(out, cells=grid.cells, x=grid.x, y=grid.y, cell=cell, per_unit=_per_unit(heat))
    return out.getvalue()
