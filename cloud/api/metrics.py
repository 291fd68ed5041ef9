"""`/metrics`, for this machine itself and whoever may see all venues; and the clock that every answer runs against."""

import time

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.access.roles import Role
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.metrics.process import CloudMetrics

__all__ = ["Measured", "install_metrics"]

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def install_metrics(app: FastAPI, metrics: CloudMetrics) -> None:
    """Answer `/metrics`, and measure every request."""
    router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

    @router.get("/metrics")
    @needs(Role.VIEWER, everywhere=True, open_here=True)
    def _metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.include_router(router)
    app.add_middleware(Measured, metrics=metrics)


class Measured:
    """Tells of each answer: its route, status, and the time until it began.

    Paths and methods that nobody serves are one label, so that no caller can make more of them.
    """

    def __init__(self, app: ASGIApp, *, metrics: CloudMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, seconds = time.perf_counter(), 500, None

        async def noted(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.answered(
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=getattr(scope.get("route"), "path", "none"),
                status=status,
                seconds=time.perf_counter() - began if seconds is None else seconds,
            )
