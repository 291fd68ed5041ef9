"""When a venue is open: hours of each weekday on the venue's clock, past midnight too, and days on which it is closed.

Nothing local is stored as a moment, so that correcting a venue's time zone moves its hours along.
A venue that says nothing is taken to be open all day, every day.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from cloud.periods import Period
from cloud.store.metrics import BUCKET_MS

__all__ = ["OpeningHours", "Span", "Weekday", "ms_by_bucket", "open_spans", "scheduled_ms_by_bucket"]

_CLOCK_TIME = r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"
MINUTES_A_DAY = 1440


class Weekday(StrEnum):
    """In the order of date.weekday()."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


ClockTime = Annotated[str, StringConstraints(pattern=re.compile(_CLOCK_TIME))]
Interval = tuple[ClockTime, ClockTime]
Span = tuple[int, int]
"""From when until when, in UTC milliseconds."""


def _tidy(intervals: tuple[Interval, ...]) -> tuple[Interval, ...]:
    spans = sorted((*_minutes(interval), interval) for interval in intervals)
    if any(opens == MINUTES_A_DAY for opens, _, _ in spans):
        raise ValueError("an opening time before 24:00")
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        raise ValueError("hours that do not overlap")
    return tuple(interval for _, _, interval in spans)


Intervals = Annotated[tuple[Interval, ...], Field(max_length=8), AfterValidator(_tidy)]


class OpeningHours(BaseModel):
    """Hours by weekday, and closed days. A weekday that is not named is closed; with none named, all are open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weekly: dict[Weekday, Intervals] | None = Field(
        default=None,
        description='Local times: `{"mon": [["09:00", "13:00"], ["14:00", "18:00"]], "fri": [["20:00", "02:00"]]}`; '
        "hours that do not close later than they open end on the next day. Left out: open all day.",
    )
    closed_days: Annotated[tuple[date, ...], Field(max_length=1000)] = Field(
        default=(), description="Days on which the venue does not open, whatever the weekday"
    )

    def on(self, day: date) -> tuple[tuple[int, int], ...]:
        """Minutes after midnight at which it opens and closes on a day; closing may lie beyond 1440."""
        if day in self.closed_days:
            return ()
        if self.weekly is None:
            return ((0, MINUTES_A_DAY),)
        return tuple(_minutes(interval) for interval in self.weekly.get(list(Weekday)[day.weekday()], ()))


def open_spans(hours: OpeningHours, *, period: Period, until_ms: int, zone: ZoneInfo) -> list[Span]:
    """From when until when the venue is open, up to a moment: in order, disjoint, never adjacent."""
    end_ms = min(period.end_ms, until_ms)
    spans: list[Span] = []
    for opens, closes in _spans(hours, period=period, zone=zone):
        start, end = max(opens, period.start_ms), min(closes, end_ms)
        if start >= end:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def ms_by_bucket(spans: Iterable[Span]) -> dict[int, int]:
    """How many milliseconds of each bucket lie in spans; without those of which none do."""
    found: dict[int, int] = {}
    for start, end in spans:
        for bucket in range(start // BUCKET_MS * BUCKET_MS, end, BUCKET_MS):
            within = min(end, bucket + BUCKET_MS) - max(start, bucket)
            found[bucket] = found.get(bucket, 0) + within
    return found


def scheduled_ms_by_bucket(hours: OpeningHours, *, period: Period, until_ms: int, zone: ZoneInfo) -> dict[int, int]:
    """How many milliseconds of each bucket the venue is open, up to a moment; without those in which it is closed."""
    return ms_by_bucket(open_spans(hours, period=period, until_ms=until_ms, zone=zone))


def _spans(hours: OpeningHours, *, period: Period, zone: ZoneInfo) -> list[Span]:
    if hours.weekly is None and not hours.closed_days:
        return [(period.start_ms, period.end_ms)]
    first = datetime.fromtimestamp(period.start_ms / 1000, zone).date() - timedelta(days=1)
    last = datetime.fromtimestamp(period.end_ms / 1000, zone).date()
    days = [first + timedelta(days=index) for index in range((last - first).days + 1)]
    return sorted(
        (_moment(day, opens, zone=zone), _moment(day, closes, zone=zone))
        for day in days
        for opens, closes in hours.on(day)
    )


def _moment(day: date, minutes: int, *, zone: ZoneInfo) -> int:
    """A time on the wall clock, in UTC milliseconds; one that a change of the clocks skips is taken an hour later."""
    day += timedelta(days=minutes // MINUTES_A_DAY)
    wall = datetime.combine(day, time(minutes % MINUTES_A_DAY // 60, minutes % 60), tzinfo=zone)
    return round(wall.timestamp() * 1000)


def _minutes(interval: Interval) -> tuple[int, int]:
    opens, closes = (int(text[:2]) * 60 + int(text[3:]) for text in interval)
    return opens, closes if closes > opens else closes + MINUTES_A_DAY
