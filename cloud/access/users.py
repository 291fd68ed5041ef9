"""People: added, granted, given a password, removed. Queries take a session and leave the commit to the caller."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, SecretStr
from sqlalchemy import Engine, update
from sqlmodel import Session, col, delete, select

from cloud.access.keys import revoke_keys_of
from cloud.access.passwords import Passwords
from cloud.access.roles import Grant, Role
from cloud.errors import Conflict, Invalid, NotFound
from cloud.store.engine import reading, writing
from cloud.store.moments import from_ms
from cloud.store.tables import OneTimeLink, User, UserSession
from protocol.wire import format_utc

__all__ = [
    "LONGEST_NAME",
    "UserFigures",
    "add_user",
    "change_grant",
    "find_user",
    "has_chief_admin",
    "list_users",
    "lock_user",
    "prove_user",
    "refuse_taken",
    "remove_user",
    "set_password_hash",
    "user_figures",
    "user_name",
]

LONGEST_NAME = 100
_NAME = re.compile(rf"[a-z0-9][a-z0-9._@+-]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFigures:
    """A user as admins see one."""

    user: str
    role: Role
    venues: Annotated[tuple[str, ...] | None, Field(description="null for all")]
    has_password: Annotated[bool, Field(description="false until the person has opened the one-time link")]
    created: str
    signed_in: Annotated[str | None, Field(description="when last")]


def user_name(text: str) -> str:
    """A user's name as it is kept; raises Invalid for what is none."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"a user's name has up to {LONGEST_NAME} letters a to z, digits and any of . _ @ + -, and begins with a"
            " letter or digit"
        )
    return name


def add_user(session: Session, *, user: str, grant: Grant, password_hash: str | None, now_ms: int) -> User:
    """Keep a new user; raises Conflict when the name is taken."""
    name = user_name(user)
    refuse_taken(session, user=name)
    row = User(user=name, role=grant.role, venues=grant.stored_venues, password_hash=password_hash, created_ms=now_ms)
    session.add(row)
    session.flush()
    _void_setup_links(session)
    return row


def refuse_taken(session: Session, *, user: str) -> None:
    """Raise Conflict when there is a user of this name."""
    if session.get(User, user) is not None:
        raise Conflict(f"there is a user {user} already")


def find_user(session: Session, *, user: str) -> User:
    """The user; raises NotFound."""
    row = session.get(User, user.strip().lower().replace("\0", ""))
    if row is None:
        raise NotFound(f"there is no user {user}")
    return row


def lock_user(session: Session, *, user: str) -> User:
    """The user, of whom nobody else makes or takes anything meanwhile; raises NotFound."""
    row = find_user(session, user=user)
    session.refresh(row, with_for_update=True)
    return row


def list_users(session: Session) -> list[UserFigures]:
    """All users by name."""
    return [user_figures(row) for row in session.exec(select(User).order_by(col(User.user)))]


def user_figures(row: User) -> UserFigures:
    """A user as admins see one."""
    grant = Grant.stored(role=row.role, venues=row.venues)
    return UserFigures(
        user=row.user,
        role=grant.role,
        venues=None if grant.venues is None else tuple(sorted(grant.venues)),
        has_password=row.password_hash is not None,
        created=format_utc(from_ms(row.created_ms)),
        signed_in=None if row.signed_in_ms is None else format_utc(from_ms(row.signed_in_ms)),
    )


def has_chief_admin(session: Session) -> bool:
    """Whether somebody who may sign in is an admin of all venues."""
    query = select(User.user).where(
        col(User.role) == Role.ADMIN, col(User.venues).is_(None), col(User.password_hash).is_not(None)
    )
    return session.exec(query.limit(1)).first() is not None


def change_grant(session: Session, *, user: str, grant: Grant) -> tuple[str, ...]:
    """Give a user another role or other venues, from the next request on.

    Keys that they made and that may do more are void; the ids of those.
    """
    row = lock_user(session, user=user)
    row.role, row.venues = grant.role, grant.stored_venues
    session.add(row)
    session.flush()
    _void_setup_links(session)
    return revoke_keys_of(session, user=row.user, beyond=grant)


def set_password_hash(
    session: Session, *, user: str, password_hash: str, instead_of: str | None = None, keep: str | None = None
) -> None:
    """Give a user a new password, and end all their sessions but the one to keep, and all their links.

    Raises Conflict where `instead_of` is named and is no longer the hash of the one before.
    """
    row = lock_user(session, user=user)
    if instead_of is not None and row.password_hash != instead_of:
        raise Conflict("the password was changed meanwhile; try again")
    row.password_hash = password_hash
    session.add(row)
    session.flush()
    _void_setup_links(session)
    _end(session, user=row.user, keep=keep)


def remove_user(session: Session, *, user: str) -> tuple[str, ...]:
    """Forget a user; whatever they have open ends, and the keys that they made are void: the ids of those."""
    row = lock_user(session, user=user)
    _end(session, user=row.user, keep=None)
    revoked = revoke_keys_of(session, user=row.user, beyond=None)
    session.delete(row)
    session.flush()
    return revoked


def prove_user(engine: Engine, passwords: Passwords, *, user: str, password: SecretStr) -> str | None:
    """The stored hash that a user's password was proved by, None for a wrong one.

    It takes a time that does not tell whether there is such a user. A hash made with other parameters than today's is
    made anew, unless it has given way to another meanwhile.
    """
    with reading(engine) as connection, Session(connection) as session:
        row = session.get(User, user.strip().lower().replace("\0", ""))
        name, stored = (row.user, row.password_hash) if row else (user, None)
    if not passwords.matches(password, stored) or stored is None:
        return None
    if not passwords.is_outdated(stored):
        return stored
    renewed = passwords.hash(password)
    still = (col(User.user) == name) & (col(User.password_hash) == stored)
    with writing(engine) as connection:
        is_renewed = connection.execute(update(User).where(still).values(password_hash=renewed)).rowcount
    return renewed if is_renewed else stored


def _void_setup_links(session: Session) -> None:
    """Links for the first admin are void for ever once there is one, though that one be removed."""
    if has_chief_admin(session):
        session.exec(delete(OneTimeLink).where(col(OneTimeLink.user).is_(None)))


def _end(session: Session, *, user: str, keep: str | None) -> None:
    session.exec(delete(OneTimeLink).where(col(OneTimeLink.user) == user))
    session.exec(
        delete(UserSession).where(col(UserSession.user) == user, col(UserSession.token_sha256) != (keep or ""))
    )
