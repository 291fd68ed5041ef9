"""Puts the API together: routes, errors, limits and what they stand on. Nothing connects before the first request."""

import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import Engine
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from cloud.access.roles import Role
from cloud.access.sessions import Lifetime
from cloud.api import (
    alerts,
    audit,
    boxes,
    cameras,
    comparison,
    devices,
    events,
    figures,
    health,
    heatmaps,
    held,
    keys,
    live,
    plans,
    users,
    venues,
)
from cloud.api.guard import GuardedRoute, guarded
from cloud.api.headers import SafetyHeaders
from cloud.api.limits import BodyLimit, SizeLimits
from cloud.api.metrics import install_metrics
from cloud.api.needs import needs
from cloud.api.networks import AllowedNetworks
from cloud.api.parameters import KnownParametersOnly
from cloud.api.problems import PROBLEM_RESPONSES, Problem, install_problems
from cloud.api.surroundings import Devices, Limits, Surroundings
from cloud.api.trail import Audited
from cloud.auth import admin_key
from cloud.devices.authority import open_authority
from cloud.devices.enrolment import BrokerPlace
from cloud.health import program_version
from cloud.ingest.commit import Committer
from cloud.metrics.process import CloudMetrics
from cloud.metrics.store import StoreCollector
from cloud.plans import MAX_IMAGE_BYTES
from cloud.settings import AccessSettings, Settings
from cloud.store.moments import utc_now

__all__ = ["API_ROOT", "create_app"]

API_ROOT = "/api/v1"
LIMITS = SizeLimits(
    usual=64 * 1024,
    # A payload above 64 KiB is refused by an ack that names its hash, so some more has to be read.
    by_route={
        f"POST {API_ROOT}/events": 1024 * 1024,
        f"PUT {API_ROOT}/venues/{{venue}}/plans/{{floor}}": MAX_IMAGE_BYTES,
    },
)
DESCRIPTION = """Anonymous people analytics of venues.

Every call needs `Authorization: Bearer KEY` or the session of somebody who has signed in; an envelope, the box's own
device key; an enrolment, its one-time code. A viewer sees figures, an analyst also raw events and comparisons, an admin
changes things, each in the venues that were granted: any other does not exist. Errors are problem+json (RFC 9457).
Periods are floored to 15 minutes, and each answer says which it used.
"""

_KEY_SCHEME = {"type": "http", "scheme": "bearer", "description": "An API key, or the admin key of the settings."}
RESOURCES = (
    venues,
    plans,
    boxes,
    devices,
    cameras,
    figures,
    comparison,
    live,
    heatmaps,
    events,
    held,
    alerts,
    users,
    keys,
    audit,
    health,
)


def create_app(
    settings: Settings,
    engine: Engine,
    *,
    clock: Callable[[], datetime] = utc_now,
    metrics: CloudMetrics | None = None,
    ending: threading.Event | None = None,
) -> FastAPI:
    """The API over one database; `metrics` are those of the whole process, where more than the API counts there.

    Whoever sets `ending` ends the streams, which else last for ever.
    """
    metrics = metrics or CloudMetrics()
    metrics.registry.register(StoreCollector(engine))
    app = FastAPI(
        title="Footfall",
        version=program_version(),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
    )
    app.state.surroundings = Surroundings(
        engine=engine,
        admin=admin_key(settings),
        committer=Committer(engine, clock, meter=metrics),
        clock=clock,
        devices=Devices(
            open_authority=cache(lambda: open_authority(settings.data_dir, now=clock())),
            certificate_days=settings.devices.certificate_days,
            broker=BrokerPlace(
                host=settings.broker.public_host or settings.broker.host, port=settings.broker.public_port
            ),
        ),
        is_behind_proxy=bool(settings.access.trusted_proxies),
        is_told=settings.alerts.webhook_url is not None,
        ending=ending or threading.Event(),
        limits=Limits.of(settings.access),
        lifetime=Lifetime(
            idle_ms=round(settings.access.session_idle_minutes * 60_000),
            absolute_ms=round(settings.access.session_days * 86_400_000),
        ),
    )
    app.router.routes.extend(_resource_routes())
    app.include_router(_below_root(_description_router(app)))
    app.add_middleware(BodyLimit, limits=LIMITS)
    install_problems(app)
    app.add_middleware(Audited)
    install_metrics(app, metrics)
    _install_rims(app, settings.access)
    _describe_problems(app)
    return app


@cache
def _resource_routes() -> tuple[BaseRoute, ...]:
    """The routes of all resources, shared by every application of a process: to analyse them takes longest of all."""
    shared = APIRouter(responses=PROBLEM_RESPONSES)
    shared.include_router(_below_root(*(resource.router for resource in RESOURCES)))
    return (*shared.routes,)


def _below_root(*routers: APIRouter) -> APIRouter:
    root = APIRouter(prefix=API_ROOT, dependencies=[KnownParametersOnly])
    for router in routers:
        root.include_router(guarded(router))
    return root


def _install_rims(app: FastAPI, access: AccessSettings) -> None:
    """What stands before all else, the outermost last: other sites' pages, networks, headers, trusted proxies."""
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=["DELETE", "GET", "PATCH", "POST", "PUT"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"],
        )
    if access.networks:
        app.add_middleware(AllowedNetworks, networks=access.networks)
    app.add_middleware(SafetyHeaders)
    if access.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[*access.trusted_proxies])


def _description_router(app: FastAPI) -> APIRouter:
    router = APIRouter(route_class=GuardedRoute, include_in_schema=False)

    @router.get("/openapi.json")
    @needs(Role.VIEWER)
    def _describe() -> JSONResponse:
        return JSONResponse(app.openapi())

    return router


def _describe_problems(app: FastAPI) -> None:
    """Put into the description what a problem is and how to show a key, and take out FastAPI's own shape of errors."""
    describe = app.openapi

    def _openapi() -> dict[str, Any]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs") | {"Problem": problem}
            schema["components"].setdefault("securitySchemes", {})["key"] = _KEY_SCHEME
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
        return schema

    app.openapi = _openapi  # type: ignore[method-assign]  # the way that FastAPI documents
