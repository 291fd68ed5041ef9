"""Signing in and out, and the page of a one-time link, on which somebody chooses a password."""

import http
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.links import LINK_PATH, open_link, use_link
from cloud.access.networks import prefix_of
from cloud.access.passwords import check_password
from cloud.access.roles import Role
from cloud.access.sessions import begin_session, end_session
from cloud.access.users import LONGEST_NAME, find_user, has_chief_admin, prove_user, user_name
from cloud.api.dependencies import Around, CallerInUse, CallerOrStranger, NowMs, ReadSession, TrailInUse, WriteSession
from cloud.api.forms import Fields, form_fields
from cloud.api.guard import count_stranger
from cloud.api.needs import needs, open_to_all
from cloud.api.origins import address_of, may_sign_in
from cloud.api.problems import TooMany
from cloud.api.surroundings import Surroundings
from cloud.api.trail import Trail
from cloud.errors import Conflict, Invalid, NotFound
from cloud.store.engine import reading, writing
from cloud.web.rendering import (
    SIGN_IN,
    PageRoute,
    forget_session,
    keep_session,
    leave_for,
    render,
    sentence,
    show_problem,
)

__all__ = ["Form", "router"]

router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)
Form = Annotated[Fields, Depends(form_fields)]


@router.get(SIGN_IN)
@open_to_all
def show_sign_in(request: Request, session: ReadSession, caller: CallerOrStranger) -> Response:
    """The form; whoever is signed in already is led on."""
    wanted = _local_path(request.query_params.get("next", ""))
    if caller is not None and caller.session is not None:
        return leave_for(wanted)
    if not has_chief_admin(session):
        return render(request, "sign-in.html", wanted=wanted, user="", trouble="", is_set_up=False, is_safe=True)
    return _sign_in_page(request, wanted=wanted)


@router.post(SIGN_IN)
@open_to_all
def sign_in(request: Request, around: Around, now_ms: NowMs, trail: TrailInUse, form: Form) -> Response:
    """Sign in, if name and password are right."""
    wanted, user = _local_path(form.one("next")), form.one("user").lower()
    if not may_sign_in(request):
        return _sign_in_page(request, status=http.HTTPStatus.FORBIDDEN, wanted=wanted)
    of_user = f"user {user[:LONGEST_NAME]}"
    _count(request, around, trail, (prefix_of(address_of(request)), of_user), now_ms=now_ms)
    _name_in_log(around.engine, trail, user)
    proved = prove_user(around.engine, around.passwords, user=user, password=SecretStr(form.exact("password")))
    if proved is None:
        trouble = "The name or the password is wrong."
        return _sign_in_page(request, status=http.HTTPStatus.UNAUTHORIZED, wanted=wanted, user=user, trouble=trouble)
    # The address stays counted: else whoever has an account might guess at others' between their own sign-ins.
    around.limits.sign_ins.forgive(of_user)
    return _begin(request, around, trail, user=user, password_hash=proved, wanted=wanted, now_ms=now_ms)


@router.post("/sign-out")
@needs(Role.VIEWER)
def sign_out(request: Request, session: WriteSession, caller: CallerInUse) -> Response:
    """End this session."""
    if caller.session is not None:
        end_session(session, token_sha256=caller.session)
    response = leave_for(SIGN_IN)
    forget_session(request, response)
    return response


@router.get(LINK_PATH)
@open_to_all
def show_link(request: Request, session: ReadSession, now_ms: NowMs, token: str = "") -> Response:
    """Choose a password; looking at the page does not use the link."""
    try:
        link = open_link(session, token=token, now_ms=now_ms)
    except NotFound:
        return _void(request)
    return _welcome(request, token=token, user=link.user)


@router.post(LINK_PATH)
@open_to_all
def take_link(request: Request, around: Around, now_ms: NowMs, trail: TrailInUse, form: Form) -> Response:
    """Keep the password that was chosen, and sign in."""
    token = form.exact("token")
    try:
        with reading(around.engine) as connection, Session(connection) as session:
            link = open_link(session, token=token, now_ms=now_ms)
    except NotFound:
        if request.state.caller is None:
            count_stranger(request)
        return _void(request)
    try:
        name = link.user or user_name(form.one("user"))
        trail.subject = name
        hashed = around.passwords.hash(chosen_password(form, user=name))
        with writing(around.engine) as connection, Session(connection) as session:
            use_link(session, token=token, user=name, password_hash=hashed, now_ms=now_ms)
    except NotFound:
        return _void(request)
    except (Invalid, Conflict) as error:
        status = http.HTTPStatus.UNPROCESSABLE_ENTITY
        typed = form.one("user")
        return _welcome(request, status=status, token=token, user=link.user, typed=typed, trouble=sentence(error))
    return _begin(request, around, trail, user=name, password_hash=hashed, wanted="/", now_ms=now_ms)


def chosen_password(form: Fields, *, user: str) -> SecretStr:
    """The password that was typed twice; raises Invalid."""
    password = form.exact("password")
    check_password(SecretStr(password), user=user)
    if form.exact("again") != password:
        raise Invalid("the two passwords are not the same")
    return SecretStr(password)


def _begin(
    request: Request,
    around: Surroundings,
    trail: Trail,
    *,
    user: str,
    password_hash: str,
    wanted: str,
    now_ms: int,
) -> Response:
    """Sign in whoever proved to be this user by the password of this hash, if it is the user's still."""
    try:
        with writing(around.engine) as connection, Session(connection) as session:
            if request.state.caller is not None and request.state.caller.session is not None:
                end_session(session, token_sha256=request.state.caller.session)
            token, caller = begin_session(
                session,
                user=user,
                password_hash=password_hash,
                address=address_of(request),
                browser=request.headers.get("user-agent", ""),
                now_ms=now_ms,
                lifetime=around.lifetime,
            )
    except (NotFound, Conflict):
        trouble = "The password was changed just now. Sign in again."
        return _sign_in_page(request, status=http.HTTPStatus.UNAUTHORIZED, wanted=wanted, user=user, trouble=trouble)
    trail.who = caller.name
    response = leave_for(wanted)
    keep_session(request, response, token)
    return response


def _count(request: Request, around: Surroundings, trail: Trail, by: tuple[str, ...], *, now_ms: int) -> None:
    """Count an attempt for each of those it is counted by; raises TooMany, which is not even recorded."""
    for name in by:
        request.state.standing = around.limits.sign_ins.take(name, now_ms=now_ms)
        if request.state.standing.is_over:
            trail.is_recorded = False
            raise TooMany


def _name_in_log(engine: Engine, trail: Trail, user: str) -> None:
    """Name who was meant if there is such a user: else it may be a password, typed into the wrong field."""
    try:
        with reading(engine) as connection, Session(connection) as session:
            trail.subject = find_user(session, user=user).user
    except NotFound:
        trail.subject = "a name that nobody has"


def _local_path(text: str) -> str:
    """A path of this site and nothing else, so that nobody is led elsewhere by a link to the sign-in page."""
    is_plain = text.isascii() and text.isprintable() and "\\" not in text
    return text if is_plain and text.startswith("/") and not text.startswith("//") else "/"


def _sign_in_page(
    request: Request, *, wanted: str, status: int = http.HTTPStatus.OK, user: str = "", trouble: str = ""
) -> Response:
    is_safe = may_sign_in(request)
    return render(
        request,
        "sign-in.html",
        status=status,
        wanted=wanted,
        user=user,
        trouble=trouble,
        is_set_up=True,
        is_safe=is_safe,
    )


def _welcome(
    request: Request,
    *,
    token: str,
    user: str | None,
    status: int = http.HTTPStatus.OK,
    typed: str = "",
    trouble: str = "",
) -> Response:
    shown = {"token": token, "user": user, "typed": typed, "trouble": trouble, "is_safe": may_sign_in(request)}
    return render(request, "welcome.html", status=status, **shown)


def _void(request: Request) -> Response:
    text = "It was used already, or is older than a day. An admin can make a new one."
    return show_problem(request, ("This link is void", text), status=http.HTTPStatus.NOT_FOUND)
