"""Enrolment codes: made for one box, shown once, good for a day, one use and few mistakes.

Only a hash of the secret is kept. Knows nothing of certificates.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

from cloud.auth import key_matches, sha256_of
from cloud.boxes import find_box, require_box_id
from cloud.errors import Conflict
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import EnrolmentCode
from protocol.enrolment import Code
from protocol.wire import format_utc

__all__ = ["GoodCode", "NewCode", "find_code", "make_code", "use_code"]

LIFETIME = timedelta(days=1)
ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCode:
    """A code, which is shown this once, and when it ends by itself."""

    box: str
    code: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodCode:
    """A code that opens, and for which box."""

    id: str
    box: str


def make_code(session: Session, *, box: str, authority: str, now: datetime) -> NewCode:
    """A code for a box; those before that were not used are void. Raises Invalid or NotFound."""
    require_box_id(box)
    find_box(session, box=box)
    for row in session.exec(select(EnrolmentCode).where(col(EnrolmentCode.box) == box)):
        session.delete(row)
    code = Code.make(authority=authority)
    expires = now + LIFETIME
    row = EnrolmentCode(
        id=code.id, box=box, secret_sha256=sha256_of(code.secret), expires_ms=to_ms(expires), attempts=ATTEMPTS
    )
    session.add(row)
    session.flush()
    return NewCode(box=box, code=str(code), expires=format_utc(expires))


def find_code(engine: Engine, text: str, *, now: datetime) -> GoodCode | None:
    """A code that is good; None for any other. Only a wrong secret is written down: it costs one of the attempts."""
    try:
        code = Code.parse(text)
    except ValueError:
        return None
    with reading(engine) as connection, Session(connection) as session:
        row = session.get(EnrolmentCode, code.id)
        is_right = key_matches(code.secret, row.secret_sha256 if row else "0" * 64)
        if row is None or row.attempts < 1 or row.expires_ms <= to_ms(now):
            return None
        if is_right:
            return GoodCode(id=row.id, box=row.box)
    with writing(engine) as connection:
        is_borne = (col(EnrolmentCode.id) == code.id) & (col(EnrolmentCode.attempts) > 0)
        connection.execute(update(EnrolmentCode).where(is_borne).values(attempts=col(EnrolmentCode.attempts) - 1))
    return None


def use_code(session: Session, *, code_id: str) -> str:
    """The box of a code, which is spent by this; raises Conflict where another was quicker."""
    row = session.get(EnrolmentCode, code_id, with_for_update=True)
    if row is None:
        raise Conflict("the code has just been used; make another")
    session.delete(row)
    session.flush()
    return row.box
