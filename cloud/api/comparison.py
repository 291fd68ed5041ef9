"""Venues side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.access.roles import Role
from cloud.api.dependencies import CallerInUse, FromText, NowMs, ReadSession, ToText
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.comparison import MAX_COMPARED, Comparison, compare
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(tags=["figures"], route_class=GuardedRoute)

Venues = Annotated[
    list[Slug], Query(alias="venue", min_length=2, max_length=MAX_COMPARED, description="named once for each venue")
]


@router.get("/comparison")
@needs(Role.ANALYST, heavy=True)
def show(
    session: ReadSession, now_ms: NowMs, caller: CallerInUse, venues: Venues, start: FromText = None, end: ToText = None
) -> Comparison:
    """Compare venues over the same days: visitors, dwell, occupancy, per square metre, per open hour, and coverage."""
    for venue in venues:
        caller.grant.require(venue)
    return compare(session, venues=venues, start=start, end=end, now_ms=now_ms)
