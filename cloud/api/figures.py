"""A venue's numbers: summary, part by part, by zone and by line."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.access.roles import Role
from cloud.analytics import Summary, summary
from cloud.api.dependencies import FromText, NowMs, PeriodOfVenue, ReadSession, ToText, VenueRow
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.change import Change, Trend, change, trend
from cloud.errors import Invalid
from cloud.patterns import Patterns, patterns
from cloud.periods import MAX_DAYS, Step, read_period
from cloud.places import Lines, Zones, lines, zones
from cloud.series import Series, series
from cloud.venues import zone_of

__all__ = ["router"]

router = APIRouter(prefix="/venues/{venue}", tags=["figures"], route_class=GuardedRoute)

MAX_HOURLY_DAYS = 92
AgainstFrom = Annotated[
    str | None, Query(alias="against_from", max_length=40, description="start of the other period, as `from`")
]
AgainstTo = Annotated[
    str | None, Query(alias="against_to", max_length=40, description="end of the other period, as `to`")
]
Weeks = Annotated[int, Query(ge=2, le=104, description="so many whole weeks")]
Bucket = Annotated[Step, Query(description="`hour` for at most 92 days at a time")]


@router.get("/summary")
@needs(Role.VIEWER)
def show_summary(session: ReadSession, row: VenueRow, period: PeriodOfVenue, now_ms: NowMs) -> Summary:
    """Visitors, dwell, occupancy, coverage and what is missing, over a period."""
    return summary(session, venue=row, period=period, now_ms=now_ms)


@router.get("/series")
@needs(Role.VIEWER)
def show_series(
    session: ReadSession,
    row: VenueRow,
    now_ms: NowMs,
    start: FromText = None,
    end: ToText = None,
    bucket: Bucket = Step.HOUR,
) -> Series:
    """The same for each hour, day, week or month of the venue's clock, empty ones too."""
    most = MAX_HOURLY_DAYS if bucket is Step.HOUR else MAX_DAYS
    period = read_period(start, end, zone=zone_of(row), now_ms=now_ms, max_days=most)
    return series(session, venue=row, period=period, step=bucket, now_ms=now_ms)


@router.get("/patterns")
@needs(Role.VIEWER)
def show_patterns(
    session: ReadSession, row: VenueRow, now_ms: NowMs, start: FromText = None, end: ToText = None
) -> Patterns:
    """When in the week people come: weekday by hour, the busiest hours and the quietest; over at most 92 days."""
    period = read_period(start, end, zone=zone_of(row), now_ms=now_ms, max_days=MAX_HOURLY_DAYS)
    return patterns(session, venue=row, period=period, now_ms=now_ms)


@router.get("/change")
@needs(Role.VIEWER)
def show_change(
    session: ReadSession,
    row: VenueRow,
    period: PeriodOfVenue,
    now_ms: NowMs,
    against_start: AgainstFrom = None,
    against_end: AgainstTo = None,
) -> Change:
    """A period beside the one before it, or beside another that is named."""
    against = None
    if (against_start is None) != (against_end is None):
        raise Invalid("`against_from` and `against_to` go together")
    if against_start is not None:
        names = ("against_from", "against_to")
        against = read_period(against_start, against_end, zone=zone_of(row), now_ms=now_ms, names=names)
    return change(session, venue=row, period=period, against=against, now_ms=now_ms)


@router.get("/trend")
@needs(Role.VIEWER)
def show_trend(session: ReadSession, row: VenueRow, now_ms: NowMs, weeks: Weeks = 12) -> Trend:
    """The last whole weeks, and how they grew."""
    return trend(session, venue=row, weeks=weeks, now_ms=now_ms)


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
