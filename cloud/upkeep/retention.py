"""Raw rows that are old enough leave: events, what could not be taken, the webhook's messages, and the audit log's.

Nothing that is counted hangs on them. Receipts stay for ever, so that what is sent again after its row has gone does
not count again, and so does how many events of each type went, so that a gap that comes later does not take them for
lost; roll-ups, tiles, layouts and certificates stay, and so do what is held for a decision and the gaps in which
something was lost. Gaps of what was merged into other items lost nothing and are many: they leave too.

A clock of this machine that has leapt ahead would let all of them leave at once. It is believed where retention was
done within two weeks before, or where events lead from then to now without a hole of two weeks: then nobody has to
vouch for it. That some events are of just now does not count, as a box without a clock of its own dates by this one.
"""

import calendar
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, case, delete, func, or_, select, tuple_

from cloud.errors import Conflict
from cloud.ingest.gaps import note_forgotten
from cloud.losses import NOTHING_LOST
from cloud.store.distinct import distinct_values
from cloud.store.engine import reading, writing
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import AuditEntry, Box, DeadLetter, Event, GapRecord, Venue, WebhookDelivery
from cloud.store.upsert import table_of
from protocol.wire import format_utc

__all__ = ["forget_raw_rows", "months_before"]

ROWS_AT_ONCE = 2_000
LEAPT_AFTER = timedelta(days=14)
"""Longer than the upkeep stands still unnoticed, or than most places that are open at all see nobody."""
_LEAP_MS = LEAPT_AFTER // timedelta(milliseconds=1)
_EVENT, _DEAD, _DELIVERY, _VENUE = table_of(Event), table_of(DeadLetter), table_of(WebhookDelivery), table_of(Venue)
_AUDIT, _BOX, _GAP = table_of(AuditEntry), table_of(Box), table_of(GapRecord)


def forget_raw_rows(
    engine: Engine, *, now: datetime, months: int, last_ms: int | None = None, clock_is_right: bool = False
) -> Iterator[int]:
    """Delete raw rows older than `months`, events by their venue's own if it has one; the rows of each transaction.

    `last_ms` is when that was last done, if ever. Raises Conflict, with nothing deleted, where the clock seems to have
    leapt ahead and nobody says that it is right.
    """
    venues = _venues(engine)
    all_months = {months, *(own for _, own in venues if own)}
    if not clock_is_right:
        _refuse_a_leap(engine, now, all_months=all_months, last_ms=last_ms)
    for venue, own_months in venues:
        before_ms = to_ms(months_before(now, own_months or months))
        for condition in _old_events(engine, venue, before_ms):
            yield from _forget(engine, condition)
    yield from _forget_merged(engine, now, months=months, all_months=all_months)
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


def _refuse_a_leap(engine: Engine, now: datetime, *, all_months: Collection[int], last_ms: int | None) -> None:
    """Raise Conflict where an event would leave by a clock to whose time nothing leads."""
    with reading(engine) as connection:
        oldest_ms = connection.execute(select(func.min(_EVENT.c.at_ms))).scalar_one()
        newest_ms = connection.execute(select(func.max(_EVENT.c.at_ms))).scalar_one()
        if oldest_ms is None or oldest_ms >= to_ms(months_before(now, min(all_months))):
            return
        known_ms = _followed(connection, oldest_ms if last_ms is None else last_ms, until_ms=to_ms(now) - _LEAP_MS)
    if newest_ms < to_ms(months_before(now, max(all_months))) - _LEAP_MS:
        known_ms = min(known_ms, newest_ms)
    if known_ms < to_ms(now) - _LEAP_MS:
        raise Conflict(
            f"Nothing was deleted: this machine's clock says {format_utc(now)}, and seems to have leapt ahead, as "
            f"there is no event of the {LEAPT_AFTER.days} days after {format_utc(from_ms(known_ms))}. Set it right; "
            "where it is right, `footfall cloud jobs retention --clock-is-right` deletes what is old"
        )


def _followed(connection: Connection, since_ms: int, *, until_ms: int) -> int:
    """The moment, `until_ms` or later if it can be, to which events lead from another without a hole."""
    known_ms = since_ms
    while known_ms < until_ms:
        within = _EVENT.c.at_ms.between(known_ms + 1, known_ms + _LEAP_MS)
        next_ms = connection.execute(select(func.max(_EVENT.c.at_ms)).where(within)).scalar_one()
        if next_ms is None:
            break
        known_ms = next_ms
    return known_ms


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


def _forget_merged(engine: Engine, now: datetime, *, months: int, all_months: Collection[int]) -> Iterator[int]:
    """Delete gaps that lost nothing, by when they came and the months of their box's venue.

    They are looked for before the turn to write, as that reads all gaps: no index finds them.
    """
    cutoffs = {own: to_ms(months_before(now, own)) for own in all_months}
    key = tuple(_GAP.primary_key.columns)
    old = (
        select(*key)
        .outerjoin(_BOX, _BOX.c.box == _GAP.c.box)
        .outerjoin(_VENUE, _VENUE.c.venue == _BOX.c.venue)
        .where(_GAP.c.reason == NOTHING_LOST)
        .where(_GAP.c.received_ms < case(cutoffs, value=func.coalesce(_VENUE.c.retention_months, months)))
    )
    # one by one, as SQLite would compare all rows with a list of keys
    one = delete(_GAP).where(*(column == bindparam(f"its_{column.name}") for column in key))
    while True:
        with reading(engine) as connection:
            found = connection.execute(old.limit(ROWS_AT_ONCE)).mappings().all()
        if found:
            with writing(engine) as connection:
                connection.execute(one, [{f"its_{name}": value for name, value in row.items()} for row in found])
            yield len(found)
        if len(found) < ROWS_AT_ONCE:
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
