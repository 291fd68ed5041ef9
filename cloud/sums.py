"""Reading the roll-ups: sums and peaks of a venue over a period, as plain values, added up by the database.

Knows the table and nothing of what the numbers mean.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, select, tuple_
from sqlmodel import Session

from cloud.layouts import Place
from cloud.periods import Period
from cloud.store.metrics import Metric, Peak, Scope
from cloud.store.tables import Rollup, RollupPeak
from cloud.store.upsert import table_of

__all__ = [
    "Sum",
    "first_watched_ms",
    "peaks_by_bucket",
    "peaks_by_place",
    "sums",
    "sums_by_bucket",
    "totals_by_bucket",
    "values_by_place",
]

_SUMS = table_of(Rollup)
_PEAKS = table_of(RollupPeak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One sum: of a bucket where buckets were asked for, else of the whole period (then `bucket_ms` is 0)."""

    metric: Metric
    place: Place
    bin: int
    value: int
    bucket_ms: int = 0


def sums(session: Session, *, venue: str, scope: Scope, metrics: Sequence[Metric], period: Period) -> list[Sum]:
    """Each metric of each subject and bin, over the whole period."""
    columns = (_SUMS.c.metric, _SUMS.c.box, _SUMS.c.subject, _SUMS.c.bin)
    within = _within(_SUMS, venue=venue, scope=scope, names=metrics, period=period)
    query = select(*columns, func.sum(_SUMS.c.value)).where(*within).group_by(*columns)
    return [
        Sum(metric=Metric(metric), place=(box, subject), bin=number, value=int(value))
        for metric, box, subject, number, value in session.connection().execute(query)
    ]


def sums_by_bucket(
    session: Session, *, venue: str, scope: Scope, metrics: Sequence[Metric], period: Period
) -> Iterator[Sum]:
    """Each metric of each subject and bin, bucket by bucket."""
    columns = (_SUMS.c.metric, _SUMS.c.box, _SUMS.c.subject, _SUMS.c.bin, _SUMS.c.bucket_ms, _SUMS.c.value)
    query = select(*columns).where(*_within(_SUMS, venue=venue, scope=scope, names=metrics, period=period))
    for metric, box, subject, number, bucket_ms, value in session.connection().execute(query):
        yield Sum(metric=Metric(metric), place=(box, subject), bin=number, value=value, bucket_ms=bucket_ms)


def totals_by_bucket(
    session: Session,
    *,
    venue: str,
    scope: Scope,
    metric: Metric,
    period: Period,
    places: Collection[Place] | None,
    number: int = 0,
) -> dict[int, int]:
    """One metric and bin of each bucket, added up over all places or over some."""
    within = _within(_SUMS, venue=venue, scope=scope, names=[metric], period=period)
    query = select(_SUMS.c.bucket_ms, func.sum(_SUMS.c.value)).where(
        *within, _SUMS.c.bin == number, *_among(_SUMS, places)
    )
    rows = session.connection().execute(query.group_by(_SUMS.c.bucket_ms))
    return {bucket_ms: int(value) for bucket_ms, value in rows}


def values_by_place(
    session: Session, *, venue: str, scope: Scope, metric: Metric, period: Period, number: int = 0
) -> dict[Place, dict[int, int]]:
    """One metric and bin of each place, by bucket."""
    columns = (_SUMS.c.box, _SUMS.c.subject, _SUMS.c.bucket_ms, _SUMS.c.value)
    within = _within(_SUMS, venue=venue, scope=scope, names=[metric], period=period)
    query = select(*columns).where(*within, _SUMS.c.bin == number)
    found = defaultdict[Place, dict[int, int]](dict)
    for box, subject, bucket_ms, value in session.connection().execute(query):
        found[box, subject][bucket_ms] = value
    return found


def peaks_by_place(session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period) -> dict[Place, int]:
    """The peak of each place over the whole period."""
    places = (_PEAKS.c.box, _PEAKS.c.subject)
    within = _within(_PEAKS, venue=venue, scope=scope, names=[peak], period=period)
    query = select(*places, func.max(_PEAKS.c.value)).where(*within).group_by(*places)
    return {(box, subject): value for box, subject, value in session.connection().execute(query)}


def peaks_by_bucket(
    session: Session, *, venue: str, scope: Scope, peak: Peak, period: Period, places: Collection[Place] | None
) -> dict[int, int]:
    """The peaks of all places or of some in each bucket, added up."""
    within = _within(_PEAKS, venue=venue, scope=scope, names=[peak], period=period)
    query = select(_PEAKS.c.bucket_ms, func.sum(_PEAKS.c.value)).where(*within, *_among(_PEAKS, places))
    rows = session.connection().execute(query.group_by(_PEAKS.c.bucket_ms))
    return {bucket_ms: int(value) for bucket_ms, value in rows}


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


def _within(
    table: Table, *, venue: str, scope: Scope, names: Sequence[str], period: Period
) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.venue == venue,
        table.c.metric.in_([str(name) for name in names]),
        table.c.scope == str(scope),
        table.c.bucket_ms >= period.start_ms,
        table.c.bucket_ms < period.end_ms,
    )


def _among(table: Table, places: Collection[Place] | None) -> tuple[ColumnElement[bool], ...]:
    return () if places is None else (tuple_(table.c.box, table.c.subject).in_(sorted(places)),)
