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
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import DeviceCertificate
from cloud.store.upsert import table_of

__all__ = [
    "Holder",
    "Revocation",
    "expiry_of",
    "list_of_revoked",
    "note_issued",
    "revocations",
    "revoke_of",
    "worker_name",
    "workers",
]

_TABLE = table_of(DeviceCertificate)


class Holder(StrEnum):
    """Who was given a certificate."""

    BOX = "box"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A certificate that was taken back before its time: the user it let in, and its serial."""

    user: str
    serial: str


def worker_name(client_id: str) -> str:
    """The name in a worker's certificate."""
    return f"cloud.{client_id}"


def note_issued(session: Session, *, holder: Holder, name: str, issued: Issued, now: datetime) -> None:
    """Remember a certificate."""
    row = DeviceCertificate(
        serial=issued.serial, holder=holder, name=name, issued_ms=to_ms(now), expires_ms=to_ms(issued.expires)
    )
    session.add(row)
    session.flush()


def revoke_of(session: Session, *, name: str, now: datetime) -> int:
    """Make every certificate in this name void; how many were not so yet."""
    valid = (_TABLE.c.name == name) & _TABLE.c.revoked_ms.is_(None)
    return session.connection().execute(update(_TABLE).where(valid).values(revoked_ms=to_ms(now))).rowcount


def expiry_of(session: Session, *, box: str) -> int | None:
    """When the last valid certificate of a box ends, in ms; None where it has none."""
    valid = (_TABLE.c.name == box) & _TABLE.c.revoked_ms.is_(None)
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


def _is_listed(now: datetime) -> ColumnElement[bool]:
    return and_(_TABLE.c.revoked_ms.is_not(None), _TABLE.c.expires_ms > to_ms(now))
