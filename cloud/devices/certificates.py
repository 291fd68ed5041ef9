"""Which certificates were given, to whom, and which of them are void.

A box's certificate bears the box's id; a worker's a name with a dot, which no box can have. Knows the table and the
authority's signature; nothing of why one is given or taken back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, func, select, update
from sqlmodel import Session

from cloud.devices.authority import Authority, Issued, RevokedSerial
from cloud.devices.journal import Entry, Journal
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import DeviceCertificate
from cloud.store.upsert import table_of

__all__ = [
    "Holder",
    "Revocation",
    "State",
    "expiry_of",
    "issued_within",
    "list_of_revoked",
    "names_of",
    "note_issued",
    "recall",
    "revocations",
    "revoke_of",
    "state_of",
    "worker_name",
    "workers",
]

_TABLE = table_of(DeviceCertificate)


class Holder(StrEnum):
    """Who was given a certificate."""

    BOX = "box"
    WORKER = "worker"


class State(StrEnum):
    """What the table says of a certificate; one whose time is over may still be `valid` here."""

    VALID = "valid"
    VOID = "void"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A certificate that was taken back before its time: the user it let in, and its serial."""

    user: str
    serial: str


def worker_name(client_id: str) -> str:
    """The name in a worker's certificate."""
    return f"cloud.{client_id}"


def note_issued(
    session: Session, journal: Journal, *, holder: Holder, name: str, issued: Issued, now: datetime
) -> None:
    """Remember a certificate, in the journal first."""
    entry = Entry(serial=issued.serial, holder=holder, name=name, issued=now, expires=issued.expires)
    journal.append(entry)
    session.add(_row_of(entry))
    session.flush()


def recall(session: Session, journal: Journal) -> int:
    """Note what the journal knows and a database that was restored has forgotten; how many those were."""
    known = set(session.connection().execute(select(_TABLE.c.serial)).scalars())
    forgotten = {entry.serial: entry for entry in journal if entry.serial not in known}
    session.add_all(_row_of(entry) for entry in forgotten.values())
    session.flush()
    return len(forgotten)


def _row_of(entry: Entry) -> DeviceCertificate:
    return DeviceCertificate(
        serial=entry.serial,
        holder=entry.holder,
        name=entry.name,
        issued_ms=to_ms(entry.issued),
        expires_ms=to_ms(entry.expires),
    )


def revoke_of(session: Session, journal: Journal, *, holder: Holder, name: str, now: datetime) -> int:
    """Make every certificate of a holder void, those too that only the journal knows; how many were not so yet."""
    recall(session, journal)
    valid = _is_valid_of(holder, name)
    return session.connection().execute(update(_TABLE).where(valid).values(revoked_ms=to_ms(now))).rowcount


def issued_within(session: Session, *, box: str, past: timedelta, now: datetime) -> tuple[datetime, ...]:
    """When certificates were given to a box in the time past, the oldest first."""
    issued, of_box = _TABLE.c.issued_ms, (_TABLE.c.holder == str(Holder.BOX)) & (_TABLE.c.name == box)
    query = select(issued).where(of_box, issued > to_ms(now - past), issued <= to_ms(now)).order_by(issued)
    return tuple(from_ms(issued_ms) for issued_ms in session.connection().execute(query).scalars())


def state_of(session: Session, *, serial: str) -> State:
    """Whether a certificate is known, and void."""
    row = session.get(DeviceCertificate, serial)
    if row is None:
        return State.UNKNOWN
    return State.VALID if row.revoked_ms is None else State.VOID


def names_of(session: Session, *, holder: Holder) -> tuple[str, ...]:
    """Everybody of a kind who was ever given one, in the order of the names."""
    query = select(_TABLE.c.name).where(_TABLE.c.holder == str(holder)).distinct().order_by(_TABLE.c.name)
    return tuple(session.connection().execute(query).scalars())


def expiry_of(session: Session, *, box: str) -> int | None:
    """When the last valid certificate of a box ends, in ms; None where it has none."""
    valid = _is_valid_of(Holder.BOX, box)
    found: int | None = session.connection().execute(select(func.max(_TABLE.c.expires_ms)).where(valid)).scalar_one()
    return found


def revocations(connection: Connection, *, now: datetime) -> tuple[Revocation, ...]:
    """What was taken back and would still be valid else, in a lasting order."""
    query = select(_TABLE.c.name, _TABLE.c.serial).where(_is_listed(now)).order_by(_TABLE.c.serial)
    return tuple(Revocation(user=name, serial=serial) for name, serial in connection.execute(query))


def workers(connection: Connection, *, now: datetime) -> tuple[str, ...]:
    """The names under which the cloud's own workers may come."""
    is_valid = _TABLE.c.revoked_ms.is_(None) & (_TABLE.c.expires_ms > to_ms(now))
    query = select(_TABLE.c.name).where(_TABLE.c.holder == str(Holder.WORKER), is_valid).distinct()
    return tuple(connection.execute(query.order_by(_TABLE.c.name)).scalars())


def list_of_revoked(connection: Connection, authority: Authority, *, now: datetime) -> str:
    """The signed list, which changes with each revocation, and else once a day.

    A broker keeps every list that it has read, and of two it believes the one of the later second. So the list is dated
    back to yesterday, and a second on for each revocation of today: never in the future, and never twice the same.
    """
    query = select(_TABLE.c.serial, _TABLE.c.revoked_ms).where(_is_listed(now)).order_by(_TABLE.c.serial)
    revoked = [RevokedSerial(serial=serial, since=from_ms(since_ms)) for serial, since_ms in connection.execute(query)]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = select(func.count()).where(_TABLE.c.revoked_ms >= to_ms(midnight))
    seconds = connection.execute(today).scalar_one()
    return authority.list_revoked(revoked, at=midnight - timedelta(days=1) + timedelta(seconds=seconds))


def _is_valid_of(holder: Holder, name: str) -> ColumnElement[bool]:
    return and_(_TABLE.c.holder == str(holder), _TABLE.c.name == name, _TABLE.c.revoked_ms.is_(None))


def _is_listed(now: datetime) -> ColumnElement[bool]:
    return and_(_TABLE.c.revoked_ms.is_not(None), _TABLE.c.expires_ms > to_ms(now))
