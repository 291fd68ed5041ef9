"""Periods of time as the numbers are asked for: half-open, in UTC, on the 15-minute grid of the roll-ups.

Local hours and days are composed here from those buckets, in the venue's zone of today: an hour that a change of the
clocks repeats is two hours, one that it skips is none, and a zone at UTC+5:45 has hours that begin at a quarter.
Knows nothing of the database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from cloud.errors import Invalid
from cloud.store.metrics import BUCKET_MS

__all__ = [
    "HourKey",
    "LocalHour",
    "Period",
    "day_of",
    "format_local",
    "hour_of_key",
    "local_hours",
    "read_period",
    "start_of_hour",
    "steady_stretches",
]

MAX_DAYS = 1100
_HOUR_MS = 3_600_000
_STEP_MS = 6 * _HOUR_MS
"""Within so long no clock changes and changes back."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOST_PLUS = re.compile(r" (?=\d{2}:?\d{2}$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `start_ms` up to but without `end_ms`: UTC milliseconds, multiples of 15 minutes."""

    start_ms: int
    end_ms: int

    def buckets(self) -> range:
        """The start of each bucket."""
        return range(self.start_ms, self.end_ms, BUCKET_MS)

    @property
    def seconds(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


HourKey = tuple[int, int]
"""What names an hour of a clock: its number since 1970 on that clock, and the clock's offset from UTC in ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHour:
    """What falls into one hour of the venue's clock."""

    hour: datetime
    key: HourKey
    buckets: range


def read_period(start: str | None, end: str | None, *, zone: ZoneInfo, now_ms: int, max_days: int = MAX_DAYS) -> Period:
    """The period between two texts: each a moment with its zone, or a day of the venue (`end` then is included).

    Left out, it is the venue's today. Both ends are floored to 15 minutes; a period that this empties is one bucket.
    """
    if start is not None:
        start_ms = _read_moment(start, name="from", zone=zone, is_end=False)
    else:
        before_end = _read_moment(end, name="to", zone=zone, is_end=True) - 1 if end is not None else now_ms
        start_ms = day_of(before_end, zone=zone).start_ms
    end_ms = (
        _read_moment(end, name="to", zone=zone, is_end=True) if end is not None else day_of(now_ms, zone=zone).end_ms
    )
    if end_ms <= start_ms:
        raise Invalid(f"`from` must be before `to`; found {start} and {end or 'none, which is the end of today'}")
    if end_ms - start_ms > max_days * 86_400_000:
        raise Invalid(f"at most {max_days} days at a time; found {(end_ms - start_ms) / 86_400_000:.1f}")
    first = _floor(start_ms)
    return Period(start_ms=first, end_ms=max(_floor(end_ms), first + BUCKET_MS))


def day_of(moment_ms: int, *, zone: ZoneInfo) -> Period:
    """The local day in which a moment lies, floored to 15 minutes."""
    day = datetime.fromtimestamp(moment_ms / 1000, zone).date()
    start_ms, end_ms = (_midnight(day + timedelta(days=offset), zone=zone) for offset in (0, 1))
    return Period(start_ms=_floor(start_ms), end_ms=_floor(end_ms))


def local_hours(period: Period, *, zone: ZoneInfo) -> Iterator[LocalHour]:
    """The hours of the venue's clock that a period touches, in order, each with its buckets within the period."""
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        first, last = ((moment + offset_ms) // _HOUR_MS for moment in (stretch.start_ms, stretch.end_ms - BUCKET_MS))
        for number in range(first, last + 1):
            key = (number, offset_ms)
            start_ms = start_of_hour(key)
            begins, ends = max(start_ms, stretch.start_ms), min(start_ms + _HOUR_MS, stretch.end_ms)
            yield LocalHour(
                hour=hour_of_key(key),
                key=key,
                buckets=range(_ceil(begins), ends, BUCKET_MS),
            )


def hour_of_key(key: HourKey) -> datetime:
    """When an hour begins, with its own offset: where clocks go back by half an hour, the zone would give the other."""
    return datetime.fromtimestamp(start_of_hour(key) / 1000, timezone(timedelta(milliseconds=key[1])))


def start_of_hour(key: HourKey) -> int:
    """When an hour begins, in UTC milliseconds."""
    number, offset_ms = key
    return number * _HOUR_MS - offset_ms


def steady_stretches(period: Period, *, zone: ZoneInfo) -> Iterator[tuple[Period, int]]:
    """A period in stretches of whole buckets through which a clock's offset from UTC is one, with that offset in ms."""
    start_ms, offset_ms = period.start_ms, _offset_ms(period.start_ms, zone=zone)
    for step_ms in range(period.start_ms, period.end_ms, _STEP_MS):
        end_ms = min(step_ms + _STEP_MS, period.end_ms)
        if _offset_ms(end_ms, zone=zone) == offset_ms:
            continue
        for bucket_ms in range(step_ms, end_ms, BUCKET_MS):
            if (here_ms := _offset_ms(bucket_ms, zone=zone)) != offset_ms:
                yield Period(start_ms=start_ms, end_ms=bucket_ms), offset_ms
                start_ms, offset_ms = bucket_ms, here_ms
    yield Period(start_ms=start_ms, end_ms=period.end_ms), offset_ms


def format_local(moment_ms: int, *, zone: ZoneInfo) -> str:
    """A moment on the venue's clock, with its offset."""
    return datetime.fromtimestamp(moment_ms / 1000, zone).isoformat(timespec="seconds")


def _offset_ms(moment_ms: int, *, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(moment_ms / 1000, zone).utcoffset() or timedelta()
    return offset.days * 86_400_000 + offset.seconds * 1000


def _read_moment(text: str, *, name: str, zone: ZoneInfo, is_end: bool) -> int:
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=1 if is_end else 0)
            moment_ms = _midnight(day, zone=zone)
        else:
            # A plus sign that was not escaped arrives as a space.
            moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
            moment_ms = round((moment - _EPOCH).total_seconds() * 1000)
    except (ValueError, TypeError, OverflowError) as error:
        raise Invalid(
            f"`{name}` must be a day like 2026-03-29, or a moment with its zone like 2026-03-29T10:00:00Z"
        ) from error
    if not 946_684_800_000 <= moment_ms < 7_258_118_400_000:
        raise Invalid(f"`{name}` must lie between the years 2000 and 2199")
    return moment_ms


def _midnight(day: date, *, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _floor(moment_ms: int) -> int:
    return moment_ms // BUCKET_MS * BUCKET_MS


def _ceil(moment_ms: int) -> int:
    return -(-moment_ms // BUCKET_MS) * BUCKET_MS
