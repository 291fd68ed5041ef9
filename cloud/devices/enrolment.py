"""A box comes in: its code becomes a certificate and a device key; later, its key becomes the next certificate."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field
from sqlmodel import Session

from cloud.auth import new_device_key, sha256_of
from cloud.devices.authority import Authority
from cloud.devices.certificates import Holder, issued_within, note_issued, revoke_of
from cloud.devices.codes import use_code
from cloud.errors import Conflict, TooOften
from cloud.store.tables import Box
from protocol.wire import format_utc

__all__ = ["BrokerPlace", "EnrolledBox", "RenewedBox", "enrol", "renew"]

DAY = timedelta(days=1)
MOST_A_DAY = 6
"""Certificates of a box, after which it gets no next one: a box needs one in months, and a few more where answers do
not arrive. All are listed from the day on which a box is shut out, and a stolen one could else fill the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlace:
    """Where a box finds the broker, by TLS."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewedBox:
    """A box's certificate, who signed it, and until when it is good."""

    box: str
    certificate: Annotated[str, Field(description="PEM; its CN is the box's id")]
    authority: Annotated[str, Field(description="PEM of who signed it, and the broker's certificate too")]
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledBox(RenewedBox):
    """All that a box needs to deliver. `key` is its device key, shown this once; the one before is void."""

    venue: str | None
    key: str
    broker: BrokerPlace


def enrol(
    session: Session,
    authority: Authority,
    *,
    code_id: str,
    request: str,
    broker: BrokerPlace,
    now: datetime,
    days: int,
) -> EnrolledBox:
    """Certify the key of a request for the code's box; whatever that box had before is void, and so is a revocation."""
    box = use_code(session, code_id=code_id)
    row = session.get_one(Box, box, with_for_update=True)
    issued = authority.sign_request(request, name=box, now=now, days=days)
    revoke_of(session, authority.journal, holder=Holder.BOX, name=box, now=now)
    note_issued(session, authority.journal, holder=Holder.BOX, name=box, issued=issued, now=now)
    key = new_device_key(box)
    row.key_sha256, row.revoked_ms = sha256_of(key), None
    session.add(row)
    return EnrolledBox(
        box=box,
        venue=row.venue,
        key=key,
        certificate=issued.pem,
        authority=authority.pem,
        expires=format_utc(issued.expires),
        broker=broker,
    )


def renew(
    session: Session,
    authority: Authority,
    *,
    box: str,
    key_sha256: str | None,
    request: str,
    now: datetime,
    days: int,
) -> RenewedBox:
    """The next certificate of a box that has shown the device key of this hash; those before end by themselves.

    Which of them the box uses nobody here knows, as answers get lost: so none is made void. Raises Conflict where the
    box was revoked or given another key since it was shown, and TooOften.
    """
    row = session.get_one(Box, box, with_for_update=True)
    if row.revoked_ms is not None:
        raise Conflict(f"box {box} was revoked; enrol it anew")
    if row.key_sha256 is None or row.key_sha256 != key_sha256:
        raise Conflict(f"box {box} has another key by now")
    given = issued_within(session, box=box, past=DAY, now=now)
    if len(given) >= MOST_A_DAY:
        wait = given[-MOST_A_DAY] + DAY - now
        raise TooOften(f"box {box} was given {len(given)} certificates within a day", wait=wait)
    issued = authority.sign_request(request, name=box, now=now, days=days)
    note_issued(session, authority.journal, holder=Holder.BOX, name=box, issued=issued, now=now)
    return RenewedBox(box=box, certificate=issued.pem, authority=authority.pem, expires=format_utc(issued.expires))
