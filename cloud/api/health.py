"""Whether the cloud works: the database answers, has this program's schema, and things arrive."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cloud.api.dependencies import EngineInUse, NowMs
from cloud.health import read_health

__all__ = ["router"]

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The state of the cloud."""

    status: str = Field(examples=["ok"])
    version: str
    store: str = Field(description="ULID of the database; a new one after a restore")
    boxes: int
    last_received: str | None
    last_received_age_seconds: float | None = Field(description="how long nothing has come from any box")


@router.get("/health")
def show(engine: EngineInUse, now_ms: NowMs) -> Health:
    """Whether the database answers and has the right schema, and when something last came in; needs no key."""
    return Health.model_validate(read_health(engine, now_ms=now_ms), from_attributes=True)
