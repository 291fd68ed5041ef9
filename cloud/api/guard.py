"""The one place that decides who comes in. It runs before anything of a request is read but its head.

Who asks, how often they did, what their role is, whether the venue is theirs, and whether a page of ours sent it. What
is not granted does not exist: it answers as if there were no such venue, box or alert. Only then the body is read, all
of it and before anything is opened for the request, so that a slow sender holds nothing that others wait for. Who was
shut out while we waited for it is found out before the route begins.
"""

import http
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cloud.access.callers import OWNER, Caller
from cloud.access.csrf import is_form_token
from cloud.access.networks import prefix_of
from cloud.api.dependencies import committing
from cloud.api.forms import form_token_of, header_token
from cloud.api.identification import caller_of_cookie, caller_of_shown_key, identify_box, shown_key
from cloud.api.needs import RESOLVED, BoxProof, Need, need_of
from cloud.api.origins import SAFE_METHODS, address_of, form_cookie, is_local, is_same_site, session_cookie
from cloud.api.problems import Forbidden, TooMany, Unauthorised
from cloud.api.surroundings import Surroundings
from cloud.api.trail import Trail
from cloud.errors import Invalid, NotFound
from cloud.store.engine import reading
from cloud.store.moments import to_ms
from cloud.store.tables import Alert, Box

__all__ = ["GuardedRoute", "count_stranger", "guarded"]

_NOT_OURS = "this was not sent by a page of ours, or the page is too old; load it anew and try again"


def guarded(router: APIRouter) -> APIRouter:
    """The router, if the guard stands before each of its routes; else TypeError, so that a server does not start."""
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{getattr(route, 'path', route)}: make its router with route_class=GuardedRoute")
    return router


class GuardedRoute(APIRoute):
    """A route that the guard stands before. One that does not declare what it needs cannot be made."""

    takes_forms: ClassVar[bool] = False
    """Whether the token of our pages may come in a form's field, or in the header alone."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        need = need_of(endpoint)
        unresolved = {part for part in path.split("/") if part.startswith("{")} and not (
            need.everywhere or need.role is None or any(f"{{{name}}}" in path for name in RESOLVED)
        )
        if unresolved:
            raise TypeError(f"{path}: neither does it name a venue, a box or an alert, nor is it for all venues alone")
        if need.role is not None:
            options["openapi_extra"] = {"security": [{"key": []}], **(options.get("openapi_extra") or {})}
        super().__init__(path, committing(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, need = super().get_route_handler(), need_of(self.endpoint)

        async def _guarded(request: Request) -> Response:
            _require_readable(request)
            request.state.trail, request.state.caller = _trail(request), None
            if need.box_proof is None:
                await _admit(request, need, takes_forms=self.takes_forms)
            else:
                await run_sync(_admit_box, request, need, need.box_proof)
            if request.method not in SAFE_METHODS:
                await _read_body(request)
                await run_sync(_admit_again, request, need)
            return await handle(request)

        return _guarded


def count_stranger(request: Request) -> None:
    """Count what a stranger got wrong, and have it recorded; raises TooMany, which is not even recorded."""
    around: Surroundings = request.app.state.surroundings
    trail: Trail = request.state.trail
    trail.is_recorded = False
    request.state.standing = around.limits.strangers.take(prefix_of(address_of(request)), now_ms=to_ms(around.clock()))
    if request.state.standing.is_over:
        raise TooMany
    trail.is_recorded = True


def _require_readable(request: Request) -> None:
    """Raise unless the address is text that has parts, as everything behind this takes for granted."""
    try:
        _ = request.url.components
    except ValueError as error:
        raise HTTPException(http.HTTPStatus.BAD_REQUEST, "the address cannot be read") from error


async def _admit(request: Request, need: Need, *, takes_forms: bool) -> None:
    """Let a request in, with `caller` in its state (None for a stranger), or raise why not."""
    around: Surroundings = request.app.state.surroundings
    trail: Trail = request.state.trail
    caller = request.state.caller = await run_sync(_identify, request, around)
    is_write = request.method not in SAFE_METHODS
    if caller is not None:
        trail.who = caller.name
        _count(request, around, caller, need)
        trail.is_recorded = is_write
    if caller is None and need.role is not None and not (need.is_open_here and is_local(request)):
        raise Unauthorised
    if caller is not None and need.role is not None:
        await run_sync(_require, request, around, caller, need)
        trail.is_recorded |= need.is_recorded
    if is_write and (caller is None or caller.session):
        try:
            await _require_token(request, caller, takes_forms=takes_forms)
        except (Forbidden, Invalid):
            if caller is None:
                count_stranger(request)
            raise
        trail.is_recorded = True


def _admit_box(request: Request, need: Need, proof: BoxProof) -> None:
    """Let a box in, with what it showed in the request's state, or raise why not."""
    trail: Trail = request.state.trail
    presented = shown_key(request)
    box = identify_box(request, request.app.state.surroundings, proof, presented) if presented else None
    if box is None:
        if presented:
            count_stranger(request)
        raise Unauthorised
    trail.who, trail.subject, trail.is_recorded = f"box {box}", box, need.is_recorded


def _admit_again(request: Request, need: Need) -> None:
    """Decide anew by what holds now, counting nothing twice; raises as at first. Who came as a stranger stays one."""
    around: Surroundings = request.app.state.surroundings
    trail: Trail = request.state.trail
    if need.box_proof is not None:
        if identify_box(request, around, need.box_proof, shown_key(request) or "") is None:
            trail.is_recorded = True
            raise Unauthorised
    elif request.state.caller is not None:
        caller = request.state.caller = _caller_of(request, around)
        if caller is None:
            raise Unauthorised
        if need.role is not None:
            _require(request, around, caller, need)


async def _read_body(request: Request) -> None:
    """Read the whole body, which the request keeps for its route."""
    try:
        await request.body()
    except ClientDisconnect as error:
        raise HTTPException(http.HTTPStatus.BAD_REQUEST, "the body did not come to its end") from error


def _trail(request: Request) -> Trail:
    params = request.path_params
    return Trail(
        what=f"{request.method} {request.scope['route'].path}",
        address=address_of(request),
        subject=" ".join(str(value) for name, value in params.items() if name != "venue"),
        venue=params.get("venue"),
    )


def _identify(request: Request, around: Surroundings) -> Caller | None:
    """Who asks; None for a stranger. Raises Unauthorised for a key that opens nothing."""
    caller = _caller_of(request, around)
    if caller is None and shown_key(request) is not None:
        count_stranger(request)
        raise Unauthorised
    return caller


def _caller_of(request: Request, around: Surroundings) -> Caller | None:
    presented = shown_key(request)
    return caller_of_cookie(request, around) if presented is None else caller_of_shown_key(request, around, presented)


def _count(request: Request, around: Surroundings, caller: Caller, need: Need) -> None:
    """Count a request of a key, or of a user by whichever session; the machine's owner is not limited.

    Raises TooMany.
    """
    if caller == OWNER:
        return
    now_ms = to_ms(around.clock())
    request.state.standing = around.limits.requests.take(caller.name, now_ms=now_ms)
    if not request.state.standing.is_over and need.is_heavy(request):
        request.state.standing = around.limits.reports.take(caller.name, now_ms=now_ms)
    if request.state.standing.is_over:
        raise TooMany


async def _require_token(request: Request, caller: Caller | None, *, takes_forms: bool) -> None:
    """Raise Forbidden, or Invalid for a form that cannot be read, unless a page of ours sent it.

    By the browser's own word, and by the token that only such a page has.
    """
    secret = session_cookie(request) if caller else form_cookie(request)
    if secret is None or not is_same_site(request):
        raise Forbidden(_NOT_OURS)
    token = await form_token_of(request) if takes_forms else header_token(request)
    if not is_form_token(token, secret=secret):
        raise Forbidden(_NOT_OURS)


def _require(request: Request, around: Surroundings, caller: Caller, need: Need) -> None:
    """Raise Forbidden or NotFound unless the caller's grant is enough. Either stands in the audit log."""
    trail: Trail = request.state.trail
    was_recorded, trail.is_recorded = trail.is_recorded, True
    if need.role is not None and not caller.grant.role.includes(need.role):
        raise Forbidden(f"this takes the role {need.role}; yours is {caller.grant.role}")
    if need.everywhere and caller.grant.venues is not None:
        raise Forbidden("this takes a grant of all venues; yours is of some")
    if caller.grant.venues is not None:
        with reading(around.engine) as connection, Session(connection) as session:
            _require_venue(session, request.path_params, caller)
    trail.is_recorded = was_recorded


def _require_venue(session: Session, params: Mapping[str, Any], caller: Caller) -> None:
    """The first that the path names decides: a camera's path names its venue and then its box."""
    for name, venue_of in (("venue", None), ("box", _venue_of_box), ("alert", _venue_of_alert)):
        if name in params:
            asked = str(params[name])
            if not caller.grant.covers(venue_of(session, asked.replace("\0", "")) if venue_of else asked):
                raise NotFound(f"there is no {name} {asked}")
            return


def _venue_of_box(session: Session, box: str) -> str | None:
    row = session.get(Box, box)
    return row.venue if row else None


def _venue_of_alert(session: Session, alert: str) -> str | None:
    row = session.get(Alert, alert)
    return row.venue if row else None
