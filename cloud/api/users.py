"""People who may sign in: listed, invited, granted, removed. For admins of all venues."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.callers import Caller
from cloud.access.keys import refuse_limited
from cloud.access.links import make_link
from cloud.access.roles import Role, checked_grant
from cloud.access.users import UserFigures, add_user, change_grant, find_user, list_users, remove_user, user_figures
from cloud.api.dependencies import CallerInUse, NowMs, ReadSession, TrailInUse, WriteSession
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.errors import Conflict
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(prefix="/users", tags=["users and keys"], route_class=GuardedRoute)

UserName = Annotated[str, Path(description="name of the user", max_length=100, examples=["ada"])]
Venues = Annotated[list[Slug] | None, Field(description="null for all venues, those still to come too")]


class NewGrant(BaseModel):
    """What a user may do, and where."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"role": "analyst", "venues": ["corner-shop"]}}
    )

    role: Role
    venues: Venues


class NewUser(NewGrant):
    """A user to invite."""

    model_config = ConfigDict(json_schema_extra={"example": {"user": "ada", "role": "viewer", "venues": None}})

    user: Annotated[str, Field(max_length=100, description="letters a to z, digits and any of . _ @ + -")]


class InvitedUser(BaseModel):
    """A user, and the path of the page on which the person chooses a password: once, within a day."""

    user: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegrantedUser(UserFigures):
    """A user with another grant."""

    revoked_keys: Annotated[
        tuple[str, ...],
        Field(description="ids of keys that they made, void as they might do more, or as what made them is"),
    ]


class RemovedUser(BaseModel):
    """A user who is gone."""

    user: str
    revoked_keys: Annotated[tuple[str, ...], Field(description="ids of keys that they made, which are void")]


@router.get("")
@needs(Role.ADMIN, everywhere=True)
def show_all(session: ReadSession) -> list[UserFigures]:
    """List the users."""
    return list_users(session)


@router.post("", status_code=201)
@needs(Role.ADMIN, everywhere=True)
def invite(session: WriteSession, now_ms: NowMs, caller: CallerInUse, trail: TrailInUse, body: NewUser) -> InvitedUser:
    """Add a user. Nobody but the person ever knows the password: it is chosen on the page of the link."""
    trail.subject = body.user
    refuse_limited(session, by=caller)
    grant = checked_grant(session, role=body.role, venues=body.venues)
    row = add_user(session, user=body.user, grant=grant, password_hash=None, now_ms=now_ms)
    return InvitedUser(user=row.user, link=make_link(session, user=row.user, now_ms=now_ms))


@router.put("/{user}/grant")
@needs(Role.ADMIN, everywhere=True)
def change(
    session: WriteSession, caller: CallerInUse, trail: TrailInUse, user: UserName, body: NewGrant
) -> RegrantedUser:
    """Give a user another role or other venues, from the next request on; keys of theirs that may do more are void."""
    refuse_oneself(caller, user=user)
    refuse_limited(session, by=caller)
    grant = checked_grant(session, role=body.role, venues=body.venues)
    revoked = change_grant(session, user=user, grant=grant)
    trail.subject = with_revoked(user, revoked)
    return RegrantedUser(**asdict(user_figures(find_user(session, user=user))), revoked_keys=revoked)


@router.post("/{user}/link")
@needs(Role.ADMIN, everywhere=True)
def renew(session: WriteSession, now_ms: NowMs, caller: CallerInUse, user: UserName) -> InvitedUser:
    """Make a new link for a user who has lost the password or the link; the one before is void."""
    refuse_limited(session, by=caller)
    row = find_user(session, user=user)
    return InvitedUser(user=row.user, link=make_link(session, user=row.user, now_ms=now_ms))


@router.delete("/{user}")
@needs(Role.ADMIN, everywhere=True)
def remove(session: WriteSession, caller: CallerInUse, trail: TrailInUse, user: UserName) -> RemovedUser:
    """Remove a user; whatever they have open ends, and the keys that they made are void."""
    refuse_oneself(caller, user=user)
    name = find_user(session, user=user).user
    revoked = remove_user(session, user=name)
    trail.subject = with_revoked(name, revoked)
    return RemovedUser(user=name, revoked_keys=revoked)


def with_revoked(name: str, revoked: Sequence[str]) -> str:
    """A user or a key, and the keys that ended with it, as the audit log names them."""
    return " ".join((name, *(f"key {one}" for one in revoked)))


def refuse_oneself(caller: Caller, *, user: str) -> None:
    """Nobody shuts themselves out by mistake; raises Conflict."""
    if caller.user == user.strip().lower():
        raise Conflict("this is you; let another admin do it")
