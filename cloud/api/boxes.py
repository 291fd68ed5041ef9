"""Boxes: registered with a key, assigned to a venue, shown with their health."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.dependencies import (
    Admin,
    After,
    BoxId,
    EngineInUse,
    Limit,
    Now,
    NowMs,
    ReadSession,
    WriteSession,
)
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

router = APIRouter(prefix="/boxes", tags=["boxes"])


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


@router.post("", status_code=201, dependencies=[Admin])
def create(engine: EngineInUse, now: Now, body: NewBox) -> KeyedBox:
    """Register a box. Its device key is in the answer, and nowhere else ever after."""
    return register_box(engine, box=body.box, venue=body.venue, now=now)


@router.get("")
def show_all(
    session: ReadSession,
    venue: Annotated[Slug | None, Query(description="only those of this venue")] = None,
    after: After = None,
    limit: Limit = 100,
) -> BoxList:
    """List boxes."""
    boxes = list_boxes(session, venue=venue, after=after, limit=limit)
    return BoxList(boxes=boxes, next=boxes[-1].box if len(boxes) == limit else None)


@router.get("/{box}")
def show(session: ReadSession, box: BoxId) -> BoxFigures:
    """Show a box: when it was last heard, its clock, what waits in it, what it lost, what is held of it."""
    return box_figures(session, row=find_box(session, box=box))


@router.put("/{box}/venue", dependencies=[Admin])
def assign(engine: EngineInUse, now: Now, box: BoxId, body: NewPlace) -> MovedBox:
    """Assign a box to a venue, or move it; what was held for want of that is let in."""
    return assign_box(engine, box=box, venue=body.venue, now=now)


@router.delete("/{box}/venue", dependencies=[Admin])
def withdraw(session: WriteSession, now_ms: NowMs, box: BoxId) -> MovedBox:
    """Take a box out of its venue; what it makes from now on is held."""
    return withdraw_box(session, box=box, now_ms=now_ms)


@router.post("/{box}/key", dependencies=[Admin])
def rotate(session: WriteSession, box: BoxId) -> KeyedBox:
    """Give a box a new device key; the one before is void at once."""
    return rotate_key(session, box=box)
