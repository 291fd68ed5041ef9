"""Floor plans: an image, how it lies in metres, and who has the newest."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from sqlmodel import Session

from cloud.access.roles import Role
from cloud.api.dependencies import EngineInUse, FloorId, NowMs, Payload, ReadSession, VenueId, WriteSession
from cloud.api.etags import tagged
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.plans import PlanScale, find_plan, list_plans, put_plan, read_image, remove_plan
from cloud.store.engine import writing
from cloud.store.moments import from_ms
from cloud.store.tables import FloorPlan
from protocol.wire import format_utc

__all__ = ["router"]

router = APIRouter(prefix="/venues/{venue}/plans", tags=["floor plans"], route_class=GuardedRoute)

_IMAGES = ("image/png", "image/jpeg", "image/webp")
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The image itself; what it is, is told by its bytes.",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _IMAGES},
    }
}
_IMAGE_ANSWER: dict[int | str, dict[str, object]] = {
    200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _IMAGES}},
    304: {"description": "Not changed since the ETag named in If-None-Match"},
}


class PlanView(BaseModel):
    """A floor plan; (0, 0) metres lies at the origin's pixel, x to the right and y up."""

    venue: str
    floor: str
    name: str
    media_type: str
    width_px: int
    height_px: int
    metres_per_pixel: float
    origin_x_px: float
    origin_y_px: float
    sha256: str
    updated: str


_WORDS = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
"""No control characters, and something besides space: `\\S` alone would let in some control characters."""


def _scale(
    metres_per_pixel: Annotated[float, Query(gt=0, le=100, allow_inf_nan=False, examples=[0.02])],
    origin_x_px: Annotated[float, Query(allow_inf_nan=False, description="pixel of (0, 0) metres")],
    origin_y_px: Annotated[float, Query(allow_inf_nan=False, description="counted from the top")],
    name: Annotated[str, Query(min_length=1, max_length=120, pattern=_WORDS)],
) -> PlanScale:
    return PlanScale(name=name, metres_per_pixel=metres_per_pixel, origin_x_px=origin_x_px, origin_y_px=origin_y_px)


_IS_NEW: dict[int | str, dict[str, Any]] = {201: {"model": PlanView, "description": "The floor had no plan before"}}
Scale = Annotated[PlanScale, Depends(_scale)]


@router.get("")
@needs(Role.VIEWER)
def show_all(session: ReadSession, venue: VenueId) -> list[PlanView]:
    """List the floor plans of a venue."""
    return [_view(row) for row in list_plans(session, venue=venue)]


@router.put("/{floor}", openapi_extra=_IMAGE_BODY, responses=_IS_NEW)
@needs(Role.ADMIN)
def put(
    engine: EngineInUse,
    now_ms: NowMs,
    venue: VenueId,
    floor: FloorId,
    scale: Scale,
    content: Payload,
    response: Response,
) -> PlanView:
    """Upload a floor's plan: PNG, JPEG or WebP as the body, and how it lies in metres in the query."""
    image = read_image(content)  # which takes seconds: before anything is locked
    with writing(engine) as connection, Session(connection) as session:
        row, is_new = put_plan(session, venue=venue, floor=floor, image=image, scale=scale, now_ms=now_ms)
        session.flush()
        view = _view(row)
    response.status_code = 201 if is_new else 200
    return view


@router.get("/{floor}", response_model=PlanView)
@needs(Role.VIEWER)
def show(request: Request, session: ReadSession, venue: VenueId, floor: FloorId) -> Response:
    """Show how a floor's plan lies in metres."""
    view = _view(find_plan(session, venue=venue, floor=floor))
    return tagged(request, view.model_dump_json().encode(), media_type="application/json")


@router.get("/{floor}/image", response_class=Response, responses=_IMAGE_ANSWER)
@needs(Role.VIEWER)
def show_image(request: Request, session: ReadSession, venue: VenueId, floor: FloorId) -> Response:
    """The image as it was uploaded."""
    row = find_plan(session, venue=venue, floor=floor)
    return tagged(request, row.image, media_type=row.media_type, tag=row.sha256)


@router.delete("/{floor}", status_code=204, response_class=Response)
@needs(Role.ADMIN)
def remove(session: WriteSession, venue: VenueId, floor: FloorId) -> None:
    """Forget a floor's plan."""
    remove_plan(session, venue=venue, floor=floor)


def _view(row: FloorPlan) -> PlanView:
    values = row.model_dump(exclude={"image", "updated_ms"})
    return PlanView.model_validate(values | {"updated": format_utc(from_ms(row.updated_ms))})
