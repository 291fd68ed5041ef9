"""Venues: made, shown, listed, changed, archived and brought back."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.roles import Role
from cloud.api.dependencies import (
    After,
    CallerInUse,
    Limit,
    NowMs,
    ReadSession,
    TrailInUse,
    VenueId,
    VenueRow,
    WriteSession,
)
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.store.moments import from_ms
from cloud.store.tables import Venue
from cloud.venues import (
    Description,
    archive_venue,
    change_venue,
    create_venue,
    describe,
    list_venues,
    restore_venue,
)
from protocol.wire import Slug, format_utc

__all__ = ["router"]

router = APIRouter(prefix="/venues", tags=["venues"], route_class=GuardedRoute)


class NewVenue(Description):
    """A venue to be made, with the id that its boxes will name."""

    venue: Slug = Field(description="lower-case letters, digits and hyphens; never changes", examples=["corner-shop"])


class VenueChanges(BaseModel):
    """What to change of a venue: any part of its description; null takes an optional part away."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"timezone": "Europe/Vienna"}})


class VenueView(Description):
    """A venue, with what was derived."""

    venue: Slug
    h3_cell: str | None = Field(description="H3 cell at resolution 9, derived from the coordinates")
    created: str
    archived: str | None


class VenueList(BaseModel):
    """Venues in the order of their ids; `next` goes into `after` for those that follow."""

    venues: list[VenueView]
    next: str | None


@router.post("", status_code=201)
@needs(Role.ADMIN, everywhere=True)
def create(session: WriteSession, now_ms: NowMs, trail: TrailInUse, body: NewVenue) -> VenueView:
    """Make a venue."""
    trail.venue = body.venue
    description = Description.model_validate(body.model_dump(exclude={"venue"}))
    return _view(create_venue(session, venue=body.venue, description=description, now_ms=now_ms))


@router.get("")
@needs(Role.VIEWER)
def show_all(
    session: ReadSession,
    caller: CallerInUse,
    *,
    archived: Annotated[bool, Query(description="those archived instead of those in use")] = False,
    after: After = None,
    limit: Limit = 100,
) -> VenueList:
    """List venues."""
    rows = list_venues(session, granted=caller.grant.venues, archived=archived, after=after, limit=limit)
    return VenueList(venues=[_view(row) for row in rows], next=rows[-1].venue if len(rows) == limit else None)


@router.get("/{venue}")  # noqa: FAST003  VenueRow takes it
@needs(Role.VIEWER)
def show(row: VenueRow) -> VenueView:
    """Show a venue, archived or not."""
    return _view(row)


@router.patch("/{venue}")
@needs(Role.ADMIN)
def change(session: WriteSession, venue: VenueId, body: VenueChanges) -> VenueView:
    """Change what is named and leave the rest. A corrected time zone corrects the past too."""
    return _view(change_venue(session, venue=venue, changes=body.model_extra or {}))


@router.post("/{venue}/archive")
@needs(Role.ADMIN)
def archive(session: WriteSession, now_ms: NowMs, venue: VenueId) -> VenueView:
    """Take a venue from the lists; its data stays."""
    return _view(archive_venue(session, venue=venue, now_ms=now_ms))


@router.post("/{venue}/restore")
@needs(Role.ADMIN)
def restore(session: WriteSession, venue: VenueId) -> VenueView:
    """Bring an archived venue back."""
    return _view(restore_venue(session, venue=venue))


def _view(row: Venue) -> VenueView:
    return VenueView.model_validate(
        {
            **describe(row).model_dump(),
            "venue": row.venue,
            "h3_cell": row.h3_cell,
            "created": format_utc(from_ms(row.created_ms)),
            "archived": None if row.archived_ms is None else format_utc(from_ms(row.archived_ms)),
        }
    )
