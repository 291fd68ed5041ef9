"""The one place that decides who comes in. It runs before anything of a request is read but its head.

Who asks, how often they did, whether a page of ours sent it, what their role is, and whether the venue is theirs. What
is not granted does not exist: it answers as if there were no such venue, box or alert.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from sqlmodel import Session

from cloud.access.callers import OWNER, Caller
from cloud.access.keys import PREFIX, caller_of_key, note_key
from cloud.access.networks import prefix_of
from cloud.access.sessions import caller_of_session, note_session
from cloud.api.forms import csrf_token
from cloud.api.needs import RESOLVED, Need, need_of
from cloud.api.origins import (
    SAFE_METHODS,
    address_of,
    form_cookie,
    is_from_our_page,
    is_local,
    session_cookie,
)
from cloud.api.problems import Forbidden, TooMany, Unauthorised
from cloud.api.surroundings import Surroundings
from cloud.api.trail import Trail
from cloud.auth import sha256_of
from cloud.errors import NotFound
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import Alert, Box

__all__ = ["GuardedRoute", "guarded"]


def guarded(router: APIRouter) -> APIRouter:
    """The router, if the guard stands before each of its routes; else TypeError, so that a server does not start."""
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{getattr(route, 'path', route)}: make its router with route_class=GuardedRoute")
    return router


class GuardedRoute(APIRoute):
    """A route that the guard stands before. One that does not declare what it needs cannot be made."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        need = need_of(endpoint)
        unresolved = {part for part in path.split("/") if part.startswith("{")} and not (
            need.everywhere or need.role is None or any(f"{{{name}}}" in path for name in RESOLVED)
        )
        if unresolved:
            raise TypeError(f"{path}: neither does it name a venue, a box or an alert, nor is it for all venues alone")
        if need.role is not None:
            options["openapi_extra"] = {"security": [{"key": []}], **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, need = super().get_route_handler(), need_of(self.endpoint)

        async def _guarded(request: Request) -> Response:
            if not need.is_for_boxes:
                await _admit(request, need)
            return await handle(request)

        return _guarded


async def _admit(request: Request, need: Need) -> None:
    """Let a request in, with `caller` in its state (None for a stranger), or raise why not."""
    around: Surroundings = request.app.state.surroundings
    trail = request.state.trail = _trail(request)
    request.state.caller = None
    caller = await run_sync(_identify, request, around, trail)
    request.state.caller = caller
    is_write = request.method not in SAFE_METHODS
    if caller is not None:
        trail.who = caller.name
        _count(request, around, caller, need)
    trail.is_recorded = is_write and (caller is not None or need.role is None)
    if caller is None and need.role is not None and not (need.is_open_here and is_local(request)):
        raise Unauthorised
    if is_write and (caller is None or caller.session) and not await _has_token(request, caller):
        raise Forbidden("this was not sent by a page of ours, or the page is too old; load it anew and try again")
    if caller is not None and need.role is not None:
        await run_sync(_require, request, around, caller, need)
        trail.is_recorded |= need.is_recorded


def _trail(request: Request) -> Trail:
    params = request.path_params
    return Trail(
        what=f"{request.method} {request.scope['route'].path}",
        address=address_of(request),
        subject=" ".join(str(value) for name, value in params.items() if name != "venue"),
        venue=params.get("venue"),
    )


def _identify(request: Request, around: Surroundings, trail: Trail) -> Caller | None:
    """Who asks; None for a stranger. Raises Unauthorised for a key that opens nothing."""
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        caller = _of_key(request, around, presented.strip())
        if caller is None:
            _count_stranger(request, around)
            trail.is_recorded = True
            raise Unauthorised
        return caller
    token = session_cookie(request)
    return _of_session(around, sha256_of(token)) if token else None


def _of_key(request: Request, around: Surroundings, presented: str) -> Caller | None:
    if around.admin.matches(presented):
        return OWNER
    if not presented.startswith(PREFIX):
        return None
    now_ms = to_ms(around.clock())
    with reading(around.engine) as connection, Session(connection) as session:
        caller = caller_of_key(session, presented=presented, address=address_of(request), now_ms=now_ms)
    if caller is not None and not caller.is_noted:
        with writing(around.engine) as connection, Session(connection) as session:
            note_key(session, id_=caller.key or "", now_ms=now_ms)
    return caller


def _of_session(around: Surroundings, token_sha256: str) -> Caller | None:
    now_ms = to_ms(around.clock())
    with reading(around.engine) as connection, Session(connection) as session:
        caller = caller_of_session(session, token_sha256=token_sha256, now_ms=now_ms, lifetime=around.lifetime)
    if caller is not None and not caller.is_noted:
        with writing(around.engine) as connection, Session(connection) as session:
            note_session(session, token_sha256=token_sha256, now_ms=now_ms)
    return caller


def _count(request: Request, around: Surroundings, caller: Caller, need: Need) -> None:
    """Count a request of a key or a session; the machine's owner is not limited. Raises TooMany."""
    name = caller.session or caller.key
    if name is None:
        return
    now_ms = to_ms(around.clock())
    request.state.standing = around.limits.requests.take(name, now_ms=now_ms)
    if not request.state.standing.is_over and need.is_heavy(request):
        request.state.standing = around.limits.reports.take(name, now_ms=now_ms)
    if request.state.standing.is_over:
        raise TooMany


def _count_stranger(request: Request, around: Surroundings) -> None:
    """Count a wrong key; what comes after too many of an address is not even recorded. Raises TooMany."""
    name = prefix_of(address_of(request))
    request.state.standing = around.limits.wrong_keys.take(name, now_ms=to_ms(around.clock()))
    if request.state.standing.is_over:
        raise TooMany


async def _has_token(request: Request, caller: Caller | None) -> bool:
    secret = session_cookie(request) if caller else form_cookie(request)
    return is_from_our_page(request, token=await csrf_token(request), secret=secret)


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
