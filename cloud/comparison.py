"""Venues side by side over the same days, each on its own clock, by the definitions of the summary.

What venues of different size and hours cannot share is divided out: visitors a square metre, and an open hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.analytics import Dwell, Occupancy, PeriodUsed, figures_of, period_used
from cloud.certainty import Interval
from cloud.counting import CountedBy, counted_by
from cloud.coverage import Coverage
from cloud.errors import Invalid
from cloud.opening import open_spans
from cloud.periods import Period, read_period
from cloud.store.tables import Venue
from cloud.venues import find_venue, hours_of, zone_of

__all__ = ["MAX_COMPARED", "ComparedVenue", "Comparison", "compare"]

MAX_COMPARED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedVenue:
    """One venue of a comparison; what stands in its summary too is the same number."""

    venue: str
    name: str
    period: PeriodUsed
    visitors: int
    interval: Interval
    counted_by: CountedBy
    visitors_per_m2: Annotated[float | None, Field(description="null where the venue's `area_m2` is not known")]
    visitors_per_open_hour: Annotated[float | None, Field(description="null where it was not open yet")]
    open_hours: Annotated[float, Field(description="opening hours of the period so far")]
    area_m2: float | None
    dwell: Dwell
    occupancy: Occupancy
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Venues side by side, in the order in which they were asked for."""

    venues: tuple[ComparedVenue, ...]


def compare(session: Session, *, venues: Sequence[str], start: str | None, end: str | None, now_ms: int) -> Comparison:
    """Compare venues between two texts as `read_period` takes them; days are each venue's own.

    Raises NotFound for a venue that does not exist, and Invalid where one is named twice.
    """
    if len(set(venues)) < len(venues):
        raise Invalid("each `venue` may be named once")
    rows = [find_venue(session, venue=venue) for venue in venues]
    return Comparison(
        venues=tuple(
            _compared(session, row=row, period=read_period(start, end, zone=zone_of(row), now_ms=now_ms), now_ms=now_ms)
            for row in rows
        )
    )


def _compared(session: Session, *, row: Venue, period: Period, now_ms: int) -> ComparedVenue:
    found = figures_of(session, venue=row, period=period, now_ms=now_ms)
    spans = open_spans(hours_of(row), period=period, until_ms=now_ms, zone=zone_of(row))
    open_ms = sum(end - start for start, end in spans)
    return ComparedVenue(
        venue=row.venue,
        name=row.name,
        period=period_used(period, venue=row),
        visitors=found.visitors,
        interval=found.interval,
        counted_by=counted_by(found.counting),
        visitors_per_m2=round(found.visitors / row.area_m2, 4) if row.area_m2 else None,
        visitors_per_open_hour=round(found.visitors * 3_600_000 / open_ms, 4) if open_ms else None,
        open_hours=round(open_ms / 3_600_000, 4),
        area_m2=row.area_m2,
        dwell=found.dwell,
        occupancy=found.occupancy,
        coverage=found.coverage,
    )
