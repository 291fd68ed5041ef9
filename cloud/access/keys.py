"""Keys of programs: made, shown once, listed, revoked.

A key is `ff_`, its public id, and 256 random bits; of them only the SHA-256 is kept, which needs no salt and no slow
hash. It may be limited to venues, to networks, and in time. What a key makes stays within its limits, and ends with it.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from cloud.access.callers import Caller
from cloud.access.networks import Network, are_within, is_within
from cloud.access.roles import Grant, Role
from cloud.auth import key_matches, sha256_of
from cloud.errors import Conflict, Invalid, NotFound
from cloud.store.moments import from_ms
from cloud.store.tables import ApiKey, User
from protocol.wire import format_utc

__all__ = [
    "PREFIX",
    "KeyFigures",
    "NewKey",
    "caller_of_key",
    "key_expiry_ms",
    "key_lives",
    "key_name",
    "list_keys",
    "make_key",
    "note_key",
    "refuse_limited",
    "revoke_key",
    "revoke_keys_of",
]

PREFIX = "ff_"
_ID_BYTES, _SECRET_BYTES = 6, 32
_LONGEST_NAME, _MOST_DAYS, _DAY_MS = 120, 3_650, 86_400_000
NOTED_MS = 60_000
"""That a key is in use is written down at most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigures:
    """A key as admins see it."""

    id: str
    name: str
    role: Role
    venues: Annotated[tuple[str, ...] | None, Field(description="null for all")]
    networks: Annotated[tuple[str, ...] | None, Field(description="from where it may be used; null from anywhere")]
    created: str
    created_by: str
    expires: Annotated[str | None, Field(description="null for never")]
    used: Annotated[str | None, Field(description="when last, to the minute")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key, which is shown this once."""

    id: str
    key: str


def key_name(text: str) -> str:
    """What a key is for, as it is kept; raises Invalid for what cannot be shown."""
    name = text.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Invalid(f"a key's name says what it is for, in 1 to {_LONGEST_NAME} characters of one line")
    return name


def key_expiry_ms(days: int | None, *, now_ms: int) -> int | None:
    """When a key that is to last so many days becomes void; None for never."""
    if days is None:
        return None
    if not 0 < days <= _MOST_DAYS:
        raise Invalid(f"a key lasts 1 to {_MOST_DAYS} days, or for ever where none are named")
    return now_ms + days * _DAY_MS


def make_key(
    session: Session,
    *,
    name: str,
    grant: Grant,
    networks: Sequence[Network] | None,
    expires_ms: int | None,
    by: Caller,
    now_ms: int,
) -> NewKey:
    """A new key, for which whoever answers for its maker answers too. Raises Conflict if it could do more than they."""
    if by.answers is not None:
        _require_within(session, grant, user=by.answers)
    if by.key is not None:
        _require_limits(session, networks=networks, expires_ms=expires_ms, key=by.key)
    id_ = secrets.token_hex(_ID_BYTES)
    key = f"{PREFIX}{id_}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    session.add(
        ApiKey(
            id=id_,
            name=name,
            key_sha256=sha256_of(key),
            role=grant.role,
            venues=grant.stored_venues,
            networks=None if networks is None else json.dumps([str(one) for one in networks]),
            created_ms=now_ms,
            created_by=by.name,
            user=by.answers,
            expires_ms=expires_ms,
        )
    )
    session.flush()
    return NewKey(id=id_, key=key)


def refuse_limited(session: Session, *, by: Caller) -> None:
    """Raise Conflict where a key asks that is limited in time or to networks, as no user is whom it would let in."""
    if by.key is None:
        return
    row = _locked(session, key=by.key)
    if row.expires_ms is not None or row.networks is not None:
        raise Conflict(
            f"key {row.id} is limited in time or to networks, and a user would not be; ask without such a key"
        )


def caller_of_key(session: Session, *, presented: str, address: str, now_ms: int) -> Caller | None:
    """Which program shows this key, if it may be used now and from there."""
    row = session.get(ApiKey, presented.removeprefix(PREFIX).partition("_")[0].replace("\0", ""))
    # An unknown key takes as long as a wrong one.
    is_right = key_matches(presented, row.key_sha256 if row else "0" * 64)
    if row is None or not is_right or not _lives(row, now_ms=now_ms):
        return None
    if row.networks is not None and not is_within(address, json.loads(row.networks)):
        return None
    return Caller(
        name=_name(row),
        grant=_grant(row),
        key=row.id,
        answers=row.user,
        is_noted=row.used_ms is not None and row.used_ms > now_ms - NOTED_MS,
    )


def key_lives(session: Session, *, id_: str, now_ms: int) -> bool:
    """Whether a key has been neither revoked nor left behind by time."""
    row = session.get(ApiKey, id_)
    return row is not None and _lives(row, now_ms=now_ms)


def note_key(session: Session, *, id_: str, now_ms: int) -> None:
    """The key is in use."""
    is_due = or_(col(ApiKey.used_ms).is_(None), col(ApiKey.used_ms) <= now_ms - NOTED_MS)
    session.exec(update(ApiKey).where(col(ApiKey.id) == id_, is_due).values(used_ms=now_ms))


def list_keys(session: Session) -> list[KeyFigures]:
    """All keys, the newest first."""
    return [
        _figures(row) for row in session.exec(select(ApiKey).order_by(col(ApiKey.created_ms).desc(), col(ApiKey.id)))
    ]


def revoke_key(session: Session, *, id_: str) -> tuple[str, ...]:
    """Forget a key, which is void at once, and the keys that it made, and so on; the ids of those. Raises NotFound."""
    row = session.get(ApiKey, id_, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no key {id_}")
    void = _with_what_they_made(session, [row])
    _forget(session, void)
    return tuple(one.id for one in void[1:])


def revoke_keys_of(session: Session, *, user: str, beyond: Grant | None) -> tuple[str, ...]:
    """Forget the keys that a user answers for, but for those within a grant, and what the forgotten ones made.

    The ids of what is void by this.
    """
    found = session.exec(select(ApiKey).where(col(ApiKey.user) == user).order_by(col(ApiKey.id))).all()
    too_much = [row for row in found if beyond is None or not beyond.includes(_grant(row))]
    void = _with_what_they_made(session, too_much)
    _forget(session, void)
    return tuple(sorted(row.id for row in void))


def _with_what_they_made(session: Session, keys: Sequence[ApiKey]) -> list[ApiKey]:
    """Keys, those that they made, those that these made, and so on; each once."""
    found = list(keys)
    for maker in found:
        made_by_it = select(ApiKey).where(col(ApiKey.created_by) == _name(maker)).order_by(col(ApiKey.id))
        found.extend(row for row in session.exec(made_by_it.with_for_update()) if row not in found)
    return found


def _forget(session: Session, rows: Sequence[ApiKey]) -> None:
    for row in rows:
        session.delete(row)
    session.flush()


def _require_within(session: Session, grant: Grant, *, user: str) -> None:
    """The row is locked, so that whoever takes the grant away meanwhile finds the key, or this finds it gone."""
    row = session.get(User, user, with_for_update=True)
    if row is None or not Grant.stored(role=row.role, venues=row.venues).includes(grant):
        raise Conflict(f"a key may not do more than {user}, who makes it")


def _require_limits(session: Session, *, networks: Sequence[Network] | None, expires_ms: int | None, key: str) -> None:
    row = _locked(session, key=key)
    if row.expires_ms is not None and (expires_ms is None or expires_ms > row.expires_ms):
        raise Conflict(f"a key may not last longer than key {key}, which makes it: until {_moment(row.expires_ms)}")
    if row.networks is not None and (networks is None or not are_within(networks, json.loads(row.networks))):
        allowed = ", ".join(json.loads(row.networks))
        raise Conflict(f"a key may not be used from elsewhere than key {key}, which makes it: only from {allowed}")


def _locked(session: Session, *, key: str) -> ApiKey:
    """The key that asks; whoever revokes it meanwhile waits. Raises Conflict where somebody has."""
    row = session.get(ApiKey, key, with_for_update=True)
    if row is None:
        raise Conflict(f"key {key}, which asks this, is void")
    return row


def _name(row: ApiKey) -> str:
    """As the audit log names it, and those that it makes."""
    return f"key {row.id}"


def _grant(row: ApiKey) -> Grant:
    return Grant.stored(role=row.role, venues=row.venues)


def _lives(row: ApiKey, *, now_ms: int) -> bool:
    return row.expires_ms is None or now_ms < row.expires_ms


def _figures(row: ApiKey) -> KeyFigures:
    grant = _grant(row)
    return KeyFigures(
        id=row.id,
        name=row.name,
        role=grant.role,
        venues=None if grant.venues is None else tuple(sorted(grant.venues)),
        networks=None if row.networks is None else tuple(json.loads(row.networks)),
        created=format_utc(from_ms(row.created_ms)),
        created_by=row.created_by,
        expires=_moment(row.expires_ms),
        used=_moment(row.used_ms),
    )


def _moment(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else format_utc(from_ms(moment_ms))
