"""Whether the cloud works: the database answers, has this program's schema, and things arrive."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.dependencies import CallerOrStranger, EngineInUse, NowMs
from cloud.api.guard import GuardedRoute
from cloud.api.needs import open_to_all
from cloud.health import read_health

__all__ = ["router"]

router = APIRouter(tags=["health"], route_class=GuardedRoute)


class Health(BaseModel):
    """The state of the cloud; strangers, and those with some venues alone, are told the first line."""

    status: str = Field(examples=["ok"])
    version: str = ""
    store: str = Field(default="", description="ULID of the database; a new one after a restore")
    boxes: int = 0
    last_received: str | None = None
    last_received_age_seconds: float | None = Field(default=None, description="how long nothing has come from any box")
    broker_asked: str | None = Field(
        default=None, description="when the program beside the broker last asked who may come; null where none ever did"
    )
    broker_asked_age_seconds: float | None = Field(
        default=None, description="how long nobody has asked; beyond a minute a revocation does not reach the broker"
    )


@router.get("/health", response_model_exclude_unset=True)
@open_to_all
def show(engine: EngineInUse, now_ms: NowMs, caller: CallerOrStranger) -> Health:
    """Whether the database answers and has the right schema, which needs no key; and when something last came in."""
    found = read_health(engine, now_ms=now_ms)
    if caller is None or caller.grant.venues is not None:
        return Health(status=found.status)
    return Health.model_validate(found, from_attributes=True)
