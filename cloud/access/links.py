"""One-time links: whoever opens one chooses a password, once, within a day.

One without a user makes the first admin, and is void as soon as there is one.
"""

import secrets
from dataclasses import dataclass

from sqlmodel import Session, col, delete, select

from cloud.access.roles import Grant, Role
from cloud.access.users import add_user, find_user, has_chief_admin, set_password_hash
from cloud.auth import sha256_of
from cloud.errors import NotFound
from cloud.store.tables import OneTimeLink, User

__all__ = ["LINK_PATH", "OpenedLink", "make_link", "make_setup_link", "open_link", "use_link"]

LINK_PATH = "/welcome"
LASTS_MS = 24 * 3_600_000
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedLink:
    """For whom a link is; None for whoever becomes the first admin."""

    user: str | None


def make_link(session: Session, *, user: str, now_ms: int) -> str:
    """The path of a new link for a user; one from before is void."""
    row = find_user(session, user=user)
    session.exec(delete(OneTimeLink).where(col(OneTimeLink.user) == row.user))
    return _make(session, user=row.user, now_ms=now_ms)


def make_setup_link(session: Session, *, now_ms: int) -> str | None:
    """The path of a link for the first admin, of which only the newest holds; None where there is an admin."""
    session.exec(delete(OneTimeLink).where(col(OneTimeLink.user).is_(None)))
    return None if has_chief_admin(session) else _make(session, user=None, now_ms=now_ms)


def open_link(session: Session, *, token: str, now_ms: int) -> OpenedLink:
    """For whom a link is; raises NotFound for one that was used, is too old, or never was."""
    row = session.get(OneTimeLink, sha256_of(token))
    if row is None or now_ms >= row.expires_ms or (row.user is None and has_chief_admin(session)):
        raise NotFound("this link was used already, or is older than a day")
    return OpenedLink(user=row.user)


def use_link(session: Session, *, token: str, user: str, password_hash: str, now_ms: int) -> User:
    """Give the link's user the password, or make the first admin of this name; the link is void."""
    # Deleting comes first: of two that use one link at once, the second finds nothing to delete.
    link = open_link(session, token=token, now_ms=now_ms)
    used = delete(OneTimeLink).where(col(OneTimeLink.token_sha256) == sha256_of(token))
    if not session.connection().execute(used).rowcount:
        raise NotFound("this link was used already, or is older than a day")
    if link.user is None:
        grant = Grant(role=Role.ADMIN)
        return add_user(session, user=user, grant=grant, password_hash=password_hash, now_ms=now_ms)
    set_password_hash(session, user=link.user, password_hash=password_hash)
    return session.exec(select(User).where(col(User.user) == link.user)).one()


def _make(session: Session, *, user: str | None, now_ms: int) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(OneTimeLink(token_sha256=sha256_of(token), user=user, expires_ms=now_ms + LASTS_MS))
    session.flush()
    return f"{LINK_PATH}?token={token}"
