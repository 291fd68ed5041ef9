"""A venue's numbers: summary, hour by hour, by zone and by line."""

from typing import Annotated

from fastapi import APIRouter, Depends

from cloud.access.roles import Role
from cloud.analytics import Hourly, Summary, hourly, summary
from cloud.api.dependencies import FromText, NowMs, PeriodOfVenue, ReadSession, ToText, VenueRow
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.periods import Period, read_period
from cloud.places import Lines, Zones, lines, zones
from cloud.venues import zone_of

__all__ = ["router"]

router = APIRouter(prefix="/venues/{venue}", tags=["figures"], route_class=GuardedRoute)

MAX_HOURLY_DAYS = 92


def _short_period(row: VenueRow, now_ms: NowMs, start: FromText = None, end: ToText = None) -> Period:
    return read_period(start, end, zone=zone_of(row), now_ms=now_ms, max_days=MAX_HOURLY_DAYS)


ShortPeriod = Annotated[Period, Depends(_short_period)]


@router.get("/summary")
@needs(Role.VIEWER)
def show_summary(session: ReadSession, row: VenueRow, period: PeriodOfVenue, now_ms: NowMs) -> Summary:
    """Visitors, dwell, occupancy, coverage and what is missing, over a period."""
    return summary(session, venue=row, period=period, now_ms=now_ms)


@router.get("/hourly")
@needs(Role.VIEWER)
def show_hourly(session: ReadSession, row: VenueRow, period: ShortPeriod, now_ms: NowMs) -> Hourly:
    """The same for each hour of the venue's clock, empty ones too, over at most 92 days."""
    return hourly(session, venue=row, period=period, now_ms=now_ms)


@router.get("/zones")
@needs(Role.VIEWER)
def show_zones(session: ReadSession, row: VenueRow, period: PeriodOfVenue) -> Zones:
    """Visits, dwell, presence and peak of each zone."""
    return zones(session, venue=row, period=period)


@router.get("/lines")
@needs(Role.VIEWER)
def show_lines(session: ReadSession, row: VenueRow, period: PeriodOfVenue, now_ms: NowMs) -> Lines:
    """Crossings of each line, in and out, and where their true numbers lie."""
    return lines(session, venue=row, period=period, now_ms=now_ms)
