"""Events: taken from a box over HTTPS as over MQTT, and exported as they came."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from cloud.access.roles import Role
from cloud.access.standing import still_covers
from cloud.api.dependencies import (
    Around,
    CallerInUse,
    CommitterInUse,
    DeviceBox,
    Payload,
    PeriodOfVenue,
    ReadSession,
    VenueRow,
)
from cloud.api.guard import GuardedRoute
from cloud.api.needs import BoxProof, for_boxes, needs
from cloud.api.problems import Unauthorised
from cloud.envelopes import take_envelope
from cloud.exports import MAX_PAGE, EventPage, EventQuery, csv_lines, event_page
from cloud.store.moments import to_ms
from protocol.acks import Ack
from protocol.wire import Slug

__all__ = ["router"]

router = APIRouter(tags=["events"], route_class=GuardedRoute)

_ENVELOPE_BODY = {
    "requestBody": {
        "required": True,
        "description": "One envelope of at most 64 KiB, as on the topic `up/events`.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_CSV: dict[int | str, dict[str, object]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class ExportFormat(StrEnum):
    """How events are exported."""

    JSON = "json"
    CSV = "csv"


class AckWithMore(Ack):
    """The ack of the envelope's epoch, or of a refused payload; `also` holds those of epochs that its gaps name."""

    also: tuple[Ack, ...] = ()


def _wanted(
    row: VenueRow,
    period: PeriodOfVenue,
    type_: Annotated[Slug | None, Query(alias="type", description="only this type, such as `visit`")] = None,
) -> EventQuery:
    return EventQuery(venue=row.venue, period=period, type=type_)


Wanted = Annotated[EventQuery, Depends(_wanted)]


def _is_csv(request: Request) -> bool:
    return request.query_params.get("format") == ExportFormat.CSV


@router.post("/events", openapi_extra=_ENVELOPE_BODY, response_model=AckWithMore)
@for_boxes(BoxProof.DEVICE_KEY)
def take(committer: CommitterInUse, box: DeviceBox, payload: Payload) -> Response:
    """Take an envelope from the box whose device key is shown; answered with its ack once it is committed."""
    first, *more = take_envelope(committer, box=box.box, venue=box.venue, payload=payload)
    answer = first.to_object() | ({"also": [ack.to_object() for ack in more]} if more else {})
    return Response(AckWithMore.model_validate(answer).to_json(), media_type="application/json")


@router.get("/venues/{venue}/events", response_model=EventPage, responses=_CSV)  # noqa: FAST003  VenueRow takes it
@needs(Role.ANALYST, recorded=True, heavy=_is_csv)
def export(
    session: ReadSession,
    around: Around,
    caller: CallerInUse,
    query: Wanted,
    format_: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.JSON,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before (JSON)")] = None,
    limit: Annotated[
        int | None, Query(ge=1, description=f"JSON: at most {MAX_PAGE}, 500 when left out; CSV: all")
    ] = None,
) -> EventPage | StreamingResponse:
    """Export events in the order of time: JSON page by page, CSV as one stream."""
    if format_ is ExportFormat.JSON:
        return event_page(session, query=query, cursor=cursor, limit=min(limit or 500, MAX_PAGE))

    def require(page: Session) -> None:
        now_ms, lifetime = to_ms(around.clock()), around.lifetime
        if not still_covers(page, caller, role=Role.ANALYST, venue=query.venue, now_ms=now_ms, lifetime=lifetime):
            raise Unauthorised

    return StreamingResponse(
        csv_lines(around.engine, query=query, limit=limit, require=require),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{query.venue}-events.csv"'},
    )
