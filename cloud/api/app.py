"""Puts the API together: routes, errors, limits and what they stand on. Nothing connects before the first request."""

import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from cloud.api import (
    alerts,
    boxes,
    cameras,
    comparison,
    devices,
    events,
    figures,
    health,
    heatmaps,
    held,
    live,
    plans,
    venues,
)
from cloud.api.dependencies import Devices, Surroundings
from cloud.api.headers import SafetyHeaders
from cloud.api.limits import BodyLimit, SizeLimits
from cloud.api.metrics import install_metrics
from cloud.api.parameters import KnownParametersOnly
from cloud.api.problems import PROBLEM_RESPONSES, Problem, install_problems
from cloud.auth import admin_key
from cloud.devices.authority import open_authority
from cloud.devices.enrolment import BrokerPlace
from cloud.health import program_version
from cloud.ingest.commit import Committer
from cloud.metrics.process import CloudMetrics
from cloud.metrics.store import StoreCollector
from cloud.plans import MAX_IMAGE_BYTES
from cloud.settings import Settings
from cloud.store.moments import utc_now

__all__ = ["API_ROOT", "create_app"]

API_ROOT = "/api/v1"
LIMITS = SizeLimits(
    usual=64 * 1024,
    # A payload above 64 KiB is refused by an ack that names its hash, so some more has to be read.
    by_path=((f"{API_ROOT}/events", 1024 * 1024), ("/plans/", MAX_IMAGE_BYTES)),
)
DESCRIPTION = """Anonymous people analytics of venues.

Reading needs no key. Every write needs `Authorization: Bearer KEY`: the admin key, or, to send an envelope, the box's
own device key; a box enrols with its code. Errors are problem+json (RFC 9457). Periods are floored to 15 minutes,
and each answer says which it used.
"""


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
        openapi_url=f"{API_ROOT}/openapi.json",
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
        is_told=settings.alerts.webhook_url is not None,
        ending=ending or threading.Event(),
    )
    root = APIRouter(prefix=API_ROOT, dependencies=[KnownParametersOnly])
    for resource in (venues, plans, boxes, devices, cameras, figures, comparison, live, heatmaps, events, held, alerts):
        root.include_router(resource.router)
    root.include_router(health.router)
    app.include_router(root)
    app.add_middleware(BodyLimit, limits=LIMITS)
    install_problems(app)
    app.add_middleware(SafetyHeaders)
    install_metrics(app, metrics)
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the schema of a problem into the description, and take out FastAPI's own shape of errors."""
    describe = app.openapi

    def _openapi() -> dict[str, Any]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs") | {"Problem": problem}
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
        return schema

    app.openapi = _openapi  # type: ignore[method-assign]  # the way that FastAPI documents
