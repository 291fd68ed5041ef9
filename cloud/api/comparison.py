"""Venues side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api.dependencies import FromText, NowMs, ReadSession, ToText
from cloud.comparison import MAX_COMPARED, Comparison, compare
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(tags=["figures"])

Venues = Annotated[
    list[Slug], Query(alias="venue", min_length=2, max_length=MAX_COMPARED, description="named once for each venue")
]


@router.get("/comparison")
def show(session: ReadSession, now_ms: NowMs, venues: Venues, start: FromText = None, end: ToText = None) -> Comparison:
    """Compare venues over the same days: visitors, dwell, occupancy, per square metre, per open hour, and coverage."""
    return compare(session, venues=venues, start=start, end=end, now_ms=now_ms)
