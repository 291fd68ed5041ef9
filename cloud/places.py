"""A venue's numbers by zone and by line."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.analytics import Dwell, PeriodUsed, dwell_of, period_used
from cloud.certainty import Interval, interval_of
from cloud.counting import crossings_by_line
from cloud.coverage import coverage_of, read_watch
from cloud.layouts import Place, venue_layout
from cloud.periods import Period
from cloud.store.metrics import DirectionBin, Metric, Peak, Scope
from cloud.store.tables import Venue
from cloud.sums import Sum, peaks_by_place, sums
from cloud.venues import hours_of, zone_of

__all__ = ["LineFigures", "Lines", "ZoneFigures", "Zones", "lines", "zones"]

ZONE_METRICS = (Metric.ZONE_VISITS, Metric.ZONE_DWELL_MS, Metric.ZONE_DWELL_HISTOGRAM, Metric.PERSON_TENTHS)
LINE_METRICS = (Metric.CROSSINGS, Metric.STAFF_CROSSINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneFigures:
    """One zone; `scene` and `kind` are null for one that no known layout names."""

    box: str
    zone: str
    scene: str | None
    kind: str | None
    visits: int
    dwell: Dwell
    person_seconds: float
    peak: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """All zones of a venue."""

    venue: str
    period: PeriodUsed
    zones: tuple[ZoneFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFigures:
    """One line; crossings include the staff's, which stand beside them."""

    box: str
    line: str
    scene: str | None
    kind: str | None
    crossings_in: int
    crossings_out: int
    staff_in: int
    staff_out: int
    interval_in: Annotated[Interval, Field(description="where the true number of `crossings_in` lies")]
    interval_out: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """All lines of a venue."""

    venue: str
    period: PeriodUsed
    lines: tuple[LineFigures, ...]


def zones(session: Session, *, venue: Venue, period: Period) -> Zones:
    """Each zone over a period, also those that nobody entered."""
    known = venue_layout(session, venue=venue.venue).zones
    by_place = _by_place(sums(session, venue=venue.venue, scope=Scope.ZONE, metrics=ZONE_METRICS, period=period))
    peaks = peaks_by_place(session, venue=venue.venue, scope=Scope.ZONE, peak=Peak.PEOPLE, period=period)
    figures = tuple(
        ZoneFigures(
            box=place[0],
            zone=place[1],
            scene=known[place].scene if place in known else None,
            kind=known[place].kind if place in known else None,
            visits=_total(rows, Metric.ZONE_VISITS),
            dwell=dwell_of(rows, mean=Metric.ZONE_DWELL_MS, histogram=Metric.ZONE_DWELL_HISTOGRAM),
            person_seconds=_total(rows, Metric.PERSON_TENTHS) / 10,
            peak=peaks.get(place),
        )
        for place, rows in ((place, by_place.get(place, [])) for place in sorted({*known, *by_place}))
    )
    return Zones(venue=venue.venue, period=period_used(period, venue=venue), zones=figures)


def lines(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Lines:
    """Each line over a period, also those that nobody crossed."""
    known = venue_layout(session, venue=venue.venue).lines
    by_place = _by_place(sums(session, venue=venue.venue, scope=Scope.LINE, metrics=LINE_METRICS, period=period))
    watch = read_watch(
        session, venue=venue.venue, hours=hours_of(venue), zone=zone_of(venue), period=period, now_ms=now_ms
    )
    counted = {
        direction: crossings_by_line(session, venue=venue.venue, period=period, direction=direction)
        for direction in DirectionBin
    }

    def interval(place: Place, direction: DirectionBin) -> Interval:
        counts = counted[direction].get(place, {})
        return interval_of(counts, covered=lambda cameras: coverage_of(watch, places=cameras).fraction)

    figures = tuple(
        LineFigures(
            box=place[0],
            line=place[1],
            scene=known[place].scene if place in known else None,
            kind=known[place].kind if place in known else None,
            crossings_in=_total(rows, Metric.CROSSINGS, DirectionBin.IN),
            crossings_out=_total(rows, Metric.CROSSINGS, DirectionBin.OUT),
            staff_in=_total(rows, Metric.STAFF_CROSSINGS, DirectionBin.IN),
            staff_out=_total(rows, Metric.STAFF_CROSSINGS, DirectionBin.OUT),
            interval_in=interval(place, DirectionBin.IN),
            interval_out=interval(place, DirectionBin.OUT),
        )
        for place, rows in ((place, by_place.get(place, [])) for place in sorted({*known, *by_place}))
    )
    return Lines(venue=venue.venue, period=period_used(period, venue=venue), lines=figures)


def _by_place(rows: list[Sum]) -> dict[Place, list[Sum]]:
    places = defaultdict[Place, list[Sum]](list)
    for row in rows:
        places[row.place].append(row)
    return dict(places)


def _total(rows: list[Sum], metric: Metric, number: int = 0) -> int:
    return sum(row.value for row in rows if row.metric is metric and row.bin == number)
