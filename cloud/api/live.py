"""Who is in a venue right now, as a stream of server-sent events.

The newest state is all there is, so a reader that comes back with the id of what it has (`Last-Event-ID`) is told
nothing until that changes. A stream ends with the session or the key that opened it. Nothing of the database is held
between two looks.
"""

import http
import logging
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter
from sqlmodel import Session

from cloud.access.callers import OWNER, Caller
from cloud.access.limits import Taken
from cloud.access.roles import Role
from cloud.access.standing import still_covers
from cloud.api.dependencies import Around, CallerInUse, VenueId
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.api.problems import RETRY_AFTER_SECONDS
from cloud.api.surroundings import Surroundings
from cloud.errors import Busy, CloudError
from cloud.live import LiveFigures, live_figures, live_version
from cloud.store.engine import reading
from cloud.store.moments import to_ms
from cloud.venues import find_venue

__all__ = ["router"]

router = APIRouter(prefix="/venues/{venue}", tags=["figures"], route_class=GuardedRoute)

LOOK_SECONDS = 1.0
RETRY_MS = 3_000
_SOON = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_LOG = logging.getLogger(__name__)
_FIGURES = TypeAdapter(LiveFigures)


def _known_venue(around: Around, venue: VenueId) -> str:
    """The venue's id, once it was seen to exist: a stream that has begun can no longer answer 404."""
    with reading(around.engine) as connection, Session(connection) as session:
        return find_venue(session, venue=venue).venue


KnownVenue = Annotated[str, Depends(_known_venue)]


async def _place(around: Around, caller: CallerInUse) -> AsyncIterator[None]:
    """A place among the streams, from before the answer begins until after its end."""
    match around.limits.streams.take(caller.name, is_limited=caller != OWNER):
        case Taken.TOO_MANY_OF_YOURS:
            detail = "too many streams are open by this key or user; close one"
            raise HTTPException(http.HTTPStatus.TOO_MANY_REQUESTS, detail, headers=_SOON)
        case Taken.ALL_TAKEN:
            raise Busy("as many streams are open as this server bears; try again soon")
        case Taken.YOURS:
            try:
                yield
            finally:
                around.limits.streams.leave(caller.name)


Place = Annotated[None, Depends(_place)]
SeenBefore = Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)]


@router.get("/live", response_class=EventSourceResponse)
@needs(Role.VIEWER)
async def follow(
    around: Around, caller: CallerInUse, venue: KnownVenue, _place: Place, last_event_id: SeenBefore = None
) -> AsyncIterator[ServerSentEvent]:
    """Stream who is there now: an event `live` at once, and each time that a box says something new or falls silent."""
    seen = last_event_id
    while True:
        try:
            event = await run_sync(_look, around, caller, venue, seen)
        except _Over:
            return
        except CloudError as error:
            _LOG.error("A stream ends: %s", error, extra={"action": "live", "venue": venue})
            return
        if event is not None:
            seen = event.id
            yield event
        if around.ending.is_set():
            return
        await anyio.sleep(LOOK_SECONDS)


class _Over(Exception):
    """Whoever listens may listen no more."""


def _look(around: Surroundings, caller: Caller, venue: str, seen: str | None) -> ServerSentEvent | None:
    """What there is to say, unless it was said; raises _Over once the session or the key is void."""
    now_ms = to_ms(around.clock())
    with reading(around.engine) as connection, Session(connection) as session:
        if not still_covers(session, caller, role=Role.VIEWER, venue=venue, now_ms=now_ms, lifetime=around.lifetime):
            raise _Over
        version = live_version(session, venue=venue, now_ms=now_ms)
        if version == seen:
            return None
        figures = live_figures(session, venue=find_venue(session, venue=venue), now_ms=now_ms)
    return ServerSentEvent(event="live", id=version, retry=RETRY_MS, raw_data=_FIGURES.dump_json(figures).decode())
