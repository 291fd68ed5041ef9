"""The pages' addresses: `/`, `/venues/{venue}`, the API's own page, and the files that they are served with."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from sqlalchemy import Engine
from starlette.staticfiles import StaticFiles

from cloud.access.roles import Role
from cloud.api import API_ROOT, create_app
from cloud.api.dependencies import After, CallerInUse, NowMs, ReadSession, VenueRow
from cloud.api.guard import guarded
from cloud.api.heatmaps import HeatTurn
from cloud.api.needs import needs, open_to_all
from cloud.metrics.process import CloudMetrics
from cloud.settings import Settings
from cloud.store.moments import utc_now
from cloud.web import account, administration, signing
from cloud.web.problems import answer_with_pages
from cloud.web.rendering import FOLDER, PageRoute, render
from cloud.web.views import listing, venue_view

__all__ = ["create_site"]

router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
@needs(Role.VIEWER)
def show_venues(
    request: Request, session: ReadSession, caller: CallerInUse, now_ms: NowMs, after: After = None
) -> Response:
    """All venues in use that one may see."""
    page = listing(session, granted=caller.grant.venues, after=after, now_ms=now_ms)
    return render(request, "venues.html", page=page)


@router.get("/venues/{venue}", dependencies=[HeatTurn])  # noqa: FAST003  VenueRow takes it
@needs(Role.VIEWER)
def show_venue(request: Request, session: ReadSession, row: VenueRow, now_ms: NowMs) -> Response:
    """A venue now and today."""
    return render(request, "venue.html", page=venue_view(session, venue=row, now_ms=now_ms))


@router.get(f"{API_ROOT}/docs")
@needs(Role.VIEWER)
def show_api(request: Request) -> Response:
    """The API, explained from its own description."""
    return render(request, "api.html", description=f"{API_ROOT}/openapi.json")


@router.get("/favicon.ico")
@open_to_all
def show_icon() -> Response:
    """The pages' icon, for browsers that ask without having been told where it is."""
    icon = FOLDER / "static" / "icon.svg"
    return FileResponse(icon, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


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
    for pages in (router, signing.router, account.router, administration.router):
        app.include_router(guarded(pages))
    answer_with_pages(app)
    app.mount("/static", _Revalidated(directory=FOLDER / "static"))
    return app


class _Revalidated(StaticFiles):
    """Files that a browser asks about before it uses its copy, so that an upgrade is seen at once."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response
