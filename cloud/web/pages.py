"""The pages' addresses: `/`, `/venues/{venue}`, the API's own page, and the files that they are served with.

A page that cannot be made is a page too, which says why in a sentence.
"""

import http
import logging
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from fastapi.templating import Jinja2Templates
from sqlalchemy import Engine
from starlette.staticfiles import StaticFiles

from cloud.api import API_ROOT, create_app
from cloud.api.dependencies import After, NowMs, ReadSession, VenueRow
from cloud.errors import CloudError, NotFound
from cloud.metrics.process import CloudMetrics
from cloud.palette import PALETTE
from cloud.settings import Settings
from cloud.store.moments import utc_now
from cloud.web import bars, wording
from cloud.web.front_end import absent
from cloud.web.views import listing, venue_view

__all__ = ["create_site"]

FOLDER = Path(__file__).parent
_LOG = logging.getLogger(__name__)

_templates = Jinja2Templates(
    env=jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)
_templates.env.globals |= {
    "bars": bars,
    "absent": absent,
    "heat_colours": [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue, _ in PALETTE[7::31].tolist()],
}
_templates.env.filters |= {"number": wording.number}


class _PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def _handle(request: Request) -> Response:
            try:
                return await handle(request)
            except (NotFound, RequestValidationError):
                return _render(request, "problem.html", status=http.HTTPStatus.NOT_FOUND, problem=_NOT_HERE)
            except CloudError as error:
                _LOG.error("A page cannot be shown: %s", error, extra={"action": "page"})
                return _render(request, "problem.html", status=http.HTTPStatus.SERVICE_UNAVAILABLE, problem=_NO_DATA)

        return _handle


_NOT_HERE = ("There is no such place here", "The address may be mistyped, or the venue has another name by now.")
_NO_DATA = (
    "The numbers cannot be read right now",
    "The server cannot use its database. Its log says why; try again soon.",
)

router = APIRouter(route_class=_PageRoute, include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
def show_venues(request: Request, session: ReadSession, now_ms: NowMs, after: After = None) -> Response:
    """All venues in use."""
    return _render(request, "venues.html", page=listing(session, after=after, now_ms=now_ms))


@router.get("/venues/{venue}")  # noqa: FAST003  VenueRow takes it
def show_venue(request: Request, session: ReadSession, row: VenueRow, now_ms: NowMs) -> Response:
    """A venue now and today."""
    return _render(request, "venue.html", page=venue_view(session, venue=row, now_ms=now_ms))


@router.get(f"{API_ROOT}/docs")
def show_api(request: Request) -> Response:
    """The API, explained from its own description."""
    return _render(request, "api.html", description=f"{API_ROOT}/openapi.json")


def create_site(
    settings: Settings,
    engine: Engine,
    *,
    clock: Callable[[], datetime] = utc_now,
    metrics: CloudMetrics | None = None,
    ending: threading.Event | None = None,
) -> FastAPI:
    """The API and the pages over one database; `metrics` and `ending` as for `create_app`."""
    app = create_app(settings, engine, clock=clock, metrics=metrics, ending=ending)
    app.include_router(router)
    app.mount("/static", _Revalidated(directory=FOLDER / "static"))
    return app


class _Revalidated(StaticFiles):
    """Files that a browser asks about before it uses its copy, so that an upgrade is seen at once."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _render(request: Request, template: str, *, status: int = http.HTTPStatus.OK, **shown: object) -> Response:
    return _templates.TemplateResponse(
        request, template, shown, status_code=status, headers={"Cache-Control": "no-store"}
    )
