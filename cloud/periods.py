"""Periods of time as the numbers are asked for: half-open, in UTC, on the 15-minute grid of the roll-ups.

Local hours, days, weeks and months are composed here from those buckets, in the venue's zone of today: an hour that a
change of the clocks repeats is two hours, one that it skips is none, and a zone at UTC+5:45 has hours that begin at a
quarter. Knows nothing of the database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from zoneinfo import ZoneInfo

from cloud.errors import Invalid
from cloud.store.metrics import BUCKET_MS

__all__ = [
    "MAX_DAYS",
    "LocalPart",
    "PartKey",
    "Period",
    "Step",
    "date_of",
    "day_of",
    "format_local",
    "hour_of_key",
    "local_parts",
    "part_key",
    "read_period",
    "start_of_hour",
    "steady_stretches",
]

MAX_DAYS = 1100
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_STEP_MS = 6 * _HOUR_MS
"""Within so long no clock changes and changes back."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_WEEKDAY_OF_1970 = date(1970, 1, 1).weekday()
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


class Step(StrEnum):
    """Into what a period is divided, on the venue's clock and calendar."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday on, as ISO 8601 has it."""
    MONTH = "month"

    @property
    def unit_ms(self) -> int:
        """Of what it is made up: hours, or days."""
        return _HOUR_MS if self is Step.HOUR else _DAY_MS


PartKey = tuple[int, int]
"""What names an hour: its number since 1970 on its clock, and the clock's offset from UTC in ms; or else a day, a week
or a month: the number of its first day, and 0, since clocks may change within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPart:
    """What falls into one hour, day, week or month of the venue's clock; `start` is where it begins as a whole."""

    start: datetime
    key: PartKey
    buckets: range


def read_period(
    start: str | None,
    end: str | None,
    *,
    zone: ZoneInfo,
    now_ms: int,
    max_days: int = MAX_DAYS,
    names: tuple[str, str] = ("from", "to"),
) -> Period:
    """The period between two texts: each a moment with its zone, or a day of the venue (`end` then is included).

    Left out, it is the venue's today. Both ends are floored to 15 minutes; a period that this empties is one bucket.
    """
    if start is not None:
        start_ms = _read_moment(start, name=names[0], zone=zone, is_end=False)
    else:
        before_end = _read_moment(end, name=names[1], zone=zone, is_end=True) - 1 if end is not None else now_ms
        start_ms = day_of(before_end, zone=zone).start_ms
    end_ms = (
        _read_moment(end, name=names[1], zone=zone, is_end=True)
        if end is not None
        else day_of(now_ms, zone=zone).end_ms
    )
    if end_ms <= start_ms:
        raise Invalid(
            f"`{names[0]}` must be before `{names[1]}`; found {start} and {end or 'none, which is the end of today'}"
        )
    if end_ms - start_ms > max_days * _DAY_MS + _HOUR_MS:  # clocks may go back on one of the days
        raise Invalid(f"at most {max_days} days at a time; found {(end_ms - start_ms) / 86_400_000:.1f}")
    first = _floor(start_ms)
    return Period(start_ms=first, end_ms=max(_floor(end_ms), first + BUCKET_MS))


def day_of(moment_ms: int, *, zone: ZoneInfo) -> Period:
    """The local day in which a moment lies, floored to 15 minutes."""
    day = datetime.fromtimestamp(moment_ms / 1000, zone).date()
    start_ms, end_ms = (_midnight(day + timedelta(days=offset), zone=zone) for offset in (0, 1))
    return Period(start_ms=_floor(start_ms), end_ms=_floor(end_ms))


def local_parts(period: Period, *, zone: ZoneInfo, step: Step) -> Iterator[LocalPart]:
    """The hours, days, weeks or months that a period touches, in order, each with its buckets within the period."""
    key, first_ms, last_ms = None, 0, 0
    for here, begins, ends in _units(period, zone=zone, step=step):
        if here != key and key is not None:
            yield _local_part(key, first_ms, last_ms, zone=zone, step=step)
        first_ms = first_ms if here == key else begins
        key, last_ms = here, ends
    if key is not None:
        yield _local_part(key, first_ms, last_ms, zone=zone, step=step)


def part_key(step: Step, number: int, offset_ms: int) -> PartKey:
    """The part to which an hour or a day belongs that has this number on a clock with that offset."""
    match step:
        case Step.HOUR:
            return number, offset_ms
        case Step.DAY:
            return number, 0
        case Step.WEEK:
            return number - (number + _WEEKDAY_OF_1970) % 7, 0
        case Step.MONTH:
            return number - date_of(number).day + 1, 0


def date_of(number: int) -> date:
    """The day with this number since 1970."""
    return date.fromordinal(_FIRST_DAY + number)


def hour_of_key(key: PartKey) -> datetime:
    """When an hour begins, with its own offset: where clocks go back by half an hour, the zone would give the other."""
    return datetime.fromtimestamp(start_of_hour(key) / 1000, timezone(timedelta(milliseconds=key[1])))


def start_of_hour(key: PartKey) -> int:
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


def _units(period: Period, *, zone: ZoneInfo, step: Step) -> Iterator[tuple[PartKey, int, int]]:
    """Each hour or day of a period by the part that it belongs to, from when until when; changes of clocks divide."""
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        unit_ms = step.unit_ms
        first, last = ((moment + offset_ms) // unit_ms for moment in (stretch.start_ms, stretch.end_ms - BUCKET_MS))
        for number in range(first, last + 1):
            start_ms = number * unit_ms - offset_ms
            begins, ends = max(start_ms, stretch.start_ms), min(start_ms + unit_ms, stretch.end_ms)
            yield part_key(step, number, offset_ms), begins, ends


def _local_part(key: PartKey, begins: int, ends: int, *, zone: ZoneInfo, step: Step) -> LocalPart:
    start = hour_of_key(key) if step is Step.HOUR else datetime.combine(date_of(key[0]), time(), zone)
    return LocalPart(start=start, key=key, buckets=range(_ceil(begins), ends, BUCKET_MS))


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
