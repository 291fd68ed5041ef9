"""A venue's numbers over a period, composed when they are read from 15-minute sums in UTC.

Visitors are inward crossings of the entrance lines less the staff's, or, in buckets in which no entrance was watched,
the visits of the scenes that count. Nothing here is stored, and nothing local is either, so a corrected time zone
corrects the past.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.certainty import Interval, interval_of
from cloud.counting import CountedBy, counted_by, counting_of, visitors_of
from cloud.coverage import Coverage, Watch, coverage_of, read_watch
from cloud.layouts import Place, VenueLayout, venue_layout
from cloud.losses import Gaps, Undisclosed, read_gaps, undisclosed_of
from cloud.periods import LocalHour, Period, format_local, local_hours
from cloud.store.metrics import Metric, Peak, Scope
from cloud.store.tables import Venue
from cloud.sums import Sum, peaks_by_bucket, sums, sums_by_bucket
from cloud.venues import hours_of, zone_of
from protocol.histograms import DURATION_BOUNDS_SECONDS, percentile

__all__ = [
    "Dwell",
    "Hour",
    "Hourly",
    "Occupancy",
    "PeriodUsed",
    "Summary",
    "dwell_of",
    "hourly",
    "summary",
]

VISIT_METRICS = (Metric.VISITS, Metric.VISITS_RESUMED, Metric.DWELL_MS, Metric.DRIFT)
SCENE_METRICS = (*VISIT_METRICS, Metric.DWELL_HISTOGRAM, Metric.UNDISCLOSED)
CAMERA_METRICS = (Metric.WATCHED_MS, Metric.PERSON_TENTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUsed:
    """The period that the numbers are of, after both ends were floored to 15 minutes; on the venue's clock."""

    start: str
    end: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dwell:
    """How long people stayed; the percentiles come from a fixed histogram."""

    visits: Annotated[int, Field(description="visits measured, resumed ones too")]
    mean_seconds: float | None
    p50_seconds: float | None
    p90_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """People in view of the scenes that count; `peak` adds the cameras' peaks, so with several it is an upper bound."""

    mean: float | None
    peak: int | None
    person_seconds: float
    inside: Annotated[int | None, Field(description="greatest in − out of the scenes, where entrances are watched")]
    drift: Annotated[
        int, Field(description="people too many or too few in `inside`, found when a scene was seen empty")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakHour:
    """The local hour in which most visitors came."""

    hour: str
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A venue over a period."""

    venue: str
    period: PeriodUsed
    visitors: int
    interval: Annotated[Interval, Field(description="where the true number of visitors lies")]
    counted_by: CountedBy
    visits: Annotated[int, Field(description="visits that count, of the scenes that count")]
    dwell: Dwell
    occupancy: Occupancy
    coverage: Coverage
    peak_hour: PeakHour | None
    gaps: Gaps
    undisclosed: Undisclosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour of the venue's clock, empty or not."""

    hour: str
    visitors: int
    interval: Interval
    visits: int
    mean_dwell_seconds: float | None
    occupancy: Occupancy
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """A venue hour by hour."""

    venue: str
    period: PeriodUsed
    counted_by: CountedBy
    hours: tuple[Hour, ...]


def summary(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Summary:
    """A venue over a period."""
    layout = venue_layout(session, venue=venue.venue)
    counting = counting_of(session, venue=venue.venue, period=period)
    scenes = sums(session, venue=venue.venue, scope=Scope.SCENE, metrics=SCENE_METRICS, period=period)
    visits = _among(scenes, layout.counting_scenes)
    cameras = sums(session, venue=venue.venue, scope=Scope.CAMERA, metrics=CAMERA_METRICS, period=period)
    visitors = visitors_of(session, venue=venue.venue, counting=counting)
    counts = visitors.within(period.buckets())
    watch = _watch(session, venue=venue, period=period, now_ms=now_ms)
    return Summary(
        venue=venue.venue,
        period=period_used(period, venue=venue),
        visitors=max(0, sum(counts.values())),
        interval=interval_of(counts, covered=lambda cameras: coverage_of(watch, places=cameras).fraction),
        counted_by=counted_by(counting),
        visits=_total(visits, Metric.VISITS),
        dwell=dwell_of(visits, mean=Metric.DWELL_MS, histogram=Metric.DWELL_HISTOGRAM),
        occupancy=occupancy_of(
            _among(cameras, layout.counting_cameras),
            peaks=_peaks(session, venue=venue.venue, layout=layout, period=period),
            inside=_inside(session, venue=venue.venue, layout=layout, period=period),
            scenes=visits,
        ),
        coverage=coverage_of(watch),
        peak_hour=_peak_hour(visitors.totals, venue=venue, period=period),
        gaps=read_gaps(session, venue=venue.venue, period=period),
        undisclosed=undisclosed_of(scenes),
    )


def hourly(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Hourly:
    """A venue hour by hour: also hours without anyone, whose coverage says whether they were watched."""
    layout = venue_layout(session, venue=venue.venue)
    counting = counting_of(session, venue=venue.venue, period=period)
    watch = _watch(session, venue=venue, period=period, now_ms=now_ms)
    visitors = visitors_of(session, venue=venue.venue, counting=counting)
    visits = sums_by_bucket(session, venue=venue.venue, scope=Scope.SCENE, metrics=VISIT_METRICS, period=period)
    scenes = _by_bucket(_among(visits, layout.counting_scenes))
    presence = sums_by_bucket(session, venue=venue.venue, scope=Scope.CAMERA, metrics=CAMERA_METRICS, period=period)
    cameras = _by_bucket(_among(presence, layout.counting_cameras))
    peaks = _peaks(session, venue=venue.venue, layout=layout, period=period)
    inside = _inside(session, venue=venue.venue, layout=layout, period=period)

    def hour_of(local: LocalHour) -> Hour:
        rows = _rows(scenes, local.buckets)
        counts = visitors.within(local.buckets)
        return Hour(
            hour=local.hour.isoformat(),
            visitors=max(0, sum(counts.values())),
            interval=interval_of(
                counts,
                covered=lambda cameras: coverage_of(watch, buckets=local.buckets, places=cameras).fraction,
            ),
            visits=_total(rows, Metric.VISITS),
            mean_dwell_seconds=_mean_dwell(rows),
            occupancy=occupancy_of(
                _rows(cameras, local.buckets),
                peaks={bucket: peaks[bucket] for bucket in local.buckets if bucket in peaks},
                inside={bucket: inside[bucket] for bucket in local.buckets if bucket in inside},
                scenes=rows,
            ),
            coverage=coverage_of(watch, buckets=local.buckets),
        )

    return Hourly(
        venue=venue.venue,
        period=period_used(period, venue=venue),
        counted_by=counted_by(counting),
        hours=tuple(hour_of(local) for local in local_hours(period, zone=zone_of(venue))),
    )


def period_used(period: Period, *, venue: Venue) -> PeriodUsed:
    """A period on the venue's clock."""
    zone = zone_of(venue)
    return PeriodUsed(
        start=format_local(period.start_ms, zone=zone),
        end=format_local(period.end_ms, zone=zone),
        timezone=venue.timezone,
    )


def dwell_of(rows: Iterable[Sum], *, mean: Metric, histogram: Metric) -> Dwell:
    """The dwell of the visits behind a sum of milliseconds and a histogram."""
    counts, total_ms = [0] * (len(DURATION_BOUNDS_SECONDS) + 1), 0
    for row in rows:
        if row.metric is histogram:
            counts[row.bin] += row.value
        elif row.metric is mean:
            total_ms += row.value
    visits = sum(counts)
    return Dwell(
        visits=visits,
        mean_seconds=round(total_ms / 1000 / visits, 3) if visits else None,
        p50_seconds=_rounded(percentile(counts, 0.5)),
        p90_seconds=_rounded(percentile(counts, 0.9)),
    )


def occupancy_of(
    cameras: Iterable[Sum], *, peaks: Mapping[int, int], inside: Mapping[int, int], scenes: Iterable[Sum]
) -> Occupancy:
    """People in view: for each camera its person-seconds over its watched seconds, added up over cameras."""
    watched, tenths = defaultdict[Place, int](int), defaultdict[Place, int](int)
    for row in cameras:
        (watched if row.metric is Metric.WATCHED_MS else tenths)[row.place] += row.value
    means = [tenths[place] * 100 / watched_ms for place, watched_ms in watched.items() if watched_ms]
    return Occupancy(
        mean=round(sum(means), 4) if means else None,
        peak=max(peaks.values(), default=None),
        person_seconds=sum(tenths.values()) / 10,
        inside=max(inside.values(), default=None),
        drift=_total(scenes, Metric.DRIFT),
    )


def _peaks(session: Session, *, venue: str, layout: VenueLayout, period: Period) -> dict[int, int]:
    cameras = layout.counting_cameras
    return peaks_by_bucket(session, venue=venue, scope=Scope.CAMERA, peak=Peak.PEOPLE, period=period, places=cameras)


def _inside(session: Session, *, venue: str, layout: VenueLayout, period: Period) -> dict[int, int]:
    scenes = layout.counting_scenes
    return peaks_by_bucket(session, venue=venue, scope=Scope.SCENE, peak=Peak.INSIDE, period=period, places=scenes)


def _peak_hour(visitors: Mapping[int, int], *, venue: Venue, period: Period) -> PeakHour | None:
    hours = (
        PeakHour(hour=local.hour.isoformat(), visitors=sum(visitors.get(bucket, 0) for bucket in local.buckets))
        for local in local_hours(period, zone=zone_of(venue))
    )
    busiest = max(hours, key=lambda hour: hour.visitors)
    return busiest if busiest.visitors > 0 else None


def _watch(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Watch:
    return read_watch(
        session, venue=venue.venue, hours=hours_of(venue), zone=zone_of(venue), period=period, now_ms=now_ms
    )


def _among(rows: Iterable[Sum], places: frozenset[Place] | None) -> list[Sum]:
    return [row for row in rows if places is None or row.place in places]


def _by_bucket(rows: Iterable[Sum]) -> dict[int, list[Sum]]:
    buckets = defaultdict[int, list[Sum]](list)
    for row in rows:
        buckets[row.bucket_ms].append(row)
    return buckets


def _rows(by_bucket: Mapping[int, list[Sum]], buckets: Iterable[int]) -> list[Sum]:
    return [row for bucket in buckets for row in by_bucket.get(bucket, ())]


def _total(rows: Iterable[Sum], metric: Metric) -> int:
    return sum(row.value for row in rows if row.metric is metric)


def _mean_dwell(rows: list[Sum]) -> float | None:
    visits = _total(rows, Metric.VISITS) + _total(rows, Metric.VISITS_RESUMED)
    return round(_total(rows, Metric.DWELL_MS) / 1000 / visits, 3) if visits else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
