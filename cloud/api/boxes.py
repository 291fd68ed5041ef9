"""Boxes: registered with a key, assigned to a venue, shown with their health."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.roles import Role
from cloud.api.dependencies import (
    After,
    BoxId,
    CallerInUse,
    EngineInUse,
    Limit,
    Now,
    NowMs,
    ReadSession,
    TrailInUse,
    WriteSession,
)
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.api.problems import Forbidden
from cloud.boxes import (
    BoxFigures,
    KeyedBox,
    MovedBox,
    assign_box,
    box_figures,
    find_box,
    list_boxes,
    register_box,
    rotate_key,
    withdraw_box,
)
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(prefix="/boxes", tags=["boxes"], route_class=GuardedRoute)


class NewBox(BaseModel):
    """A box to register, and where it will stand."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"box": "box-1", "venue": "corner-shop"}})

    box: Slug = Field(description="unique in the deployment; the name in the box's certificate")
    venue: Slug | None = Field(default=None, description="its venue; may be given later")


class NewPlace(BaseModel):
    """The venue that a box is moved to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"venue": "corner-shop"}})

    venue: Slug


class BoxList(BaseModel):
    """Boxes in the order of their ids; `next` goes into `after` for those that follow."""

    boxes: list[BoxFigures]
    next: str | None


@router.post("", status_code=201)
@needs(Role.ADMIN)
def create(engine: EngineInUse, now: Now, caller: CallerInUse, trail: TrailInUse, body: NewBox) -> KeyedBox:
    """Register a box. Its device key is in the answer, and nowhere else ever after."""
    trail.subject, trail.venue = body.box, body.venue
    if body.venue is None and caller.grant.venues is not None:
        raise Forbidden("a box without a venue takes a grant of all venues; name one of yours")
    if body.venue is not None:
        caller.grant.require(body.venue)
    return register_box(engine, granted=caller.grant.venues, box=body.box, venue=body.venue, now=now)


@router.get("")
@needs(Role.VIEWER)
def show_all(
    session: ReadSession,
    caller: CallerInUse,
    venue: Annotated[Slug | None, Query(description="only those of this venue")] = None,
    after: After = None,
    limit: Limit = 100,
) -> BoxList:
    """List boxes."""
    boxes = list_boxes(session, granted=caller.grant.venues, venue=venue, after=after, limit=limit)
    return BoxList(boxes=boxes, next=boxes[-1].box if len(boxes) == limit else None)


@router.get("/{box}")
@needs(Role.VIEWER)
def show(session: ReadSession, caller: CallerInUse, box: BoxId) -> BoxFigures:
    """Show a box: when it was last heard, its clock, what waits in it, what it lost, what is held of it."""
    return box_figures(session, row=find_box(session, box=box), granted=caller.grant.venues)


@router.put("/{box}/venue")
@needs(Role.ADMIN)
def assign(
    engine: EngineInUse, now: Now, caller: CallerInUse, trail: TrailInUse, box: BoxId, body: NewPlace
) -> MovedBox:
    """Assign a box to a venue, or move it; what was held for want of that is let in."""
    trail.venue = body.venue
    caller.grant.require(body.venue)
    return assign_box(engine, box=box, venue=body.venue, now=now)


@router.delete("/{box}/venue")
@needs(Role.ADMIN)
def withdraw(session: WriteSession, now_ms: NowMs, box: BoxId) -> MovedBox:
    """Take a box out of its venue; what it makes from now on is held."""
    return withdraw_box(session, box=box, now_ms=now_ms)


@router.post("/{box}/key")
@needs(Role.ADMIN)
def rotate(session: WriteSession, box: BoxId) -> KeyedBox:
    """Give a box a new device key; the one before is void at once."""
    return rotate_key(session, box=box)
