"""Sums over 15 minutes are added up to hours and days in UTC, once a day is over: what long periods are read from.

A day is due from the moment at which anything of it changes, and until it is added up again it is read from its 15
minutes. So nothing depends on when this runs, and no figure on whether it has.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, Table, case, delete, func, insert, literal, select

from cloud.ingest.boxes import lock_boxes
from cloud.store.engine import reading, writing
from cloud.store.metrics import (
    BUCKET_MS,
    DAY_SECONDS,
    HOUR_SECONDS,
    OF_HOURS,
    PEAKS_OF_HOURS,
    Metric,
    Peak,
    Scope,
    day_start,
)
from cloud.store.moments import to_ms
from cloud.store.tables import Rollup, RollupDue, RollupLong, RollupLongPeak, RollupPeak
from cloud.store.upsert import table_of

__all__ = ["add_up_days"]

_SUM, _PEAK, _DUE = table_of(Rollup), table_of(RollupPeak), table_of(RollupDue)
_LONG_SUM, _LONG_PEAK = table_of(RollupLong), table_of(RollupLongPeak)


def add_up_days(engine: Engine, *, now: datetime) -> Iterator[int]:
    """Add up the days that are over and due, a venue's day a transaction; how many boxes' days each did."""
    before_ms = day_start(to_ms(now))
    query = select(_DUE.c.venue, _DUE.c.day_ms).where(_DUE.c.day_ms < before_ms).distinct()
    with reading(engine) as connection:
        due = connection.execute(query.order_by(_DUE.c.venue, _DUE.c.day_ms)).all()
    for venue, day_ms in due:
        yield _add_up(engine, venue, day_ms)


def _add_up(engine: Engine, venue: str, day_ms: int) -> int:
    """One day of all boxes in a venue that have changed it, under their locks."""
    of_day = (_DUE.c.venue == venue, _DUE.c.day_ms == day_ms)
    with writing(engine) as connection:
        boxes = sorted(connection.execute(select(_DUE.c.box).where(*of_day)).scalars())
        lock_boxes(connection, {box: set() for box in boxes})
        for table, long in ((_SUM, _LONG_SUM), (_PEAK, _LONG_PEAK)):
            _delete(connection, long, venue, day_ms, boxes)
            for length_seconds, names in _kept(table):
                _insert(connection, table, venue, day_ms, boxes, length_seconds=length_seconds, names=names)
        connection.execute(delete(_DUE).where(*of_day, _DUE.c.box.in_(boxes)))
    return len(boxes)


def _kept(table: Table) -> Iterator[tuple[int, Sequence[str]]]:
    """What is kept of each length; `watched_within_ms` is made of `watched_ms`."""
    yield DAY_SECONDS, [*Metric] if table is _SUM else [*Peak]
    yield HOUR_SECONDS, [*OF_HOURS, Metric.WATCHED_WITHIN_MS] if table is _SUM else PEAKS_OF_HOURS


def _delete(connection: Connection, long: Table, venue: str, day_ms: int, boxes: Iterable[str]) -> None:
    names = [*Metric] if long is _LONG_SUM else [*Peak]
    connection.execute(
        delete(long).where(
            long.c.venue == venue,
            long.c.metric.in_(names),
            long.c.scope.in_([*Scope]),
            long.c.length_seconds.in_([HOUR_SECONDS, DAY_SECONDS]),
            long.c.start_ms >= day_ms,
            long.c.start_ms < day_ms + DAY_SECONDS * 1000,
            long.c.box.in_(boxes),
        )
    )


def _insert(
    connection: Connection,
    table: Table,
    venue: str,
    day_ms: int,
    boxes: Iterable[str],
    *,
    length_seconds: int,
    names: Sequence[str],
) -> None:
    within = (
        table.c.venue == venue,
        table.c.scope.in_([*Scope]),
        table.c.bucket_ms >= day_ms,
        table.c.bucket_ms < day_ms + DAY_SECONDS * 1000,
        table.c.box.in_(boxes),
    )
    of_names = (table.c.metric, table.c.value, table.c.metric.in_(names))
    _insert_one(connection, table, within, of_names, length_seconds)
    if Metric.WATCHED_WITHIN_MS in names:
        capped = case((table.c.value > BUCKET_MS, BUCKET_MS), else_=table.c.value)
        made = literal(str(Metric.WATCHED_WITHIN_MS)), capped, table.c.metric == str(Metric.WATCHED_MS)
        _insert_one(connection, table, within, made, length_seconds)


def _insert_one(
    connection: Connection,
    table: Table,
    within: Sequence[ColumnElement[bool]],
    what: tuple[ColumnElement[str], ColumnElement[int], ColumnElement[bool]],
    length_seconds: int,
) -> None:
    name, value, is_meant = what
    long, together = (_LONG_SUM, func.sum) if table is _SUM else (_LONG_PEAK, func.max)
    start_ms = table.c.bucket_ms - table.c.bucket_ms % (length_seconds * 1000)
    computed = {"metric": name, "start_ms": start_ms, "length_seconds": literal(length_seconds)}
    keys = long.primary_key.columns.keys()
    columns = [computed[key] if key in computed else table.c[key] for key in keys]
    rows = select(*(column.label(key) for key, column in zip(keys, columns, strict=True)), value.label("value"))
    fine = rows.where(*within, is_meant).subquery()
    grouped = [fine.c[key] for key in keys]
    query = select(*grouped, together(fine.c.value)).group_by(*grouped)
    connection.execute(insert(long).from_select([*keys, "value"], query))
