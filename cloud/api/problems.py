"""Every error as problem+json (RFC 9457): it names what the caller can mend, and nothing of the server's inside."""

import http
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from cloud.api.headers import safety_headers
from cloud.errors import Busy, CloudError, Conflict, Invalid, NotFound, StoreError, TooOften
from cloud.wording import allowed

__all__ = [
    "PROBLEM_RESPONSES",
    "RETRY_AFTER_SECONDS",
    "Fault",
    "Forbidden",
    "Problem",
    "TooMany",
    "Unauthorised",
    "install_problems",
    "respond",
]

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 20
RETRY_AFTER_SECONDS = 5
"""After which what was busy is worth another try."""
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

_STATUS_OF = {NotFound: 404, Conflict: 409, Invalid: 422, StoreError: 503, TooOften: 429, Busy: 503}
_log = logging.getLogger(__name__)


class Unauthorised(Exception):
    """A key that opens this is needed in `Authorization: Bearer …`."""


class Forbidden(Exception):
    """Who asks is known, and may not do this."""


class TooMany(Exception):
    """Too many requests in a minute; `request.state.standing` says when the next is allowed."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="as in `body.latitude` or `query.from`")
    problem: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no venue corner-shop"])
    errors: list[Fault] = Field(default=[], description="each fault of a request that breaks the rules")


_SCHEMA = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, object]] = {
    "4XX": {"description": "The request cannot be served; the problem says why", "content": _SCHEMA},
    "5XX": {"description": "The server cannot serve now", "content": _SCHEMA},
}


def install_problems(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""

    @app.exception_handler(CloudError)
    def _cloud(_request: Request, error: CloudError) -> JSONResponse:
        return _of_cloud_error(error)

    @app.exception_handler(Unauthorised)
    def _unauthorised(_request: Request, _error: Unauthorised) -> JSONResponse:
        detail = "a key that opens this is needed, as `Authorization: Bearer KEY`, or a session"
        return respond(http.HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})

    @app.exception_handler(Forbidden)
    def _forbidden(_request: Request, error: Forbidden) -> JSONResponse:
        return respond(http.HTTPStatus.FORBIDDEN, str(error))

    @app.exception_handler(TooMany)
    def _too_many(request: Request, _error: TooMany) -> JSONResponse:
        detail = f"more than {request.state.standing.limit} a minute; the next is allowed when Retry-After is over"
        return respond(http.HTTPStatus.TOO_MANY_REQUESTS, detail)

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Two dependencies that take the same part of an address find the same fault.
        faults = dict.fromkeys((_where(detail), _problem(detail)) for detail in error.errors())
        named = [Fault(where=where, problem=problem) for where, problem in faults][:MAX_FAULTS]
        return respond(http.HTTPStatus.UNPROCESSABLE_ENTITY, "the request breaks the rules named here", faults=named)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(request))
        return respond(error.status_code, _DETAILS.get(error.status_code, error.detail), headers=headers)

    @app.exception_handler(Exception)
    def _unexpected(request: Request, _error: Exception) -> JSONResponse:
        # whatever it was, the log has it and the caller must not
        detail = "something went wrong in the server; its log says what"
        headers = {**safety_headers(request.scope["scheme"]), "Cache-Control": "no-store"}
        return respond(http.HTTPStatus.INTERNAL_SERVER_ERROR, detail, headers=headers)


def _of_cloud_error(error: CloudError) -> JSONResponse:
    status = _STATUS_OF.get(type(error), 500)
    if isinstance(error, Busy):
        return respond(status, str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, TooOften):
        return respond(status, str(error), headers={"Retry-After": str(max(1, math.ceil(error.wait.total_seconds())))})
    if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return respond(status, str(error))
    _log.error("A request failed: %s", error, extra={"action": "request"})
    return respond(status, "the server cannot use its database right now; its log says why")


def _methods(request: Request) -> list[str]:
    """Every method that the address takes: the router alone names those of one route only."""
    return [method for method in _METHODS if any(_takes(route, method, request) for route in request.app.routes)]


def _takes(route: BaseRoute, method: str, request: Request) -> bool:
    match, _ = route.matches({**request.scope, "method": method})
    return match is Match.FULL


_DETAILS = {
    404: "there is nothing at this address; /api/v1/openapi.json lists what there is",
    405: "this address does not take this method",
}


def respond(
    status: int, detail: str, *, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem as an answer."""
    problem = Problem(title=http.HTTPStatus(status).phrase, status=status, detail=detail, errors=list(faults))
    content = problem.model_dump(exclude_defaults=True) | {"type": problem.type}
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _where(detail: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in detail["loc"])


def _problem(detail: Mapping[str, Any]) -> str:
    if isinstance(detail.get("input"), bytes):
        return "a JSON object, sent with `Content-Type: application/json`"
    return allowed(detail["type"], detail.get("ctx") or {}, message=detail["msg"])
