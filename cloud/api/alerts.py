"""Alerts: listed, acknowledged, resolved."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cloud.access.roles import Role
from cloud.alerts.book import AlertFigures, AlertState, acknowledge_alert, list_alerts, resolve_alert
from cloud.api.dependencies import CallerInUse, IsTold, Limit, NowMs, ReadSession, UlidText, WriteSession
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=GuardedRoute)

_EXAMPLE = "01KAGAGGM0FX3N5V2C8R6T9W4Y"
AlertId = Annotated[UlidText, Path(description="id of the alert", examples=[_EXAMPLE])]


class Person(BaseModel):
    """Who does it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"by": "Ada"}})

    by: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
    ] = Field(description="a name that others will know")


class AlertList(BaseModel):
    """Alerts, the newest first; `next` goes into `before` for those that are older."""

    alerts: list[AlertFigures]
    next: str | None


@router.get("")
@needs(Role.VIEWER)
def show_all(
    session: ReadSession,
    caller: CallerInUse,
    venue: Annotated[Slug | None, Query(description="only those of this venue")] = None,
    state: Annotated[AlertState | None, Query(description="only those in this state")] = None,
    before: Annotated[UlidText | None, Query(description="only those older than this one")] = None,
    limit: Limit = 100,
) -> AlertList:
    """List alerts."""
    found = list_alerts(session, granted=caller.grant.venues, venue=venue, state=state, before=before, limit=limit)
    return AlertList(alerts=found, next=found[-1].alert if len(found) == limit else None)


@router.post("/{alert}/acknowledge")
@needs(Role.ADMIN)
def acknowledge(session: WriteSession, now_ms: NowMs, is_told: IsTold, alert: AlertId, body: Person) -> AlertFigures:
    """Say that somebody looks after it. Who did so first stays."""
    return acknowledge_alert(session, alert=alert, by=body.by, now_ms=now_ms, is_told=is_told)


@router.post("/{alert}/resolve")
@needs(Role.ADMIN)
def resolve(session: WriteSession, now_ms: NowMs, is_told: IsTold, alert: AlertId, body: Person) -> AlertFigures:
    """Say that it is done with. It is not raised again before its condition has gone."""
    return resolve_alert(session, alert=alert, by=body.by, now_ms=now_ms, is_told=is_told)
