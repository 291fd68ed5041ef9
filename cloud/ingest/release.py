"""Lets held items in: the future that has come, types learnt since, a box that was assigned, a clone decided upon.

Each step takes the box's lock, moves a bounded number of items into rows, roll-ups and tiles in one transaction, and
judges them anew, so an item that waits for two reasons waits on. Receipts were given when the items came.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, bindparam, delete, or_, select, true, tuple_, update
from sqlalchemy import Row as HeldRow

from cloud.errors import StoreError
from cloud.ingest.boxes import LockedBox, lock_boxes
from cloud.ingest.judgement import HeldBack, HoldReason, Rejected, Verdict, judge
from cloud.ingest.ledger import Arrival, Ledger
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import EpochRecord, Held
from cloud.store.upsert import table_of
from protocol.catalogue import ITEM_TYPES
from protocol.envelope import read_item
from protocol.wire import early_epoch

__all__ = [
    "Released",
    "decide_clone",
    "release_box",
    "release_due",
    "release_known",
    "release_overlapping",
    "release_waiting",
]

ITEMS_PER_TRANSACTION = 2_000
_LOG = logging.getLogger(__name__)
_Place = tuple[str, int]
"""Epoch and seq."""
_HELD, _EPOCH = table_of(Held), table_of(EpochRecord)
_OF_NAME = and_(
    _HELD.c.box == bindparam("of_box"), _HELD.c.epoch == bindparam("of_epoch"), _HELD.c.seq == bindparam("of_seq")
)
_ALL = true()
_DELETE = delete(_HELD).where(_OF_NAME)
_CHANGE = update(_HELD).where(_OF_NAME).values(reason=bindparam("new_reason"), due_ms=bindparam("new_due_ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """How many held items moved into rows, and how many were thrown away."""

    counted: int = 0
    discarded: int = 0


def release_waiting(engine: Engine, now: datetime) -> Released:
    """Everything that may have become free while nobody looked; for the start of the ingest."""
    counted = release_due(engine, now).counted + release_known(engine, now).counted
    held = _boxes_with(engine, _HELD.c.reason == HoldReason.NOT_ENROLLED)
    return Released(counted=counted + sum(release_box(engine, box, now).counted for box in held))


def release_due(engine: Engine, now: datetime, *, among: ColumnElement[bool] = _ALL) -> Released:
    """Items from the future whose time has come, all or those among some."""
    due = and_(_HELD.c.reason == HoldReason.FUTURE, _HELD.c.due_ms <= to_ms(now))
    return _release(engine, and_(due, among), now)


def release_known(engine: Engine, now: datetime, *, among: ColumnElement[bool] = _ALL) -> Released:
    """Items of types and schemas that this version understands, all or those among some."""
    unknown = and_(_HELD.c.reason == HoldReason.UNKNOWN_TYPE, _HELD.c.type.in_(sorted(ITEM_TYPES)))
    return _release(engine, and_(or_(unknown, _HELD.c.reason == HoldReason.NEWER_SCHEMA), among), now)


def release_box(engine: Engine, box: str, now: datetime, *, among: ColumnElement[bool] = _ALL) -> Released:
    """A box's items from before it was enrolled; call it after the enrolment has been committed."""
    return _release(engine, and_(_HELD.c.reason == HoldReason.NOT_ENROLLED, _HELD.c.box == box, among), now)


def release_overlapping(engine: Engine, box: str, now: datetime, *, among: ColumnElement[bool] = _ALL) -> Released:
    """A person's decision: count a box's sums though a part of them was counted by itself already."""
    return _release(engine, and_(_HELD.c.reason == HoldReason.OVERLAP, _HELD.c.box == box, among), now)


def decide_clone(
    engine: Engine, *, box: str, epoch: str, accept: bool, now: datetime, among: ColumnElement[bool] = _ALL
) -> Released:
    """A person's decision: count what the cloned epoch sent, now and later, or throw away what is held of it.

    `epoch` is the clone's own or the early one beside it: either stands for both. What is held and not among those that
    the decision is about stays. After a rejection the epoch stays a clone, and what else it sends is held again.
    """
    head = _head_of(engine, box, epoch)
    both = _HELD.c.epoch.in_([head, early_epoch(head)])
    where = and_(_HELD.c.reason == HoldReason.CLONE, _HELD.c.box == box, both, among)
    if not accept:
        with writing(engine) as connection:
            lock_boxes(connection, {box: {head}})
            return Released(discarded=connection.execute(delete(_HELD).where(where)).rowcount)
    with writing(engine) as connection:
        lock_boxes(connection, {box: {head}})
        matches = and_(_EPOCH.c.box == box, _EPOCH.c.epoch == head)
        connection.execute(update(_EPOCH).where(matches).values(cloned=False, superseded_ms=None))
    return _release(engine, where, now)


def _head_of(engine: Engine, box: str, epoch: str) -> str:
    """The clone whose epoch this is."""
    clones = select(_EPOCH.c.epoch).where(_EPOCH.c.box == box, _EPOCH.c.cloned)
    with reading(engine) as connection:
        heads = connection.execute(clones).scalars().all()
    return next((head for head in heads if early_epoch(head) == epoch), epoch)


def _release(engine: Engine, where: ColumnElement[bool], now: datetime) -> Released:
    counted = 0
    for box in _boxes_with(engine, where):
        after: _Place | None = ("", 0)
        while after is not None:
            moved, after = _release_chunk(engine, and_(_HELD.c.box == box, where), box, after, now)
            counted += moved
    return Released(counted=counted)


def _release_chunk(
    engine: Engine, where: ColumnElement[bool], box: str, after: _Place, now: datetime
) -> tuple[int, _Place | None]:
    """One transaction, or, when the data make it fail, one for each item: what fails alone becomes a dead letter."""
    try:
        return _release_some(engine, where, box, after, now, limit=ITEMS_PER_TRANSACTION)
    except StoreError:
        raise
    except Exception:  # noqa: BLE001  whatever one item provokes must not keep all the others waiting
        _LOG.exception("Held items of box %s could not be released together", box, extra={"action": "release"})
    moved, place = 0, after
    for _ in range(ITEMS_PER_TRANSACTION):
        one, following = _release_one(engine, where, box, place, now)
        moved += one
        if following is None:
            return moved, None
        place = following
    return moved, place


def _release_one(
    engine: Engine, where: ColumnElement[bool], box: str, after: _Place, now: datetime
) -> tuple[int, _Place | None]:
    try:
        return _release_some(engine, where, box, after, now, limit=1)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  as above
        reason = f"cannot be counted: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return _release_some(engine, where, box, after, now, limit=1, bury=reason[:500])


def _release_some(
    engine: Engine, where: ColumnElement[bool], box: str, after: _Place, now: datetime, *, limit: int, bury: str = ""
) -> tuple[int, _Place | None]:
    """One transaction: how many items moved, and the last one looked at, or None at the end."""
    query = (
        select(_HELD)
        .where(where, tuple_(_HELD.c.epoch, _HELD.c.seq) > tuple_(*after))
        .order_by(_HELD.c.epoch, _HELD.c.seq)
        .limit(limit)
    )
    with writing(engine) as connection:
        locked = lock_boxes(connection, {box: set()})[box]
        rows = connection.execute(query).all()
        moved = _move(connection, locked, rows, to_ms(now), bury)
    last = (str(rows[-1].epoch), int(rows[-1].seq)) if len(rows) == limit else None
    return moved, last


def _move(
    connection: Connection, box: LockedBox, rows: Sequence[HeldRow[tuple[object, ...]]], now_ms: int, bury: str
) -> int:
    """Judge held rows anew; those that need wait no longer leave, the others say why they still wait."""
    ledger, gone, changed = Ledger(now_ms=now_ms), [], []
    for row in rows:
        read = read_item(json.loads(row.body))
        verdict: Verdict = judge(read, enrolments=box.enrolments, cloned=box.is_cloned(row.epoch), now_ms=now_ms)
        if bury:
            verdict = Rejected(reason=bury)
        name = {"of_box": row.box, "of_epoch": row.epoch, "of_seq": row.seq}
        if isinstance(verdict, HeldBack):
            changed.append({**name, "new_reason": str(verdict.reason), "new_due_ms": verdict.due_ms})
        else:
            gone.append(name)
            arrival = Arrival(box=row.box, epoch=row.epoch, seq=row.seq, received_ms=row.received_ms)
            ledger.enter(arrival, read, verdict)
    if gone:
        connection.execute(_DELETE, gone)
    if changed:
        connection.execute(_CHANGE, changed)
    ledger.write(connection)
    return len(gone)


def _boxes_with(engine: Engine, where: ColumnElement[bool]) -> Sequence[str]:
    with reading(engine) as connection:
        return connection.execute(select(_HELD.c.box).where(where).distinct().order_by(_HELD.c.box)).scalars().all()
