"""The audit log, for admins of all venues; and who one is oneself."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.access.audit import AuditFigures, list_audit
from cloud.access.roles import Role
from cloud.api.dependencies import CallerInUse, Limit, ReadSession, UlidText
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(tags=["users and keys"], route_class=GuardedRoute)


class AuditList(BaseModel):
    """Lines of the log, the newest first; `next` goes into `before` for those that are older."""

    entries: list[AuditFigures]
    next: str | None


class Oneself(BaseModel):
    """Who asks, and what was granted."""

    name: Annotated[str, Field(description="`user NAME`, `key ID`, or `owner`")]
    role: Role
    venues: Annotated[list[str] | None, Field(description="null for all")]


@router.get("/audit")
@needs(Role.ADMIN, everywhere=True)
def show_all(
    session: ReadSession,
    who: Annotated[
        str | None,
        Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="only what this one did, as `user ada`"),
    ] = None,
    venue: Annotated[Slug | None, Query(description="only of this venue")] = None,
    before: Annotated[UlidText | None, Query(description="only those older than this one")] = None,
    limit: Limit = 100,
) -> AuditList:
    """Read the audit log: each write, sign-in, export and refusal."""
    found = list_audit(session, who=who, venue=venue, before=before, limit=limit)
    return AuditList(entries=found, next=found[-1].id if len(found) == limit else None)


@router.get("/me")
@needs(Role.VIEWER)
def show_me(caller: CallerInUse) -> Oneself:
    """Who one is, and what one may see."""
    venues = caller.grant.venues
    return Oneself(name=caller.name, role=caller.grant.role, venues=None if venues is None else sorted(venues))
