"""When in the week people come: each hour of each weekday, as the mean of those hours that were open and watched.

An hour of which less than half of the open time was watched says nothing and is left out, and so is one that is not
over, or that the period cuts. One that was open for a part counts as an hour. Both hours of a clock that goes back
count, as hours of one name.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.analytics import PeriodUsed, period_used
from cloud.coverage import coverage_of
from cloud.periods import LocalPart, Period, Step
from cloud.series import parts_of
from cloud.store.metrics import BUCKET_MS, HOUR_SECONDS
from cloud.store.moments import to_ms
from cloud.store.tables import Venue

__all__ = ["HourOfDay", "HourOfWeek", "Patterns", "patterns"]

LEAST_WATCHED = 0.5
NAMED_HOURS = 3
"""So many of the busiest and of the quietest hours are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfWeek:
    """An hour of a weekday."""

    weekday: Annotated[int, Field(description="1 for Monday to 7 for Sunday")]
    hour: Annotated[int, Field(description="0 to 23 on the venue's clock")]
    visitors: Annotated[float, Field(description="mean of such hours")]
    hours: Annotated[int, Field(description="how many such hours were open, and half watched at least")]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfDay:
    """An hour of any day."""

    hour: int
    visitors: float
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """The week of a venue; hours that were never open, or never watched, are absent."""

    venue: str
    period: PeriodUsed
    matrix: tuple[HourOfWeek, ...]
    busiest: tuple[HourOfDay, ...]
    quietest: tuple[HourOfDay, ...]


def patterns(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Patterns:
    """The week of a venue over a period."""
    told = _told(session, venue=venue, period=period, now_ms=now_ms)
    of_week, of_day = defaultdict[tuple[int, int], list[int]](list), defaultdict[int, list[int]](list)
    for part, count in told:
        of_week[part.start.isoweekday(), part.start.hour].append(count)
        of_day[part.start.hour].append(count)
    hours = _hours_of_day(of_day)
    return Patterns(
        venue=venue.venue,
        period=period_used(period, venue=venue),
        matrix=tuple(
            HourOfWeek(weekday=weekday, hour=hour, visitors=round(fmean(counts), 3), hours=len(counts))
            for (weekday, hour), counts in sorted(of_week.items())
        ),
        busiest=tuple(sorted(hours, key=lambda one: (-one.visitors, one.hour))[:NAMED_HOURS]),
        quietest=tuple(sorted(hours, key=lambda one: (one.visitors, one.hour))[:NAMED_HOURS]),
    )


def _told(session: Session, *, venue: Venue, period: Period, now_ms: int) -> Iterable[tuple[LocalPart, int]]:
    """The hours that say something, and how many came in each."""
    parts = parts_of(session, venue=venue, period=period, step=Step.HOUR, now_ms=now_ms)
    totals = parts.visitors.totals
    for part in parts.local:
        if not _is_whole(part, period, now_ms=now_ms):
            continue
        fraction = coverage_of(parts.watch, part=part.key).fraction
        if fraction is not None and fraction >= LEAST_WATCHED:
            yield part, max(0, totals.get(part.key, 0))


def _is_whole(part: LocalPart, period: Period, *, now_ms: int) -> bool:
    """Whether an hour is over and lies in the period as a whole; one that a change of the clocks cuts does."""
    start_ms = to_ms(part.start)
    ends_ms = part.buckets[-1] + BUCKET_MS
    is_cut_before = part.buckets[0] == period.start_ms > start_ms
    is_cut_after = ends_ms == period.end_ms < start_ms + HOUR_SECONDS * 1000
    return ends_ms <= now_ms and not is_cut_before and not is_cut_after


def _hours_of_day(of_day: Mapping[int, Sequence[int]]) -> list[HourOfDay]:
    return [
        HourOfDay(hour=hour, visitors=round(fmean(counts), 3), hours=len(counts)) for hour, counts in of_day.items()
    ]
