"""What changed: a period beside another one, and a venue's last weeks beside each other.

A change is clear where the intervals of both counts lie apart; else it may be one of counting alone. Where people came
by chance on one day and not on another, no interval says so.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.analytics import PeriodUsed, figures_of, period_used
from cloud.certainty import Interval
from cloud.coverage import Coverage
from cloud.periods import Period, Step, day_of
from cloud.series import PartFigures, series
from cloud.store.metrics import BUCKET_MS
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import Venue
from cloud.venues import zone_of

__all__ = ["Change", "Changed", "Trend", "WeekFigures", "change", "trend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One figure in both periods; `relative` is the difference ÷ `before`, null where that is 0 or not known."""

    now: float | None
    before: float | None
    difference: float | None
    relative: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A period and one before it."""

    venue: str
    period: PeriodUsed
    against: PeriodUsed
    visitors: Changed
    interval: Interval
    interval_before: Interval
    is_clear: Annotated[bool, Field(description="whether the intervals lie apart")]
    mean_dwell_seconds: Changed
    mean_people: Changed
    coverage: Coverage
    coverage_before: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFigures:
    """A whole week; `growth` is the change of visitors since the week before ÷ those."""

    start: str
    visitors: int
    interval: Interval
    coverage: Coverage
    growth: float | None
    is_clear: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The last whole weeks; `growth` is what each would have grown by, had all grown alike."""

    venue: str
    period: PeriodUsed
    weeks: tuple[WeekFigures, ...]
    growth: float | None


def change(session: Session, *, venue: Venue, period: Period, against: Period | None, now_ms: int) -> Change:
    """A period beside another, or beside the one before it; one that is not over yet is compared as far as it is."""
    elapsed = _until(period, now_ms=now_ms)
    against = against or _period_before(period, venue=venue)
    if elapsed.end_ms < period.end_ms:
        against = _as_far(elapsed, against, venue=venue)
    found = figures_of(session, venue=venue, period=elapsed, now_ms=now_ms)
    earlier = figures_of(session, venue=venue, period=against, now_ms=now_ms)
    return Change(
        venue=venue.venue,
        period=period_used(elapsed, venue=venue),
        against=period_used(against, venue=venue),
        visitors=_changed(found.visitors, earlier.visitors),
        interval=found.interval,
        interval_before=earlier.interval,
        is_clear=_lie_apart(found.interval, earlier.interval),
        mean_dwell_seconds=_changed(found.dwell.mean_seconds, earlier.dwell.mean_seconds),
        mean_people=_changed(found.occupancy.mean, earlier.occupancy.mean),
        coverage=found.coverage,
        coverage_before=earlier.coverage,
    )


def trend(session: Session, *, venue: Venue, weeks: int, now_ms: int) -> Trend:
    """So many whole weeks up to the last Monday."""
    zone = zone_of(venue)
    today = from_ms(now_ms).astimezone(zone)
    monday = today.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=today.weekday())
    period = Period(
        start_ms=day_of(to_ms(monday - timedelta(weeks=weeks)), zone=zone).start_ms,
        end_ms=day_of(to_ms(monday), zone=zone).start_ms,
    )
    parts = series(session, venue=venue, period=period, step=Step.WEEK, now_ms=now_ms).parts
    told = tuple(_week(part, before) for part, before in zip(parts, (None, *parts), strict=False))
    return Trend(venue=venue.venue, period=period_used(period, venue=venue), weeks=told, growth=_growth(told))


def _period_before(period: Period, *, venue: Venue) -> Period:
    """As many days of the venue's clock, or as long where it is not made of days, right before a period."""
    zone = zone_of(venue)
    moments = period.start_ms, period.end_ms
    if not all(day_of(moment, zone=zone).start_ms == moment for moment in moments):
        length_ms = period.end_ms - period.start_ms
        return Period(start_ms=period.start_ms - length_ms, end_ms=period.start_ms)
    start, end = (from_ms(moment).astimezone(zone).date() for moment in moments)
    first = datetime.combine(start - (end - start), time(), zone)
    return Period(start_ms=day_of(to_ms(first.astimezone(UTC)), zone=zone).start_ms, end_ms=period.start_ms)


def _as_far(elapsed: Period, against: Period, *, venue: Venue) -> Period:
    """As much of another period as has elapsed of one: by the clock, since a day may have 23 hours."""
    zone = zone_of(venue)
    start, end, other = (
        from_ms(moment).astimezone(zone).replace(tzinfo=None)
        for moment in (elapsed.start_ms, elapsed.end_ms, against.start_ms)
    )
    end_ms = to_ms((other + (end - start)).replace(tzinfo=zone).astimezone(UTC)) // BUCKET_MS * BUCKET_MS
    return Period(start_ms=against.start_ms, end_ms=max(min(against.end_ms, end_ms), against.start_ms + BUCKET_MS))


def _until(period: Period, *, now_ms: int) -> Period:
    """A period as far as it is over, one bucket at least."""
    end_ms = min(period.end_ms, now_ms // BUCKET_MS * BUCKET_MS)
    return Period(start_ms=period.start_ms, end_ms=max(end_ms, period.start_ms + BUCKET_MS))


def _week(part: PartFigures, before: PartFigures | None) -> WeekFigures:
    return WeekFigures(
        start=part.start,
        visitors=part.visitors,
        interval=part.interval,
        coverage=part.coverage,
        growth=round(part.visitors / before.visitors - 1, 4) if before is not None and before.visitors else None,
        is_clear=None if before is None else _lie_apart(part.interval, before.interval),
    )


def _growth(weeks: tuple[WeekFigures, ...]) -> float | None:
    """The geometric mean of the growths, from the first week and the last."""
    if len(weeks) < 2 or not weeks[0].visitors:
        return None
    ratio: float = weeks[-1].visitors / weeks[0].visitors
    return round(float(ratio ** (1 / (len(weeks) - 1))) - 1, 4)


def _changed(now: float | None, before: float | None) -> Changed:
    difference = None if now is None or before is None else round(now - before, 4)
    return Changed(
        now=now,
        before=before,
        difference=difference,
        relative=round(difference / before, 4) if difference is not None and before else None,
    )


def _lie_apart(one: Interval, other: Interval) -> bool:
    return _is_below(one, other) or _is_below(other, one)


def _is_below(one: Interval, other: Interval) -> bool:
    return one.high is not None and one.high < other.low
