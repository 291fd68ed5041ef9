"""One's own account: the password, and where one has signed in."""

import http

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import SecretStr
from sqlmodel import Session

from cloud.access.callers import Caller
from cloud.access.roles import Role
from cloud.access.sessions import end_session_of, list_sessions
from cloud.access.users import prove_user, set_password_hash
from cloud.api.dependencies import Around, CallerInUse, NowMs, TrailInUse, WriteSession
from cloud.api.forms import Fields
from cloud.api.needs import needs
from cloud.api.problems import Forbidden, TooMany
from cloud.api.surroundings import Surroundings
from cloud.errors import Conflict, Invalid
from cloud.store.engine import reading, writing
from cloud.web.rendering import PageRoute, leave_for, render, sentence
from cloud.web.signing import Form, chosen_password
from cloud.web.wording import browser_name

__all__ = ["router"]

router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)
ACCOUNT = "/account"


@router.get(ACCOUNT)
@needs(Role.VIEWER)
def show(request: Request, around: Around, caller: CallerInUse, now_ms: NowMs) -> Response:
    """Who one is, and one's sessions."""
    return _page(request, around, caller, now_ms=now_ms, said=_SAID.get(request.query_params.get("done", ""), ""))


@router.post(f"{ACCOUNT}/password")
@needs(Role.VIEWER)
def change_password(
    request: Request, around: Around, caller: CallerInUse, now_ms: NowMs, trail: TrailInUse, form: Form
) -> Response:
    """Choose another password, which ends all other sessions."""
    user = trail.subject = _user(caller)
    request.state.standing = around.limits.sign_ins.take(f"user {user}", now_ms=now_ms)
    if request.state.standing.is_over:
        raise TooMany
    try:
        proved = _prove(around, user=user, form=form)
        hashed = around.passwords.hash(chosen_password(form, user=user))
        with writing(around.engine) as connection, Session(connection) as session:
            set_password_hash(session, user=user, password_hash=hashed, instead_of=proved, keep=caller.session)
    except (Invalid, Conflict) as error:
        status = http.HTTPStatus.UNPROCESSABLE_ENTITY
        return _page(request, around, caller, now_ms=now_ms, status=status, trouble=sentence(error))
    return leave_for(f"{ACCOUNT}?done=password")


@router.post(f"{ACCOUNT}/sessions/end")
@needs(Role.VIEWER)
def end(session: WriteSession, caller: CallerInUse, trail: TrailInUse, form: Form) -> Response:
    """Sign out somewhere else."""
    trail.subject = form.one("session")
    end_session_of(session, user=_user(caller), id_=form.one("session"))
    return leave_for(f"{ACCOUNT}?done=session")


_SAID = {
    "password": "Your password is changed, and you are signed out everywhere else.",
    "session": "You are signed out there.",
}


def _prove(around: Surroundings, *, user: str, form: Fields) -> str:
    proved = prove_user(around.engine, around.passwords, user=user, password=SecretStr(form.exact("current")))
    if proved is None:
        raise Invalid("the password that you have now is another")
    return proved


def _user(caller: Caller) -> str:
    if caller.user is None:
        raise Forbidden("this page is for people who have signed in")
    return caller.user


def _page(
    request: Request,
    around: Surroundings,
    caller: Caller,
    *,
    now_ms: int,
    status: int = http.HTTPStatus.OK,
    said: str = "",
    trouble: str = "",
) -> Response:
    with reading(around.engine) as connection, Session(connection) as session:
        sessions = list_sessions(
            session, user=_user(caller), this=caller.session, now_ms=now_ms, lifetime=around.lifetime
        )
    rows = [(one, browser_name(one.browser)) for one in sessions]
    return render(request, "account.html", status=status, sessions=rows, said=said, trouble=trouble)
