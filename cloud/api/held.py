"""What is kept without counting, and a person's decision about it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.roles import Role
from cloud.api.dependencies import CallerInUse, EngineInUse, Now, ReadSession, TrailInUse
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.held import HeldGroup, discard_held, list_held, release_held
from cloud.ingest.judgement import HoldReason
from cloud.ingest.release import Released
from protocol.wire import Epoch, Slug

__all__ = ["router"]

router = APIRouter(prefix="/held", tags=["held items"], route_class=GuardedRoute)


class Decision(BaseModel):
    """Which held items are meant."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"box": "box-1", "reason": "clone", "epoch": "00112233aabbccdd"}}
    )

    box: Slug
    reason: HoldReason
    epoch: Epoch | None = Field(default=None, description="needed for `clone`: which of the two writers")


@router.get("")
@needs(Role.VIEWER)
def show_all(
    session: ReadSession,
    caller: CallerInUse,
    box: Annotated[Slug | None, Query(description="only of this box")] = None,
    reason: Annotated[HoldReason | None, Query(description="only for this reason")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> tuple[HeldGroup, ...]:
    """List what is held: unknown types, newer schemas, the future, boxes not enrolled, clones."""
    return list_held(session, granted=caller.grant.venues, box=box, reason=reason, limit=limit)


@router.post("/release")
@needs(Role.ADMIN)
def release(engine: EngineInUse, now: Now, caller: CallerInUse, trail: TrailInUse, body: Decision) -> Released:
    """Let held items in, as far as they may count by now. For a clone this means that its epoch counts from now on."""
    trail.subject = f"{body.box} {body.reason}"
    return release_held(
        engine, granted=caller.grant.venues, box=body.box, reason=body.reason, epoch=body.epoch, now=now
    )


@router.post("/discard")
@needs(Role.ADMIN)
def discard(engine: EngineInUse, caller: CallerInUse, trail: TrailInUse, body: Decision) -> Released:
    """Throw held items away for good."""
    trail.subject = f"{body.box} {body.reason}"
    discarded = discard_held(engine, granted=caller.grant.venues, box=body.box, reason=body.reason, epoch=body.epoch)
    return Released(discarded=discarded)
