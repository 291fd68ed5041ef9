"""Raw rows that are old enough leave: events, what could not be taken, the webhook's messages, and the audit log's.

Nothing that is counted hangs on them. Receipts stay for ever, so that what is sent again after its row has gone does
not count again, and so does how many events of each type went, so that a gap that comes later does not take them for
lost; roll-ups, tiles, declared gaps, layouts and certificates stay, as does what is held for a decision.

What leaves does so a day at a time, so that a clock by which all events should have left long ago has leapt ahead:
then nothing leaves.
"""

import calendar
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Table, delete, func, or_, select, tuple_

from cloud.errors import Conflict
from cloud.ingest.gaps import note_forgotten
from cloud.store.distinct import distinct_values
from cloud.store.engine import reading, writing
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import AuditEntry, DeadLetter, Event, Venue, WebhookDelivery
from cloud.store.upsert import table_of
from protocol.wire import format_utc

__all__ = ["forget_raw_rows", "months_before"]

ROWS_AT_ONCE = 2_000
LEAPT_AFTER = timedelta(days=14)
"""Longer than the upkeep stands still unnoticed: events that should all have left before that were not overlooked."""
_EVENT, _DEAD, _DELIVERY, _VENUE = table_of(Event), table_of(DeadLetter), table_of(WebhookDelivery), table_of(Venue)
_AUDIT = table_of(AuditEntry)


def forget_raw_rows(engine: Engine, *, now: datetime, months: int, clock_is_right: bool = False) -> Iterator[int]:
    """Delete raw rows older than `months`, events by their venue's own if it has one; the rows of each transaction.

    Raises Conflict, with nothing deleted, where the clock seems to have leapt ahead and nobody says that it is right.
    """
    venues = _venues(engine)
    if not clock_is_right:
        _refuse_a_leap(engine, now, most_months=max([months, *(own for _, own in venues if own)]))
    for venue, own_months in venues:
        before_ms = to_ms(months_before(now, own_months or months))
        for condition in _old_events(engine, venue, before_ms):
            yield from _forget(engine, condition)
    before_ms = to_ms(months_before(now, months))
    yield from _delete(engine, _DEAD, _DEAD.c.received_ms < before_ms)
    yield from _delete(engine, _AUDIT, _AUDIT.c.at_ms < before_ms)
    is_done = or_(_DELIVERY.c.delivered_ms.is_not(None), _DELIVERY.c.given_up_ms.is_not(None))
    yield from _delete(engine, _DELIVERY, is_done & (_DELIVERY.c.created_ms < before_ms))


def months_before(moment: datetime, months: int) -> datetime:
    """The same day and time so many months earlier; the month's last day where it has no such day."""
    month = moment.year * 12 + moment.month - 1 - months
    year, month = month // 12, month % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def _refuse_a_leap(engine: Engine, now: datetime, *, most_months: int) -> None:
    """Raise Conflict where not even the newest event would stay, and should have left a good while ago."""
    with reading(engine) as connection:
        newest_ms = connection.execute(select(func.max(_EVENT.c.at_ms))).scalar_one()
    if newest_ms is not None and newest_ms < to_ms(months_before(now, most_months) - LEAPT_AFTER):
        raise Conflict(
            f"Nothing was deleted: by this machine's clock, {format_utc(now)}, no raw event would stay, "
            f"as the newest is of {format_utc(from_ms(newest_ms))}. Set the clock right; where it is right, "
            "`footfall cloud jobs retention --clock-is-right` deletes them"
        )


def _venues(engine: Engine) -> Sequence[tuple[str, int | None]]:
    with reading(engine) as connection:
        rows = connection.execute(select(_VENUE.c.venue, _VENUE.c.retention_months).order_by(_VENUE.c.venue))
        return [(str(venue), months) for venue, months in rows]


def _old_events(engine: Engine, venue: str, before_ms: int) -> Iterator[ColumnElement[bool]]:
    """What is old of each type, as the index by venue, type and time finds it; by arrival where it has no time."""
    with reading(engine) as connection:
        types = list(distinct_values(connection, Event, "type", venue=venue))
    for kind in types:
        of_type = (_EVENT.c.venue == venue) & (_EVENT.c.type == kind)
        yield of_type & (_EVENT.c.at_ms < before_ms)
        yield of_type & _EVENT.c.at_ms.is_(None) & (_EVENT.c.received_ms < before_ms)


def _forget(engine: Engine, condition: ColumnElement[bool]) -> Iterator[int]:
    """As `_delete`, of events, and count what goes."""
    key = tuple(_EVENT.primary_key.columns)
    some = delete(_EVENT).where(tuple_(*key).in_(select(*key).where(condition).limit(ROWS_AT_ONCE)))
    while True:
        with writing(engine) as connection:
            items = connection.execute(some.returning(*key, _EVENT.c.type)).all()
            note_forgotten(connection, [(one.box, one.epoch, one.seq, one.type) for one in items])
        if items:
            yield len(items)
        if len(items) < ROWS_AT_ONCE:
            return


def _delete(engine: Engine, table: Table, condition: ColumnElement[bool]) -> Iterator[int]:
    """Delete in short transactions until nothing is left."""
    key = tuple(table.primary_key.columns)
    some = delete(table).where(tuple_(*key).in_(select(*key).where(condition).limit(ROWS_AT_ONCE)))
    while True:
        with writing(engine) as connection:
            gone = connection.execute(some).rowcount
        if gone:
            yield gone
        if gone < ROWS_AT_ONCE:
            return
