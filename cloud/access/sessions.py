"""Sessions: a browser in which somebody has signed in, for as long as it is used and not for ever.

The token is 256 random bits that only the browser has; the database keeps its SHA-256. The grant is read with each
request, so that what an admin changes holds at once.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import or_, update
from sqlmodel import Session, col, delete, select

from cloud.access.callers import Caller
from cloud.access.roles import Grant
from cloud.access.users import lock_user
from cloud.auth import sha256_of
from cloud.errors import Conflict
from cloud.store.moments import from_ms
from cloud.store.tables import User, UserSession
from protocol.wire import format_utc

__all__ = [
    "Lifetime",
    "SessionFigures",
    "begin_session",
    "caller_of_session",
    "end_session",
    "end_session_of",
    "list_sessions",
    "note_session",
]

TOKEN_BYTES = 32
NOTED_MS = 60_000
"""That a session is in use is written down at most so often."""
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long a session may lie idle, and how long it may last at all."""

    idle_ms: int
    absolute_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFigures:
    """A session as its owner sees it."""

    id: str
    address: str
    browser: str
    began: str
    seen: str
    is_this: bool


def begin_session(
    session: Session, *, user: str, password_hash: str, address: str, browser: str, now_ms: int, lifetime: Lifetime
) -> tuple[str, Caller]:
    """A new session's token, to be given to the browser alone; sessions that have expired are forgotten on the way.

    Raises Conflict where the hash that the password was proved by is no longer the user's, NotFound without the user.
    """
    row = lock_user(session, user=user)
    if row.password_hash != password_hash:
        raise Conflict("the password was changed meanwhile")
    is_dead = or_(
        col(UserSession.created_ms) <= now_ms - lifetime.absolute_ms,
        col(UserSession.seen_ms) <= now_ms - lifetime.idle_ms,
    )
    session.exec(delete(UserSession).where(is_dead))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row.signed_in_ms = now_ms
    made = UserSession(
        token_sha256=sha256_of(token),
        user=row.user,
        address=address,
        browser=browser[:200],
        created_ms=now_ms,
        seen_ms=now_ms,
    )
    session.add_all([row, made])
    session.flush()
    return token, _caller(made, row, now_ms=now_ms)


def caller_of_session(session: Session, *, token_sha256: str, now_ms: int, lifetime: Lifetime) -> Caller | None:
    """Who has signed in with the token of this hash, if the session lives."""
    row = _living(session, token_sha256=token_sha256, now_ms=now_ms, lifetime=lifetime)
    user = session.get(User, row.user) if row else None
    return _caller(row, user, now_ms=now_ms) if row and user else None


def note_session(session: Session, *, token_sha256: str, now_ms: int) -> None:
    """The session is in use."""
    due = (col(UserSession.token_sha256) == token_sha256) & (col(UserSession.seen_ms) <= now_ms - NOTED_MS)
    session.exec(update(UserSession).where(due).values(seen_ms=now_ms))


def list_sessions(
    session: Session, *, user: str, this: str | None, now_ms: int, lifetime: Lifetime
) -> list[SessionFigures]:
    """A user's living sessions, the newest first."""
    query = select(UserSession).where(col(UserSession.user) == user).order_by(col(UserSession.created_ms).desc())
    return [
        SessionFigures(
            id=row.token_sha256[:_ID_LENGTH],
            address=row.address,
            browser=row.browser,
            began=format_utc(from_ms(row.created_ms)),
            seen=format_utc(from_ms(row.seen_ms)),
            is_this=row.token_sha256 == this,
        )
        for row in session.exec(query)
        if _lives(row, now_ms=now_ms, lifetime=lifetime)
    ]


def end_session(session: Session, *, token_sha256: str) -> None:
    """Sign out."""
    session.exec(delete(UserSession).where(col(UserSession.token_sha256) == token_sha256))


def end_session_of(session: Session, *, user: str, id_: str) -> None:
    """End one of a user's sessions by the id that the list gives it; one that is gone already is no mistake."""
    mine = select(UserSession).where(col(UserSession.user) == user)
    for row in session.exec(mine):
        if row.token_sha256[:_ID_LENGTH] == id_:
            session.delete(row)
    session.flush()


def _living(session: Session, *, token_sha256: str, now_ms: int, lifetime: Lifetime) -> UserSession | None:
    row = session.get(UserSession, token_sha256)
    return row if row and _lives(row, now_ms=now_ms, lifetime=lifetime) else None


def _lives(row: UserSession, *, now_ms: int, lifetime: Lifetime) -> bool:
    return now_ms < row.created_ms + lifetime.absolute_ms and now_ms < row.seen_ms + lifetime.idle_ms


def _caller(row: UserSession, user: User, *, now_ms: int) -> Caller:
    return Caller(
        name=f"user {user.user}",
        grant=Grant.stored(role=user.role, venues=user.venues),
        user=user.user,
        answers=user.user,
        session=row.token_sha256,
        is_noted=row.seen_ms > now_ms - NOTED_MS,
    )
