"""A venue's numbers hour by hour, day by day, week by week or month by month, on its own clock and calendar.

Parts in which nobody came are told too: their coverage says whether they were watched. Each figure of a part is what
the summary of that part alone would say.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, cast

from pydantic import Field
from sqlmodel import Session

from cloud.analytics import (
    VISIT_METRICS,
    InView,
    Occupancy,
    PeriodUsed,
    in_view_of,
    mean_dwell,
    occupancy_of,
    period_used,
)
from cloud.certainty import Interval, interval_of
from cloud.counting import CountedBy, Counting, Visitors, counted_by, counting_of, visitors_by_part
from cloud.coverage import Coverage, Part, Watch, coverage_of, read_watch_by_part
from cloud.layouts import Place, venue_layout
from cloud.periods import LocalPart, PartKey, Period, Step, local_parts
from cloud.store.metrics import Metric, Peak, Scope
from cloud.store.tables import Venue
from cloud.sums import PartSums, peaks_by_part, sums_by_part
from cloud.venues import hours_of, zone_of

__all__ = ["PartFigures", "Parts", "Series", "parts_of", "series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFigures:
    """One hour, day, week or month, as far as it lies in the period."""

    start: Annotated[str, Field(description="when it begins as a whole, on the venue's clock")]
    visitors: int
    interval: Interval
    visits: int
    mean_dwell_seconds: float | None
    occupancy: Occupancy
    fullness: Annotated[
        float | None, Field(description="greatest `inside`, else `peak`, ÷ the venue's capacity; null without either")
    ]
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A venue part by part."""

    venue: str
    period: PeriodUsed
    bucket: Step
    counted_by: CountedBy
    capacity: int | None
    parts: tuple[PartFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a period, who came in each, and how far each was watched."""

    local: tuple[LocalPart, ...]
    counting: tuple[Counting, ...]
    visitors: Visitors
    watch: Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """All that was read, by part."""

    visitors: Visitors
    watch: Watch
    scenes: Mapping[Metric, Mapping[PartKey, int]]
    in_view: InView
    peaks: Mapping[PartKey, int]
    inside: Mapping[PartKey, int]
    everywhere: frozenset[Place]
    capacity: int | None


def series(session: Session, *, venue: Venue, period: Period, step: Step, now_ms: int) -> Series:
    """A venue over a period in steps."""
    parts = parts_of(session, venue=venue, period=period, step=step, now_ms=now_ms)
    known = _read(session, venue, parts, period=period, step=step)
    return Series(
        venue=venue.venue,
        period=period_used(period, venue=venue),
        bucket=step,
        counted_by=counted_by(parts.counting),
        capacity=venue.capacity,
        parts=tuple(_figures(known, part) for part in parts.local),
    )


def parts_of(session: Session, *, venue: Venue, period: Period, step: Step, now_ms: int) -> Parts:
    """What each part of a period is told from."""
    name, zone = venue.venue, zone_of(venue)
    local = tuple(local_parts(period, zone=zone, step=step))
    counting = counting_of(session, venue=name, period=period)
    return Parts(
        local=local,
        counting=counting,
        visitors=visitors_by_part(session, venue=name, counting=counting, zone=zone, step=step),
        watch=read_watch_by_part(
            session, venue=name, hours=hours_of(venue), zone=zone, period=period, now_ms=now_ms, step=step, local=local
        ),
    )


def _read(session: Session, venue: Venue, parts: Parts, *, period: Period, step: Step) -> _Known:
    name, zone, layout = venue.venue, zone_of(venue), venue_layout(session, venue=venue.venue)
    of_cameras, of_scenes = layout.counting_cameras, layout.counting_scenes
    sums_of = partial(sums_by_part, session, venue=name, period=period, zone=zone, step=step)
    peaks_of = partial(peaks_by_part, session, venue=name, period=period, zone=zone, step=step)
    presence = sums_of(scope=Scope.CAMERA, metrics=[Metric.PERSON_TENTHS])
    tenths = {place: cast("Mapping[Part, int]", values) for (_, place), values in presence.items()}
    return _Known(
        visitors=parts.visitors,
        watch=parts.watch,
        scenes=_added_up(sums_of(scope=Scope.SCENE, metrics=VISIT_METRICS), places=of_scenes),
        in_view=in_view_of(tenths, parts.watch, places=of_cameras),
        peaks=peaks_of(scope=Scope.CAMERA, peak=Peak.PEOPLE, places=of_cameras),
        inside=peaks_of(scope=Scope.SCENE, peak=Peak.INSIDE, places=of_scenes),
        everywhere=frozenset(parts.watch.due),
        capacity=venue.capacity,
    )


def _figures(known: _Known, part: LocalPart) -> PartFigures:
    key, counts = part.key, known.visitors.within(part)
    coverage = coverage_of(known.watch, part=key)

    def covered(cameras: frozenset[Place] | None) -> float | None:
        if cameras is None or cameras >= known.everywhere:
            return coverage.fraction
        return coverage_of(known.watch, part=key, places=cameras).fraction

    scenes, peak, inside = known.scenes, known.peaks.get(key), known.inside.get(key)
    visits = scenes[Metric.VISITS].get(key, 0)
    greatest = peak if inside is None else inside
    return PartFigures(
        start=part.start.isoformat(),
        visitors=max(0, sum(counts.values())),
        interval=interval_of(counts, covered=covered),
        visits=visits,
        mean_dwell_seconds=mean_dwell(
            scenes[Metric.DWELL_MS].get(key, 0), visits=visits + scenes[Metric.VISITS_RESUMED].get(key, 0)
        ),
        occupancy=occupancy_of(
            known.in_view, part=key, peak=peak, inside=inside, drift=scenes[Metric.DRIFT].get(key, 0)
        ),
        fullness=round(greatest / known.capacity, 4) if known.capacity and greatest is not None else None,
        coverage=coverage,
    )


def _added_up(values: PartSums, *, places: frozenset[Place] | None) -> Mapping[Metric, Mapping[PartKey, int]]:
    """Each metric by part, over all places or some."""
    found = defaultdict[Metric, Counter[PartKey]](Counter)
    for (metric, place), parts in values.items():
        if places is None or place in places:
            found[metric].update(parts)
    return found
