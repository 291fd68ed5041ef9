"""A box is shut out: its certificates, its device key and its enrolment codes are void from this moment."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session

from cloud.devices.certificates import revoke_of
from cloud.errors import NotFound
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import Box, EnrolmentCode, Live
from cloud.store.upsert import table_of
from protocol.status import BoxState
from protocol.wire import format_utc

__all__ = ["RevokedBox", "revoke_box"]

_CODE, _LIVE = table_of(EnrolmentCode), table_of(Live)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedBox:
    """A box that is shut out, since when, and how many certificates that made void."""

    box: str
    revoked: str
    certificates: int


def revoke_box(session: Session, *, box: str, now: datetime) -> RevokedBox:
    """Shut a box out until it is enrolled anew; doing it twice changes nothing. Raises NotFound.

    From now on the ingest ignores what it sends and the API its key; the broker follows within seconds.
    """
    row = session.get(Box, box, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no box {box}")
    row.revoked_ms = to_ms(now) if row.revoked_ms is None else row.revoked_ms
    row.key_sha256, row.state = None, str(BoxState.OFFLINE)
    session.add(row)
    session.flush()
    for table in (_CODE, _LIVE):
        session.connection().execute(delete(table).where(table.c.box == box))
    count = revoke_of(session, name=box, now=now)
    return RevokedBox(box=box, revoked=format_utc(from_ms(row.revoked_ms)), certificates=count)
