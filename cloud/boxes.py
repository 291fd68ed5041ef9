"""Boxes: registering one, its device key, which venue it belongs to and since when, and how it does.

A box that wrote before anyone registered it is known without a key; registering it gives it one. A move ends the one
enrolment and begins the next; what the box sent in between and was held is let in by `ingest.release`.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from cloud.auth import new_device_key, sha256_of
from cloud.devices.certificates import expiry_of
from cloud.errors import Conflict, Invalid, NotFound
from cloud.ingest.release import release_box
from cloud.losses import NOTHING_LOST, lost_by_type
from cloud.store.engine import writing
from cloud.store.metrics import bucket_of
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import Box, Enrolment, GapRecord, Held
from cloud.venues import find_venue
from protocol.status import BoxState, Status
from protocol.wire import Slug, format_utc

__all__ = [
    "BoxFigures",
    "EnrolmentFigures",
    "KeyedBox",
    "MovedBox",
    "assign_box",
    "box_figures",
    "find_box",
    "list_boxes",
    "register_box",
    "require_box_id",
    "rotate_key",
    "withdraw_box",
]

_ID: TypeAdapter[str] = TypeAdapter(Slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFigures:
    """What a box declared lost, `lost_items` as it counted them; `merged` gaps lost nothing and are left out."""

    gaps: int
    lost_items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentFigures:
    """A venue the box belonged to; `since` null is from ever, `until` null is still."""

    venue: str
    since: str | None
    until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFigures:
    """A box and how it does, as its last birth certificate said at `as_of`.

    While the box is not online, whether it sees, what its clock rests on and what waits in it cannot be known: null.
    """

    box: str
    venue: str | None
    state: str
    has_key: bool
    revoked: Annotated[str | None, Field(description="since when it is shut out, until it is enrolled anew")]
    certificate_expires: Annotated[str | None, Field(description="when its last valid certificate ends")]
    first_seen: str | None
    last_seen: str | None
    as_of: Annotated[str | None, Field(description="when the box said what follows, down to `exchange_used`")]
    mode: str | None
    version: str | None
    vision: Annotated[str | None, Field(description="whether the process that sees is alive")]
    clock_source: str | None
    clock_uncertainty_seconds: float | None
    waiting: Annotated[int | None, Field(description="items waiting in the box's exchange")]
    oldest_waiting_seconds: float | None
    exchange_used: Annotated[float | None, Field(description="share of the exchange's byte budget in use")]
    gaps: GapFigures
    held: dict[str, int]
    dead_letters: int
    enrolments: tuple[EnrolmentFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedBox:
    """A box and its device key, which is shown this once."""

    box: str
    venue: str | None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedBox:
    """Where a box belongs now, and how many of its held items were let in by that."""

    box: str
    venue: str | None
    released: int


def require_box_id(box: str) -> None:
    """Raise Invalid for what can be no box: a certificate in this name might be somebody else's."""
    try:
        _ID.validate_python(box)
    except ValidationError as error:
        raise Invalid(f"box: found {box!r}; allowed are 1 to 63 lower-case letters, digits and hyphens") from error


def register_box(
    engine: Engine, *, granted: Collection[str] | None = None, box: str, venue: str | None, now: datetime
) -> KeyedBox:
    """Give a new box its key, and its venue where one is named.

    Raises Invalid, Conflict when it has a key, or NotFound when it stands in another venue than those granted (None:
    all), or stood there last.
    """
    require_box_id(box)
    key = new_device_key(box)
    with writing(engine) as connection, Session(connection) as session:
        row = session.get(Box, box, with_for_update=True) or Box(box=box)
        stood = [one.venue for one in _enrolments(session, box=box)]
        if granted is not None and stood and stood[-1] not in granted:
            raise NotFound(f"there is no box {box}")
        if row.key_sha256 is not None:
            raise Conflict(f"box {box} is registered already; rotate its key if it was lost")
        _require_not_revoked(row)
        row.key_sha256 = sha256_of(key)
        session.add(row)
        session.flush()
        if venue is not None:
            _enrol(session, row=row, venue=venue, now_ms=to_ms(now))
    release_box(engine, box, now)
    return KeyedBox(box=box, venue=venue, key=key)


def rotate_key(session: Session, *, box: str) -> KeyedBox:
    """A new key for a box; the one before is void at once."""
    row = _lock(session, box=box)
    _require_not_revoked(row)
    key = new_device_key(box)
    row.key_sha256 = sha256_of(key)
    session.add(row)
    return KeyedBox(box=box, venue=row.venue, key=key)


def assign_box(engine: Engine, *, box: str, venue: str, now: datetime) -> MovedBox:
    """Enrol a box in a venue from now on, or, the first time, from ever; then let in what was held for want of it.

    Doing it twice changes nothing. A move counts from the start of the running bucket, in which the first tiles of
    the new venue lie.
    """
    with writing(engine) as connection, Session(connection) as session:
        _enrol(session, row=_lock(session, box=box), venue=venue, now_ms=to_ms(now))
    return MovedBox(box=box, venue=venue, released=release_box(engine, box, now).counted)


def withdraw_box(session: Session, *, box: str, now_ms: int) -> MovedBox:
    """Take a box out of its venue; what it makes from now on is held."""
    row = _lock(session, box=box)
    _end_enrolment(session, box=box, now_ms=now_ms)
    row.venue = None
    session.add(row)
    session.flush()
    return MovedBox(box=box, venue=None, released=0)


def find_box(session: Session, *, box: str) -> Box:
    """The box; raises NotFound."""
    row = session.get(Box, box)
    if row is None:
        raise NotFound(f"there is no box {box}")
    return row


def list_boxes(
    session: Session, *, granted: Collection[str] | None, venue: str | None, after: str | None, limit: int
) -> list[BoxFigures]:
    """Boxes in the order of their ids, behind one of them: those of the venues granted (None: all), or of one."""
    query = select(Box).order_by(col(Box.box)).limit(limit)
    if granted is not None:
        query = query.where(col(Box.venue).in_(granted))
    if venue is not None:
        query = query.where(col(Box.venue) == venue)
    if after is not None:
        query = query.where(col(Box.box) > after)
    return [box_figures(session, row=row, granted=granted) for row in session.exec(query)]


def box_figures(session: Session, *, row: Box, granted: Collection[str] | None = None) -> BoxFigures:
    """A box and how it does; of where it has been and what is held of it, only the venues granted (None: all)."""
    status = _status(row)
    now = status if row.state == BoxState.ONLINE else None
    clock = now.clock if now else None
    exchange = now.exchange if now else None
    return BoxFigures(
        box=row.box,
        venue=row.venue,
        state=row.state,
        has_key=row.key_sha256 is not None,
        revoked=_moment(row.revoked_ms),
        certificate_expires=_moment(expiry_of(session, box=row.box)),
        first_seen=_moment(row.first_seen_ms),
        last_seen=_moment(row.last_seen_ms),
        as_of=format_utc(status.at) if status and status.at else None,
        mode=status.mode if status else None,
        version=status.version if status else None,
        vision=now.vision if now else None,
        clock_source=clock.source if clock else None,
        clock_uncertainty_seconds=clock.uncertainty_seconds if clock else None,
        waiting=exchange.waiting if exchange else None,
        oldest_waiting_seconds=exchange.oldest_seconds if exchange else None,
        exchange_used=exchange.used if exchange else None,
        gaps=_gaps(session, box=row.box),
        held=_held(session, box=row.box, granted=granted),
        dead_letters=row.dead_letters,
        enrolments=tuple(
            EnrolmentFigures(venue=one.venue, since=_moment(one.from_ms or None), until=_moment(one.until_ms))
            for one in _enrolments(session, box=row.box)
            if granted is None or one.venue in granted
        ),
    )


def _lock(session: Session, *, box: str) -> Box:
    row = session.get(Box, box, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no box {box}")
    return row


def _require_not_revoked(row: Box) -> None:
    if row.revoked_ms is not None:
        raise Conflict(f"box {row.box} was revoked; enrol it anew, with a code")


def _enrol(session: Session, *, row: Box, venue: str, now_ms: int) -> None:
    if find_venue(session, venue=venue).archived_ms is not None:
        raise Conflict(f"venue {venue} is archived; restore it first")
    if row.venue == venue:
        return
    is_first = not _enrolments(session, box=row.box)
    _end_enrolment(session, box=row.box, now_ms=now_ms)
    since = 0 if is_first else bucket_of(now_ms)
    if session.get(Enrolment, (row.box, since)) is not None:
        since = now_ms
    if session.get(Enrolment, (row.box, since)) is not None:
        raise Conflict(f"box {row.box} was moved at this very moment; try again")
    row.venue = venue
    session.add_all([row, Enrolment(box=row.box, from_ms=since, venue=venue)])
    session.flush()


def _end_enrolment(session: Session, *, box: str, now_ms: int) -> None:
    for row in _enrolments(session, box=box):
        if row.until_ms is None:
            row.until_ms = now_ms
            session.add(row)


def _enrolments(session: Session, *, box: str) -> list[Enrolment]:
    query = select(Enrolment).where(col(Enrolment.box) == box).order_by(col(Enrolment.from_ms))
    return list(session.exec(query))


def _gaps(session: Session, *, box: str) -> GapFigures:
    query = select(GapRecord.lost_by_type).where(col(GapRecord.box) == box, col(GapRecord.reason) != NOTHING_LOST)
    lost = [sum(lost_by_type(text).values()) for text in session.exec(query)]
    return GapFigures(gaps=len(lost), lost_items=sum(lost))


def _held(session: Session, *, box: str, granted: Collection[str] | None) -> dict[str, int]:
    query = select(Held.reason, func.count()).where(col(Held.box) == box).group_by(col(Held.reason))
    if granted is not None:
        query = query.where(col(Held.venue).in_(granted))
    return dict(sorted((reason, int(count)) for reason, count in session.exec(query)))


def _status(row: Box) -> Status | None:
    data = json.loads(row.status)
    return Status.read(data) if data else None


def _moment(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else format_utc(from_ms(moment_ms))
