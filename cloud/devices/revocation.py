"""A box is shut out: its certificates, its device key and its enrolment codes are void from this moment.

A worker loses its certificate alone, and makes itself another within a minute: whoever copied the old one is out.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session

from cloud.devices.certificates import Holder, names_of, revoke_of, worker_name
from cloud.devices.journal import Journal
from cloud.errors import NotFound
from cloud.store.moments import from_ms, to_ms
from cloud.store.tables import Box, EnrolmentCode, Live
from cloud.store.upsert import table_of
from protocol.status import BoxState
from protocol.wire import format_utc

__all__ = ["RevokedBox", "revoke_box", "revoke_worker"]

_CODE, _LIVE = table_of(EnrolmentCode), table_of(Live)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedBox:
    """A box that is shut out, since when, and how many certificates that made void."""

    box: str
    revoked: str
    certificates: int


def revoke_box(session: Session, journal: Journal, *, box: str, now: datetime) -> RevokedBox:
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
    count = revoke_of(session, journal, holder=Holder.BOX, name=box, now=now)
    return RevokedBox(box=box, revoked=format_utc(from_ms(row.revoked_ms)), certificates=count)


def revoke_worker(session: Session, journal: Journal, *, client_id: str, now: datetime) -> int:
    """Make a worker's certificates void; how many that were. Raises NotFound, naming the workers that there are."""
    name = worker_name(client_id)
    count = revoke_of(session, journal, holder=Holder.WORKER, name=name, now=now)
    known = names_of(session, holder=Holder.WORKER)
    if name not in known:
        there = ", ".join(one.removeprefix(worker_name("")) for one in known) or "none"
        raise NotFound(f"there is no worker {client_id} with a certificate; there are {there}")
    return count
