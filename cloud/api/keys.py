"""Keys of programs: listed, made, revoked. For admins of all venues."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.keys import KeyFigures, NewKey, key_expiry_ms, key_name, list_keys, make_key, revoke_key
from cloud.access.networks import Network
from cloud.access.roles import Role, checked_grant
from cloud.api.dependencies import CallerInUse, NowMs, ReadSession, TrailInUse, WriteSession
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.api.users import with_revoked
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(prefix="/keys", tags=["users and keys"], route_class=GuardedRoute)


class WantedKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "dashboard", "role": "viewer", "venues": None, "days": 365}},
    )

    name: Annotated[str, Field(description="what it is for")]
    role: Role
    venues: Annotated[list[Slug] | None, Field(description="null for all venues, those still to come too")]
    networks: Annotated[
        list[Network] | None, Field(description="from where it may be used; anywhere when left out")
    ] = None
    days: Annotated[int | None, Field(description="void after so many; never when left out")] = None


@router.get("")
@needs(Role.ADMIN, everywhere=True)
def show_all(session: ReadSession) -> list[KeyFigures]:
    """List the keys, without their secrets."""
    return list_keys(session)


@router.post("", status_code=201)
@needs(Role.ADMIN, everywhere=True)
def make(session: WriteSession, now_ms: NowMs, caller: CallerInUse, trail: TrailInUse, body: WantedKey) -> NewKey:
    """Make a key. It is in the answer, and nowhere else ever after. One that a key makes stays within its limits."""
    made = make_key(
        session,
        name=key_name(body.name),
        grant=checked_grant(session, role=body.role, venues=body.venues),
        networks=body.networks,
        expires_ms=key_expiry_ms(body.days, now_ms=now_ms),
        by=caller,
        now_ms=now_ms,
    )
    trail.subject = f"{made.id} {body.name}"
    return made


@router.delete("/{key}", status_code=204, response_class=Response)
@needs(Role.ADMIN, everywhere=True)
def revoke(
    session: WriteSession,
    trail: TrailInUse,
    key: Annotated[str, Path(description="its id", pattern="^[0-9a-f]{12}$")],
) -> None:
    """Make a key void at once, and the keys that it made."""
    trail.subject = with_revoked(key, revoke_key(session, id_=key))
