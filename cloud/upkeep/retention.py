"""Raw rows that are old enough leave: events, what could not be taken, the webhook's messages, and the audit log's.

Nothing that is counted hangs on them. Receipts stay for ever, so that what is sent again after its row has gone does
not count again, and so does how many events of each type went, so that a gap that comes later does not take them for
lost; roll-ups, tiles, declared gaps, layouts and certificates stay, as does what is held for a decision.
"""

import calendar
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, or_, select, tuple_

from cloud.ingest.gaps import note_forgotten
from cloud.store.distinct import distinct_values
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import AuditEntry, DeadLetter, Event, Venue, WebhookDelivery
from cloud.store.upsert import table_of

__all__ = ["forget_raw_rows", "months_before"]

ROWS_AT_ONCE = 2_000
_EVENT, _DEAD, _DELIVERY, _VENUE = table_of(Event), table_of(DeadLetter), table_of(WebhookDelivery), table_of(Venue)
_AUDIT = table_of(AuditEntry)


def forget_raw_rows(engine: Engine, *, now: datetime, months: int) -> Iterator[int]:
    """Delete raw rows older than `months`, events by their venue's own if it has one; the rows of each transaction."""
    for venue, own_months in _venues(engine):
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
