"""What the heat map's script needs to know of each space: its ground, its extent, and where its tiles are.

In map units: a unit is a cell, and up is positive. Knows nothing of pixels on a screen.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue
from sqlmodel import Session

from cloud.errors import Conflict
from cloud.heatmaps import Heat, SpaceFigures, read_heat, spaces
from cloud.layouts import venue_layout
from cloud.periods import Period
from cloud.plans import list_plans
from cloud.store.tables import FloorPlan, Venue
from cloud.web import wording
from protocol.configuration import Coordinates
from protocol.tiles import TILE_SIDE, Layer

__all__ = ["HeatMaps", "heat_maps"]

MARGIN_CELLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMaps:
    """The maps that are shown, and the names of those whose heat today is more than the server bears."""

    shown: tuple[dict[str, JsonValue], ...]
    too_large: tuple[str, ...]


def heat_maps(session: Session, *, venue: Venue, today: Period) -> HeatMaps:
    """What the heat map's script needs of each space whose cells have a size.

    Floors come before cameras' views, and cameras whose visits count before others. Cameras that look at one floor
    have a map each, and are named then, with their boxes where that is not enough.
    """
    plans = {plan.floor: plan for plan in list_plans(session, venue=venue.venue)}
    layout = venue_layout(session, venue=venue.venue)
    cameras, counting = layout.space_cameras, layout.counting_cameras or frozenset()
    found = [space for space in spaces(session, venue=venue.venue) if space.cell is not None]
    found.sort(key=lambda space: (space.coordinates != Coordinates.FLOOR, cameras.get(space.space) not in counting))
    names = [_name(space, plans.get(space.floor or "")) for space in found]
    for part in (1, 0):
        shared = Counter(names)
        names = [
            f"{name} · {wording.plain_name(place[part])}" if place and shared[name] > 1 else name
            for name, place in zip(names, (cameras.get(space.space) for space in found), strict=True)
        ]
    shown, too_large = [], []
    for space, name in zip(found, names, strict=True):
        plan = plans.get(space.floor or "")
        try:
            shown.append(_map(session, space, venue=venue.venue, plan=plan, today=today) | {"name": name})
        except Conflict:
            too_large.append(name)
    return HeatMaps(shown=tuple(shown), too_large=tuple(too_large))


def _name(space: SpaceFigures, plan: FloorPlan | None) -> str:
    is_floor = space.coordinates == Coordinates.FLOOR
    if plan is not None and is_floor:
        return plan.name
    return wording.plain_name(space.floor if is_floor and space.floor else space.space)


def _map(
    session: Session, space: SpaceFigures, *, venue: str, plan: FloorPlan | None, today: Period
) -> dict[str, JsonValue]:
    """A space in map units: a unit is a cell, and up is positive. Raises Conflict where it is too large."""
    cell = space.cell or 1.0
    heat = read_heat(session, venue=venue, space=space.space, layer=Layer.PRESENCE, period=today)
    is_floor = space.coordinates == Coordinates.FLOOR
    shown: dict[str, JsonValue] = {
        "tiles": f"/api/v1/venues/{venue}/heatmap/{space.space}/{Layer.PRESENCE}/{{z}}/{{x}}/{{y}}.png",
        "metresPerCell": cell if is_floor else None,
        "plan": None,
        "isEmpty": not heat.total,
    }
    if plan is not None and is_floor:
        shown["plan"] = f"/api/v1/venues/{venue}/plans/{plan.floor}/image"
        return shown | {"extent": _plan_extent(plan, cell=cell)}
    if space.width_px is not None and space.height_px is not None:
        return shown | {"extent": [-space.height_px / cell, 0, 0, space.width_px / cell]}
    return shown | {"extent": _heat_extent(heat)}


def _heat_extent(heat: Heat) -> list[JsonValue]:
    """[bottom, left, top, right] of what is warm with a margin, in cells; some ground where nothing is."""
    warm = [
        (tx * TILE_SIDE + columns, ty * TILE_SIDE + rows)
        for (tx, ty), cells in heat.tiles.items()
        for rows, columns in [cells.nonzero()]
    ]
    if not heat.total:
        return [0, 0, 20, 30]
    x, y = (np.concatenate(values) for values in zip(*warm, strict=True))
    low, high = int(y.min()) - MARGIN_CELLS, int(y.max()) + 1 + MARGIN_CELLS
    left, right = int(x.min()) - MARGIN_CELLS, int(x.max()) + 1 + MARGIN_CELLS
    return [low, left, high, right] if heat.is_y_up else [-high, left, -low, right]


def _plan_extent(plan: FloorPlan, *, cell: float) -> list[JsonValue]:
    """[bottom, left, top, right] of a plan's image, in cells."""
    scale = plan.metres_per_pixel / cell
    return [
        (plan.origin_y_px - plan.height_px) * scale,
        -plan.origin_x_px * scale,
        plan.origin_y_px * scale,
        (plan.width_px - plan.origin_x_px) * scale,
    ]
