"""Reading the roll-ups: sums and peaks of a venue over a period, as plain values, added up by the database.

Whole days in UTC are read from their own sums, and whole hours where hours are asked for, unless the day has changed
since these were made; all else is read from the 15 minutes. So any period has its exact sums, on any clock. Knows the
tables and nothing of what the numbers mean.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, FromClause, Select, Table, func, select, tuple_, union_all
from sqlmodel import Session

from cloud.layouts import Place
from cloud.periods import HourKey, Period, steady_stretches
from cloud.store.metrics import DAY_SECONDS, HOUR_SECONDS, Metric, Peak, Scope
from cloud.store.tables import Rollup, RollupDue, RollupLong, RollupLongPeak, RollupPeak
from cloud.store.upsert import table_of

__all__ = [
    "Stretches",
    "Sum",
    "except_for",
    "first_watched_ms",
    "peaks_by_hour",
    "peaks_by_place",
    "peaks_together",
    "stretches",
    "sums",
    "sums_by_hour",
    "values_by_place",
    "watched_within",
]

MOST_STRETCHES = 40
"""Where more days than that have changed here and there, all between them is read from its 15 minutes."""
_HOUR_MS, _DAY_MS = HOUR_SECONDS * 1000, DAY_SECONDS * 1000
_SUMS, _PEAKS = table_of(Rollup), table_of(RollupPeak)
_LONG_SUMS, _LONG_PEAKS = table_of(RollupLong), table_of(RollupLongPeak)
_DUE = table_of(RollupDue)


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


def sums(session: Session, *, venue: str, scope: Scope, metrics: Sequence[Metric], period: Period) -> list[Sum]:
    """Each metric of each subject and bin, over the whole period."""
    rows = _rows(session, _SUMS, venue=venue, scope=scope, names=metrics, period=period)
    columns = (rows.c.metric, rows.c.box, rows.c.subject, rows.c.bin)
    query = select(*columns, func.sum(rows.c.value)).group_by(*columns)
    return [
        Sum(metric=Metric(metric), place=(box, subject), bin=number, value=int(value))
        for metric, box, subject, number, value in session.connection().execute(query)
    ]


def sums_by_hour(
    session: Session,
    *,
    venue: str,
    scope: Scope,
    metrics: Sequence[Metric],
    period: Period,
    zone: ZoneInfo,
    number: int | None = None,
) -> Mapping[tuple[Metric, Place], Mapping[HourKey, int]]:
    """Each metric of each subject by the hour of a clock; one bin, or all of them added up."""
    found = defaultdict[tuple[Metric, Place], dict[HourKey, int]](dict)
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        rows = _rows(
            session, _SUMS, venue=venue, scope=scope, names=metrics, period=stretch, offset_ms=offset_ms, number=number
        )
        columns = (rows.c.metric, rows.c.box, rows.c.subject, rows.c.at)
        query = select(*columns, func.sum(rows.c.value)).group_by(*columns)
        for metric, box, subject, hour, value in session.connection().execute(query):
            found[metric, (box, subject)][hour, offset_ms] = int(value)
    return {(Metric(metric), place): values for (metric, place), values in found.items()}


def values_by_place(
    session: Session, *, venue: str, scope: Scope, metric: Metric, periods: Sequence[Period]
) -> dict[Place, dict[int, int]]:
    """One metric of each place in some stretches of time, by 15 minutes; of metrics without bins."""
    found = defaultdict[Place, dict[int, int]](dict)
    if periods:
        arms = [_arm(_SUMS, venue=venue, scope=scope, names=[metric], period=period) for period in periods]
        rows = union_all(*arms).subquery()
        query = select(rows.c.box, rows.c.subject, rows.c.at, rows.c.value)
        for box, subject, bucket_ms, value in session.connection().execute(query):
            found[box, subject][bucket_ms] = value
    return found


def watched_within(
    session: Session, *, venue: str, periods: Sequence[Period], seconds: int
) -> Mapping[Place, Mapping[int, int]]:
    """What cameras watched of each whole hour or day, of no 15 minutes more than there are in them."""
    found = defaultdict[Place, dict[int, int]](dict)
    names = [Metric.WATCHED_WITHIN_MS]
    if periods:
        arms = [
            _arm(_LONG_SUMS, venue=venue, scope=Scope.CAMERA, names=names, period=period, seconds=seconds)
            for period in periods
        ]
        rows = union_all(*arms).subquery()
        query = select(rows.c.box, rows.c.subject, rows.c.at, rows.c.value)
        for box, subject, start_ms, value in session.connection().execute(query):
            found[box, subject][start_ms] = value
    return found


def peaks_by_place(session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period) -> dict[Place, int]:
    """The peak of each place over the whole period."""
    rows = _rows(session, _PEAKS, venue=venue, scope=scope, names=[peak], period=period)
    places = (rows.c.box, rows.c.subject)
    query = select(*places, func.max(rows.c.value)).group_by(*places)
    return {(box, subject): value for box, subject, value in session.connection().execute(query)}


def peaks_together(
    session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period, places: Collection[Place] | None
) -> int | None:
    """The greatest that the peaks of all places or of some came to together, in any 15 minutes."""
    names = [peak]
    if places is not None and len(places) == 1:
        rows = _rows(session, _PEAKS, venue=venue, scope=scope, names=names, period=period)
        query = select(func.max(rows.c.value)).where(*_among(rows, places))
        return session.connection().execute(query).scalar_one()
    rows = _arm(_PEAKS, venue=venue, scope=scope, names=names, period=period).subquery()
    added = select(func.sum(rows.c.value).label("value")).where(*_among(rows, places)).group_by(rows.c.at).subquery()
    greatest = session.connection().execute(select(func.max(added.c.value))).scalar_one()
    return None if greatest is None else int(greatest)


def peaks_by_hour(
    session: Session,
    *,
    venue: str,
    scope: Scope,
    peak: Peak,
    period: Period,
    zone: ZoneInfo,
    places: Collection[Place] | None,
) -> Mapping[HourKey, int]:
    """The same for each hour of a clock."""
    found: dict[HourKey, int] = {}
    for stretch, offset_ms in steady_stretches(period, zone=zone):
        if places is not None and len(places) == 1:
            rows = _rows(session, _PEAKS, venue=venue, scope=scope, names=[peak], period=stretch, offset_ms=offset_ms)
            query = select(rows.c.at, func.max(rows.c.value)).where(*_among(rows, places)).group_by(rows.c.at)
        else:
            fine = _arm(_PEAKS, venue=venue, scope=scope, names=[peak], period=stretch).subquery()
            hour = ((fine.c.at + offset_ms) // _HOUR_MS).label("hour")
            added = select(hour, func.sum(fine.c.value).label("value")).where(*_among(fine, places))
            together = added.group_by(fine.c.at).subquery()
            query = select(together.c.hour, func.max(together.c.value)).group_by(together.c.hour)
        for number, value in session.connection().execute(query):
            found[number, offset_ms] = int(value)
    return found


def first_watched_ms(session: Session, *, venue: str, place: Place) -> int | None:
    """The first bucket in which a camera of a venue watched anything."""
    box, camera = place
    query = (
        select(_SUMS.c.bucket_ms)
        .where(
            _SUMS.c.venue == venue,
            _SUMS.c.metric == str(Metric.WATCHED_MS),
            _SUMS.c.scope == str(Scope.CAMERA),
            _SUMS.c.box == box,
            _SUMS.c.subject == camera,
            _SUMS.c.value > 0,
        )
        .order_by(_SUMS.c.bucket_ms)
        .limit(1)
    )
    return session.connection().execute(query).scalar_one_or_none()


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
        query = select(_DUE.c.day_ms).where(_DUE.c.venue == venue).distinct().order_by(_DUE.c.day_ms)
        known[venue] = session.connection().execute(query).scalars().all()
    return known[venue]


def _rows(
    session: Session,
    table: Table,
    *,
    venue: str,
    scope: Scope,
    names: Sequence[str],
    period: Period,
    offset_ms: int | None = None,
    number: int | None = None,
) -> FromClause:
    """The rows that make up a period; with an offset from UTC `at` is the hour of that clock."""
    seconds = DAY_SECONDS if offset_ms is None else HOUR_SECONDS
    if offset_ms is not None and offset_ms % _HOUR_MS:
        parts = Stretches(long=(), fine=(period,))
    else:
        parts = stretches(session, venue=venue, period=period, seconds=seconds)

    def arms(kind: Table, periods: Iterable[Period], length: int | None) -> Iterator[Select[tuple[object, ...]]]:
        for part in periods:
            yield _arm(
                kind, venue=venue, scope=scope, names=names, period=part, seconds=length, offset_ms=offset_ms,
                number=number,
            )  # fmt: skip

    long = _LONG_SUMS if table is _SUMS else _LONG_PEAKS
    return union_all(*arms(long, parts.long, seconds), *arms(table, parts.fine, None)).subquery()


def _arm(
    table: Table,
    *,
    venue: str,
    scope: Scope,
    names: Sequence[str],
    period: Period,
    seconds: int | None = None,
    offset_ms: int | None = None,
    number: int | None = None,
) -> Select[tuple[object, ...]]:
    """The rows of one table that lie in a stretch of time, with when as `at`."""
    start: ColumnElement[int] = table.c.bucket_ms if seconds is None else table.c.start_ms
    at = start if offset_ms is None else (start + offset_ms) // _HOUR_MS
    bins = [table.c.bin] if "bin" in table.c else []
    conditions = [
        table.c.venue == venue,
        table.c.metric.in_([str(name) for name in names]),
        table.c.scope == str(scope),
        start >= period.start_ms,
        start < period.end_ms,
    ]
    if seconds is not None:
        conditions.append(table.c.length_seconds == seconds)
    if number is not None:
        conditions.append(table.c.bin == number)
    return select(table.c.metric, table.c.box, table.c.subject, *bins, at.label("at"), table.c.value).where(*conditions)


def _among(rows: FromClause, places: Collection[Place] | None) -> tuple[ColumnElement[bool], ...]:
    return () if places is None else (tuple_(rows.c.box, rows.c.subject).in_(sorted(places)),)
