"""Items that are kept without counting, why, and a person's decision about them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, Select, and_, delete, func, select
from sqlmodel import Session

from cloud.errors import Invalid, NotFound
from cloud.ingest.boxes import lock_boxes
from cloud.ingest.judgement import HoldReason
from cloud.ingest.release import Released, decide_clone, release_box, release_due, release_known, release_overlapping
from cloud.store.engine import reading, writing
from cloud.store.moments import from_ms
from cloud.store.tables import Box, Held
from cloud.store.upsert import table_of
from protocol.wire import format_utc

__all__ = ["HeldGroup", "discard_held", "list_held", "release_held"]

_HELD, _BOX = table_of(Held), table_of(Box)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroup:
    """Held items that share box, epoch, type, venue and reason."""

    box: str
    epoch: str
    type: str
    venue: str
    reason: str
    items: int
    first_received: str
    last_received: str


def list_held(
    session: Session, *, granted: Collection[str] | None, box: str | None, reason: HoldReason | None, limit: int
) -> tuple[HeldGroup, ...]:
    """What is held, in groups: of all boxes or of one, for any reason or for one.

    Of the venues granted (None: all): what names one of them, of boxes that stand in one of them.
    """
    columns = (_HELD.c.box, _HELD.c.epoch, _HELD.c.type, _HELD.c.venue, _HELD.c.reason)
    received = _HELD.c.received_ms
    query = select(*columns, func.count(), func.min(received), func.max(received)).group_by(*columns).order_by(*columns)
    if granted is not None:
        query = query.where(_HELD.c.venue.in_(granted), _HELD.c.box.in_(_boxes_in(granted)))
    if box is not None:
        query = query.where(_HELD.c.box == box)
    if reason is not None:
        query = query.where(_HELD.c.reason == str(reason))
    return tuple(
        HeldGroup(
            box=of_box,
            epoch=epoch,
            type=kind,
            venue=venue,
            reason=why,
            items=count,
            first_received=format_utc(from_ms(first_ms)),
            last_received=format_utc(from_ms(last_ms)),
        )
        for of_box, epoch, kind, venue, why, count, first_ms, last_ms in session.connection().execute(
            query.limit(limit)
        )
    )


def discard_held(
    engine: Engine, *, granted: Collection[str] | None, box: str, reason: HoldReason, epoch: str | None
) -> int:
    """Throw away what is held of a box for one reason; how many items. Their receipts stay, so they do not return.

    What names another venue than those granted (None: all) stays.
    """
    if reason is HoldReason.CLONE and epoch is None:
        raise Invalid("`epoch` must be named to discard what a clone sent")
    statement = delete(_HELD).where(_HELD.c.box == box, _HELD.c.reason == str(reason))
    if epoch is not None:
        statement = statement.where(_HELD.c.epoch == epoch)
    if granted is not None:
        statement = statement.where(_HELD.c.venue.in_(granted))
    with writing(engine) as connection, Session(connection) as session:
        _require_box(session, box=box, granted=granted)
        lock_boxes(connection, {box: set()})
        return connection.execute(statement).rowcount


def release_held(
    engine: Engine,
    *,
    granted: Collection[str] | None,
    box: str,
    reason: HoldReason,
    epoch: str | None,
    now: datetime,
) -> Released:
    """Let in what is held of a box for one reason, as far as it may count by now; a clone's epoch as a whole.

    What names another venue than those granted (None: all) stays, as when it is thrown away.
    """
    with reading(engine) as connection, Session(connection) as session:
        _require_box(session, box=box, granted=granted)
    among = and_(_HELD.c.box == box, _HELD.c.reason == str(reason))
    if granted is not None:
        among = and_(among, _HELD.c.venue.in_(granted))
    match reason:
        case HoldReason.CLONE:
            if epoch is None:
                raise Invalid("`epoch` must be named to let in what a clone sent")
            return decide_clone(engine, box=box, epoch=epoch, accept=True, now=now, among=among)
        case HoldReason.NOT_ENROLLED:
            return release_box(engine, box, now, among=among)
        case HoldReason.OVERLAP:
            return release_overlapping(engine, box, now, among=among)
        case HoldReason.FUTURE:
            return release_due(engine, now, among=among)
        case HoldReason.UNKNOWN_TYPE | HoldReason.NEWER_SCHEMA:
            return release_known(engine, now, among=among)


def _boxes_in(venues: Collection[str]) -> Select[tuple[str]]:
    return select(_BOX.c.box).where(_BOX.c.venue.in_(venues))


def _require_box(session: Session, *, box: str, granted: Collection[str] | None) -> None:
    """Raise NotFound unless there is such a box in the venues granted."""
    row = session.get(Box, box)
    if row is None or (granted is not None and row.venue not in granted):
        raise NotFound(f"there is no box {box}")
