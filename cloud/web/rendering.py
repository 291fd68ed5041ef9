"""How a page is made: its templates, the token of its forms, and the errors of its route as pages.

Whoever is not signed in is led to the sign-in page, and from there to where they wanted to go.
"""

import http
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates

from cloud.access.callers import Caller
from cloud.access.csrf import form_token, new_form_secret
from cloud.access.roles import Role
from cloud.api.guard import GuardedRoute
from cloud.api.origins import (
    FORM_COOKIE,
    SESSION_COOKIE,
    cookie_name,
    form_cookie,
    is_https,
    may_sign_in,
    session_cookie,
)
from cloud.api.problems import RETRY_AFTER_SECONDS, Forbidden, TooMany, Unauthorised
from cloud.errors import Busy, CloudError, Invalid, NotFound
from cloud.palette import PALETTE
from cloud.web import bars, wording
from cloud.web.front_end import absent

__all__ = [
    "NOT_HERE",
    "NO_DATA",
    "SIGN_IN",
    "PageRoute",
    "forget_session",
    "keep_session",
    "leave_for",
    "render",
    "sentence",
    "show_problem",
]

FOLDER = Path(__file__).parent
SIGN_IN = "/sign-in"
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
_templates.env.filters |= {"number": wording.number, "moment": wording.moment}

NOT_HERE = ("There is no such place here", "The address may be mistyped, or the venue has another name by now.")
NO_DATA = (
    "The numbers cannot be read right now",
    "The server cannot use its database. Its log says why; try again soon.",
)


class PageRoute(GuardedRoute):
    """A route whose errors are pages, and whose writes are forms."""

    takes_forms = True

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def _handle(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthorised:
                return _to_sign_in(request)
            except (CloudError, Forbidden, RequestValidationError, TooMany) as error:
                return _error_page(request, error)

        return _handle


def render(request: Request, template: str, *, status: int = http.HTTPStatus.OK, **shown: object) -> Response:
    """A page, which nobody keeps."""
    caller: Caller | None = getattr(request.state, "caller", None)
    secret = session_cookie(request) if caller else form_cookie(request)
    fresh = None if secret else new_form_secret()
    around = {**_shown_to(caller), "csrf": form_token(secret or fresh or ""), "path": request.url.path}
    response = _templates.TemplateResponse(request, template, around | shown, status_code=status)
    if fresh and caller is None and may_sign_in(request):
        _set_cookie(request, response, FORM_COOKIE, fresh)
    return response


def show_problem(request: Request, problem: tuple[str, str], *, status: int) -> Response:
    """What went wrong, what to do, and a way on; a browser that nobody has signed in with gets nothing to keep.

    Where the guard has not looked, as at an address that is none, a session's cookie is taken at its word: the way
    that is shown then leads to signing in at worst.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    was_looked_at = hasattr(request.state, "caller")
    is_known = caller is not None if was_looked_at else session_cookie(request) is not None
    shown = {**_shown_to(caller), "problem": problem, "is_known": is_known}
    return _templates.TemplateResponse(request, "problem.html", shown, status_code=status)


def leave_for(path: str) -> Response:
    """To another page, which is asked for by GET."""
    return RedirectResponse(path, status_code=http.HTTPStatus.SEE_OTHER)


def sentence(error: Exception) -> str:
    """An error as a sentence for a page."""
    said = str(error)
    return f"{said[0].upper()}{said[1:]}."


def keep_session(request: Request, response: Response, token: str) -> None:
    """Give the browser its session; it forgets it when it is closed, and the server when it has expired."""
    _set_cookie(request, response, SESSION_COOKIE, token)


def forget_session(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        cookie_name(request, SESSION_COOKIE), path="/", secure=is_https(request), httponly=True, samesite="lax"
    )


def _shown_to(caller: Caller | None) -> dict[str, object]:
    """What the head of a page depends on."""
    is_chief = caller is not None and caller.grant.role is Role.ADMIN and caller.grant.venues is None
    return {"caller": caller, "is_chief": is_chief}


def _set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        cookie_name(request, name), value, path="/", secure=is_https(request), httponly=True, samesite="lax"
    )


def _to_sign_in(request: Request) -> Response:
    wanted = f"{request.url.path}?{request.url.query}".rstrip("?")
    is_page = request.method == "GET" and wanted != "/"
    return leave_for(f"{SIGN_IN}?next={quote(wanted, safe='/')}" if is_page else SIGN_IN)


def _error_page(request: Request, error: Exception) -> Response:
    headers: dict[str, str] = {}
    match error:
        case Busy():
            status, problem = http.HTTPStatus.SERVICE_UNAVAILABLE, ("Too many at once", sentence(error))
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case Forbidden():
            status, problem = http.HTTPStatus.FORBIDDEN, ("This is not for you", sentence(error))
        case TooMany():
            wait = f"Try again in {request.state.standing.reset_seconds} seconds."
            status, problem = http.HTTPStatus.TOO_MANY_REQUESTS, ("Too many at once", wait)
        case NotFound() | RequestValidationError():
            status, problem = http.HTTPStatus.NOT_FOUND, NOT_HERE
        case Invalid():
            status, problem = http.HTTPStatus.UNPROCESSABLE_ENTITY, ("That cannot be done", sentence(error))
        case _:
            _LOG.error("A page cannot be shown: %s", error, extra={"action": "page"})
            status, problem = http.HTTPStatus.SERVICE_UNAVAILABLE, NO_DATA
    response = show_problem(request, problem, status=status)
    response.headers.update(headers)
    return response
