"""A venue's numbers over a whole period, composed when they are read from 15-minute sums in UTC.

Visitors are inward crossings of the entrance lines less the staff's, or, in buckets in which no entrance was watched,
the visits of the scenes that count. Nothing here is stored, and nothing local is either, so a corrected time zone
corrects the past.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.certainty import Interval, interval_of
from cloud.counting import CountedBy, Counting, counted_by, counting_of, visitors_by_part, visitors_of
from cloud.coverage import Coverage, Part, Watch, coverage_of, read_watch
from cloud.layouts import Place, venue_layout
from cloud.losses import Gaps, Undisclosed, gap_rows, gaps_of, lost_within, undisclosed_of
from cloud.periods import PartKey, Period, Step, format_local, hour_of_key, start_of_hour
from cloud.store.metrics import Metric, Peak, Scope
from cloud.store.tables import Venue
from cloud.sums import Sum, peaks_together, sums
from cloud.venues import hours_of, zone_of
from protocol.histograms import DURATION_BOUNDS_SECONDS, percentile

__all__ = [
    "VISIT_METRICS",
    "Dwell",
    "Figures",
    "InView",
    "Occupancy",
    "PeriodUsed",
    "Quality",
    "Summary",
    "dwell_of",
    "figures_of",
    "in_view_of",
    "mean_dwell",
    "occupancy_of",
    "period_used",
    "quality_of",
    "summary",
    "visitors",
]

VISIT_METRICS = (Metric.VISITS, Metric.VISITS_RESUMED, Metric.DWELL_MS, Metric.DRIFT)
SCENE_METRICS = (*VISIT_METRICS, Metric.DWELL_HISTOGRAM, Metric.UNDISCLOSED, Metric.REPORTS)
_TOLD = (Metric.VISITS, Metric.VISITS_RESUMED, Metric.REPORTS)
_TOLD_BY = ("visit", "occupancy")

InView = Sequence[tuple[Mapping[Part, int], Mapping[Part, int]]]
"""Of each camera: tenths of person-seconds, and milliseconds watched."""


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
class Quality:
    """How far the numbers of a period can be trusted: 100 × `watched` × `delivered`."""

    score: Annotated[float | None, Field(description="0 to 100; null where nothing was scheduled")]
    watched: Annotated[float | None, Field(description="the fraction of the coverage, at most 1")]
    delivered: Annotated[
        float, Field(description="of visits and minute reports, what came, of that and what was declared lost")
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
    quality: Quality
    peak_hour: PeakHour | None
    gaps: Gaps
    undisclosed: Undisclosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A venue over a period; `scenes` are the sums of all its scenes, `visits` of those that count."""

    counting: tuple[Counting, ...]
    scenes: list[Sum]
    visits: list[Sum]
    visitors: int
    interval: Interval
    dwell: Dwell
    occupancy: Occupancy
    coverage: Coverage


def visitors(session: Session, *, venue: str, period: Period) -> int:
    """How many came; the same number as in the summary, and nothing else."""
    counting = counting_of(session, venue=venue, period=period)
    return max(0, sum(visitors_of(session, venue=venue, counting=counting).values()))


def summary(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Summary:
    """A venue over a period."""
    found = figures_of(session, venue=venue, period=period, now_ms=now_ms)
    by_hour = visitors_by_part(session, venue=venue.venue, counting=found.counting, zone=zone_of(venue), step=Step.HOUR)
    gaps = gap_rows(session, venue=venue.venue, period=period)
    return Summary(
        venue=venue.venue,
        period=period_used(period, venue=venue),
        visitors=found.visitors,
        interval=found.interval,
        counted_by=counted_by(found.counting),
        visits=_total(found.visits, Metric.VISITS),
        dwell=found.dwell,
        occupancy=found.occupancy,
        coverage=found.coverage,
        quality=quality_of(found.scenes, coverage=found.coverage, lost=lost_within(gaps, period=period)),
        peak_hour=_peak_hour(by_hour.totals),
        gaps=gaps_of(gaps),
        undisclosed=undisclosed_of(found.scenes),
    )


def figures_of(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Figures:
    """What a summary and a comparison share."""
    name, layout = venue.venue, venue_layout(session, venue=venue.venue)
    counting = counting_of(session, venue=name, period=period)
    scenes = sums(session, venue=name, scope=Scope.SCENE, metrics=SCENE_METRICS, period=period)
    visits = _among(scenes, layout.counting_scenes)
    presence = sums(session, venue=name, scope=Scope.CAMERA, metrics=[Metric.PERSON_TENTHS], period=period)
    counts = visitors_of(session, venue=name, counting=counting)
    watch = read_watch(session, venue=name, hours=hours_of(venue), zone=zone_of(venue), period=period, now_ms=now_ms)
    of_cameras, of_scenes = layout.counting_cameras, layout.counting_scenes
    return Figures(
        counting=counting,
        scenes=scenes,
        visits=visits,
        visitors=max(0, sum(counts.values())),
        interval=interval_of(counts, covered=lambda cameras: coverage_of(watch, places=cameras).fraction),
        dwell=dwell_of(visits, mean=Metric.DWELL_MS, histogram=Metric.DWELL_HISTOGRAM),
        occupancy=occupancy_of(
            in_view_of({row.place: {None: row.value} for row in presence}, watch, places=of_cameras),
            peak=peaks_together(
                session, venue=name, scope=Scope.CAMERA, peak=Peak.PEOPLE, period=period, places=of_cameras
            ),
            inside=peaks_together(
                session, venue=name, scope=Scope.SCENE, peak=Peak.INSIDE, period=period, places=of_scenes
            ),
            drift=_total(visits, Metric.DRIFT),
        ),
        coverage=coverage_of(watch),
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


def occupancy_of(in_view: InView, *, part: Part = None, peak: int | None, inside: int | None, drift: int) -> Occupancy:
    """People in view: for each camera its person-seconds over its watched seconds, added up over cameras."""
    total, means = 0, []
    for tenths, watched in in_view:
        value, watched_ms = tenths.get(part, 0), watched.get(part, 0)
        total += value
        if watched_ms:
            means.append(value * 100 / watched_ms)
    return Occupancy(
        mean=round(sum(means), 4) if means else None, peak=peak, person_seconds=total / 10, inside=inside, drift=drift
    )


def in_view_of(tenths: Mapping[Place, Mapping[Part, int]], watch: Watch, *, places: frozenset[Place] | None) -> InView:
    """What `occupancy_of` is made of, for some cameras or for all, in their order."""
    among = sorted({*tenths, *watch.watched} if places is None else places)
    return [(tenths.get(place, {}), watch.watched.get(place, {})) for place in among]


def quality_of(scenes: Iterable[Sum], *, coverage: Coverage, lost: Mapping[str, float]) -> Quality:
    """By the sums of a venue's scenes, how much of the time was watched, and what its boxes declared lost, by type."""
    told = sum(row.value for row in scenes if row.metric in _TOLD)
    absent = sum(lost.get(kind, 0.0) for kind in _TOLD_BY)
    watched = None if coverage.fraction is None else min(1.0, coverage.fraction)
    delivered = told / (told + absent) if told + absent else 1.0
    return Quality(
        score=None if watched is None else round(100 * watched * delivered, 1),
        watched=watched,
        delivered=round(delivered, 6),
    )


def _peak_hour(visitors: Mapping[PartKey, int]) -> PeakHour | None:
    """The first of the busiest."""
    hour, count = max(visitors.items(), key=lambda one: (one[1], -start_of_hour(one[0])), default=((0, 0), 0))
    return PeakHour(hour=hour_of_key(hour).isoformat(), visitors=count) if count > 0 else None


def _among(rows: Iterable[Sum], places: frozenset[Place] | None) -> list[Sum]:
    return [row for row in rows if places is None or row.place in places]


def _total(rows: Iterable[Sum], metric: Metric) -> int:
    return sum(row.value for row in rows if row.metric is metric)


def mean_dwell(total_ms: int, *, visits: int) -> float | None:
    """In seconds; None of nobody."""
    return round(total_ms / 1000 / visits, 3) if visits else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
