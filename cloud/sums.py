"""Reading the roll-ups: sums and peaks of a venue over a period, as plain values, added up by the database.

Whole days in UTC are read from their own sums, and whole hours where parts of a period are asked for, unless the day
has changed since these were made; all else is read from the 15 minutes. So any period has its exact sums, on any clock.
Knows the tables and nothing of what the numbers mean.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlmodel import Session

from cloud.layouts import Place
from cloud.periods import PartKey, Period, Step, part_key, steady_stretches
from cloud.store.metrics import DAY_SECONDS, HOUR_SECONDS, OF_HOURS, PEAKS_OF_HOURS, Metric, Peak, Scope
from cloud.store.tables import Rollup, RollupDue, RollupLong, RollupLongPeak, RollupPeak
from cloud.store.upsert import table_of

__all__ = [
    "PartSums",
    "Stretches",
    "Sum",
    "except_for",
    "first_watched_ms",
    "peaks_by_part",
    "peaks_by_place",
    "peaks_together",
    "stretches",
    "sums",
    "sums_by_part",
    "values_by_place",
    "watched_within",
]

MOST_STRETCHES = 40
"""Where more days than that have changed here and there, all between them is read from its 15 minutes."""
_HOUR_MS, _DAY_MS = HOUR_SECONDS * 1000, DAY_SECONDS * 1000
_SUMS, _PEAKS = table_of(Rollup), table_of(RollupPeak)
_LONG_SUMS, _LONG_PEAKS = table_of(RollupLong), table_of(RollupLongPeak)
_DUE = table_of(RollupDue)
_KEPT_BY_HOUR = frozenset[str]((*OF_HOURS, *PEAKS_OF_HOURS))


PartSums = Mapping[tuple[Metric, Place], Mapping[PartKey, int]]
"""Sums by metric and place, and by hour, day, week or month."""
_METRICS = {str(metric): metric for metric in Metric}
_DAYS_DUE = select(_DUE.c.day_ms).where(_DUE.c.venue == bindparam("venue")).distinct().order_by(_DUE.c.day_ms)
_FIRST_WATCHED = (
    select(_SUMS.c.bucket_ms)
    .where(
        _SUMS.c.venue == bindparam("venue"),
        _SUMS.c.metric == literal_column(f"'{Metric.WATCHED_MS}'"),
        _SUMS.c.scope == literal_column(f"'{Scope.CAMERA}'"),
        _SUMS.c.box == bindparam("box"),
        _SUMS.c.subject == bindparam("camera"),
        _SUMS.c.value > 0,
    )
    .order_by(_SUMS.c.bucket_ms)
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One sum over a whole period."""

    metric: Metric
    place: Place
    bin: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """A period in two: what is read from longer sums, and what from the sums of 15 minutes."""

    long: Sequence[Period]
    fine: Sequence[Period]


class _Kind(Enum):
    SUM = "sum"
    PEAK = "peak"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What is read: which metrics, over the whole or by units of so many ms, of all bins or of one."""

    kind: _Kind
    names: tuple[str, ...]
    unit_ms: int | None = None
    number: int | None = None


def sums(session: Session, *, venue: str, scope: Scope, metrics: Sequence[Metric], period: Period) -> list[Sum]:
    """Each metric of each subject and bin, over the whole period."""
    read = _Read(kind=_Kind.SUM, names=tuple(metrics))
    return [
        Sum(metric=_METRICS[metric], place=(box, subject), bin=number, value=int(value))
        for metric, box, subject, number, value in _execute(session, read, venue=venue, scope=scope, period=period)
    ]


def sums_by_part(
    session: Session,
    *,
    venue: str,
    scope: Scope,
    metrics: Sequence[Metric],
    period: Period,
    zone: ZoneInfo,
    step: Step,
    number: int | None = None,
) -> PartSums:
    """Each metric of each subject by hour, day, week or month; one bin, or all of them added up."""
    found = defaultdict[tuple[str, str, str], dict[PartKey, int]](dict)
    read = _Read(kind=_Kind.SUM, names=tuple(metrics), unit_ms=step.unit_ms, number=number)
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        rows = _execute(session, read, venue=venue, scope=scope, period=stretch, offset_ms=offset_ms)
        for metric, box, subject, unit, value in rows:
            values, key = found[metric, box, subject], part_key(step, unit, offset_ms)
            values[key] = values.get(key, 0) + int(value)
    return {(_METRICS[metric], (box, subject)): values for (metric, box, subject), values in found.items()}


def values_by_place(
    session: Session, *, venue: str, scope: Scope, metric: Metric, periods: Sequence[Period]
) -> Mapping[Place, Mapping[int, int]]:
    """One metric of each place in some stretches of time, by 15 minutes; of metrics without bins."""
    return _values(session, _SUMS, venue=venue, scope=scope, metric=metric, periods=periods)


def watched_within(
    session: Session, *, venue: str, periods: Sequence[Period], seconds: int
) -> Mapping[Place, Mapping[int, int]]:
    """What cameras watched of each whole hour or day, of no 15 minutes more than there are in them."""
    metric = Metric.WATCHED_WITHIN_MS
    return _values(
        session, _LONG_SUMS, venue=venue, scope=Scope.CAMERA, metric=metric, periods=periods, seconds=seconds
    )


def peaks_by_place(session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period) -> dict[Place, int]:
    """The peak of each place over the whole period."""
    rows = _execute(session, _Read(kind=_Kind.PEAK, names=(peak,)), venue=venue, scope=scope, period=period)
    return {(box, subject): value for box, subject, value in rows}


def peaks_together(
    session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period, places: Collection[Place] | None
) -> int | None:
    """The greatest that the peaks of all places or of some came to together, in any 15 minutes."""
    if places is not None and len(places) == 1:
        (place,) = places
        return peaks_by_place(session, venue=venue, scope=scope, peak=peak, period=period).get(place)
    added = _added_peaks(places)
    parameters = {"venue": venue, "scope": scope, "metric": peak, "from": period.start_ms, "to": period.end_ms}
    found = session.connection().execute(select(func.max(added.c.value)), parameters).scalar_one()
    return None if found is None else int(found)


def peaks_by_part(
    session: Session,
    *,
    venue: str,
    scope: Scope,
    peak: Peak,
    period: Period,
    zone: ZoneInfo,
    step: Step,
    places: Collection[Place] | None,
) -> Mapping[PartKey, int]:
    """The same for each hour, day, week or month."""
    found: dict[PartKey, int] = {}
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        units = _peaks_by_unit(
            session, step, places, venue=venue, scope=scope, peak=peak, period=stretch, offset_ms=offset_ms
        )
        for unit, value in units:
            key = part_key(step, unit, offset_ms)
            found[key] = max(value, found.get(key, value))
    return found


def first_watched_ms(session: Session, *, venue: str, place: Place) -> int | None:
    """The first bucket in which a camera of a venue watched anything."""
    box, camera = place
    parameters = {"venue": venue, "box": box, "camera": camera}
    return session.connection().execute(_FIRST_WATCHED, parameters).scalar_one_or_none()


def stretches(session: Session, *, venue: str, period: Period, seconds: int) -> Stretches:
    """Which whole hours or days of a period their own sums hold for, and the rest of it."""
    step_ms = seconds * 1000
    first, last = -(-period.start_ms // step_ms) * step_ms, period.end_ms // step_ms * step_ms
    long: list[Period] = []
    for day_ms in _days_due(session, venue=venue):
        if first < min(day_ms, last):
            long.append(Period(start_ms=first, end_ms=min(day_ms, last)))
        first = max(first, day_ms + _DAY_MS)
    if first < last:
        long.append(Period(start_ms=first, end_ms=last))
    if len(long) > MOST_STRETCHES:
        long = []
    return Stretches(long=long, fine=except_for(long, period=period))


def except_for(parts: Sequence[Period], *, period: Period) -> list[Period]:
    """What parts of a period, in order, leave of it."""
    edges = [period.start_ms, *chain(*((part.start_ms, part.end_ms) for part in parts)), period.end_ms]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Period(start_ms=start, end_ms=end) for start, end in pairs if start < end]


def _days_due(session: Session, *, venue: str) -> Sequence[int]:
    """The days in order whose longer sums do not hold; read once a session, which is one answer."""
    known: dict[str, Sequence[int]] = session.info.setdefault("days_due", {})
    if venue not in known:
        known[venue] = session.connection().execute(_DAYS_DUE, {"venue": venue}).scalars().all()
    return known[venue]


def _peaks_by_unit(
    session: Session,
    step: Step,
    places: Collection[Place] | None,
    *,
    venue: str,
    scope: Scope,
    peak: Peak,
    period: Period,
    offset_ms: int,
) -> Iterator[tuple[int, int]]:
    """The greatest that peaks came to together in each hour or day of a clock."""
    if places is not None and len(places) == 1:
        read = _Read(kind=_Kind.PEAK, names=(peak,), unit_ms=step.unit_ms)
        rows = _execute(session, read, venue=venue, scope=scope, period=period, offset_ms=offset_ms)
        yield from ((unit, value) for box, subject, unit, value in rows if (box, subject) in places)
        return
    added = _added_peaks(places)
    units = select(_unit(added.c.bucket_ms, step.unit_ms).label("unit"), added.c.value).subquery()
    query = select(units.c.unit, func.max(units.c.value)).group_by(units.c.unit)
    parameters = {"venue": venue, "scope": scope, "metric": peak, "from": period.start_ms, "to": period.end_ms}
    for unit, value in session.connection().execute(query, {**parameters, "offset": offset_ms}):
        yield unit, int(value)


def _execute(
    session: Session, read: _Read, *, venue: str, scope: Scope, period: Period, offset_ms: int | None = None
) -> Sequence[Any]:
    """The rows of a period as `read` wants them, from the longest sums that hold."""
    seconds = _length_read(read, offset_ms)
    parts = Stretches(long=(), fine=(period,))
    if seconds is not None:
        parts = stretches(session, venue=venue, period=period, seconds=seconds)
    parameters = {"venue": venue, "scope": scope, "offset": offset_ms, **_edges([*parts.long, *parts.fine])}
    return session.connection().execute(_statement(read, len(parts.long), len(parts.fine), seconds), parameters).all()


def _length_read(read: _Read, offset_ms: int | None) -> int | None:
    """How long the longest sums are of which each lies in one part; None where only those of 15 minutes do."""
    if read.unit_ms is None or (read.unit_ms == _DAY_MS and offset_ms == 0):
        return DAY_SECONDS
    return HOUR_SECONDS if _KEPT_BY_HOUR.issuperset(read.names) and (offset_ms or 0) % _HOUR_MS == 0 else None


def _values(
    session: Session,
    table: Table,
    *,
    venue: str,
    scope: Scope,
    metric: Metric,
    periods: Sequence[Period],
    seconds: int | None = None,
) -> Mapping[Place, Mapping[int, int]]:
    found = defaultdict[Place, dict[int, int]](dict)
    if periods:
        query = _statement_of_values(table, metric, len(periods), seconds)
        parameters = {"venue": venue, "scope": scope, **_edges(periods)}
        for box, subject, start_ms, value in session.connection().execute(query, parameters).all():
            found[box, subject][start_ms] = value
    return found


def _edges(periods: Sequence[Period]) -> dict[str, int]:
    starts = {f"from_{number}": period.start_ms for number, period in enumerate(periods)}
    return starts | {f"to_{number}": period.end_ms for number, period in enumerate(periods)}


# Statements are made once for each form, since making one takes longer than what it reads.


@lru_cache(maxsize=1000)
def _statement(read: _Read, long: int, fine: int, seconds: int | None) -> Select[Any]:
    """From so many stretches of sums of that length and so many of 15 minutes."""
    short_table, long_table = (_SUMS, _LONG_SUMS) if read.kind is _Kind.SUM else (_PEAKS, _LONG_PEAKS)
    arms = [
        _arm(long_table if number < long else short_table, read, number, seconds=seconds if number < long else None)
        for number in range(long + fine)
    ]
    rows = union_all(*arms).subquery()
    columns = [rows.c.box, rows.c.subject]
    if read.kind is _Kind.SUM:
        columns = [rows.c.metric, *columns]
        columns = columns if read.unit_ms is not None else [*columns, rows.c.bin]
    if read.unit_ms is not None:
        columns = [*columns, rows.c.at]
    together = func.sum if read.kind is _Kind.SUM else func.max
    return select(*columns, together(rows.c.value)).group_by(*columns)


@lru_cache(maxsize=1000)
def _statement_of_values(table: Table, metric: Metric, stretches: int, seconds: int | None) -> Select[Any]:
    read = _Read(kind=_Kind.SUM, names=(metric,))
    rows = union_all(*(_arm(table, read, number, seconds=seconds) for number in range(stretches))).subquery()
    return select(rows.c.box, rows.c.subject, rows.c.at, rows.c.value)


def _arm(table: Table, read: _Read, stretch: int, *, seconds: int | None) -> Select[Any]:
    """The rows of one table in one stretch of time, with when as `at`."""
    start = table.c.bucket_ms if seconds is None else table.c.start_ms
    conditions = [
        table.c.venue == bindparam("venue"),
        table.c.metric.in_([literal_column(f"'{name}'") for name in read.names]),
        table.c.scope == bindparam("scope"),
        start >= bindparam(f"from_{stretch}"),
        start < bindparam(f"to_{stretch}"),
    ]
    if seconds is not None:
        conditions.append(table.c.length_seconds == literal_column(str(seconds)))
    if read.number is not None:
        conditions.append(table.c.bin == literal_column(str(read.number)))
    at = (start if read.unit_ms is None else _unit(start, read.unit_ms)).label("at")
    bins = [table.c.bin] if read.kind is _Kind.SUM else []
    return select(table.c.metric, table.c.box, table.c.subject, *bins, at, table.c.value).where(*conditions)


def _unit(start: ColumnElement[int], unit_ms: int) -> ColumnElement[int]:
    """The number of the hour or day on a clock with the offset given."""
    return (start + bindparam("offset", type_=BigInteger)) // literal_column(str(unit_ms), Integer)


def _added_peaks(places: Collection[Place] | None) -> Subquery:
    """The peaks of some places in each 15 minutes, added up."""
    among = () if places is None else (tuple_(_PEAKS.c.box, _PEAKS.c.subject).in_(sorted(places)),)
    query = select(_PEAKS.c.bucket_ms, func.sum(_PEAKS.c.value).label("value")).where(
        _PEAKS.c.venue == bindparam("venue"),
        _PEAKS.c.metric == bindparam("metric"),
        _PEAKS.c.scope == bindparam("scope"),
        _PEAKS.c.bucket_ms >= bindparam("from"),
        _PEAKS.c.bucket_ms < bindparam("to"),
        *among,
    )
    return query.group_by(_PEAKS.c.bucket_ms).subquery()
