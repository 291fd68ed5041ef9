"""The pages of admins of all venues: users, keys, and the audit log."""

import http

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from cloud.access.audit import list_audit
from cloud.access.keys import key_expiry_ms, key_name, list_keys, make_key, refuse_limited, revoke_key
from cloud.access.links import make_link
from cloud.access.networks import read_networks
from cloud.access.roles import Grant, Role, checked_grant
from cloud.access.users import add_user, change_grant, list_users, remove_user
from cloud.api.dependencies import Around, CallerInUse, NowMs, ReadSession, TrailInUse
from cloud.api.forms import Fields
from cloud.api.needs import needs
from cloud.api.surroundings import Surroundings
from cloud.api.users import refuse_oneself, with_revoked
from cloud.errors import Conflict, Invalid
from cloud.store.engine import reading, writing
from cloud.venues import list_venues
from cloud.web.rendering import PageRoute, leave_for, render, sentence
from cloud.web.signing import Form

__all__ = ["router"]

router = APIRouter(route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse)
USERS, KEYS, AUDIT = "/users", "/keys", "/audit"
AUDIT_PAGE = 100
MOST_VENUES = 500


@router.get(USERS)
@needs(Role.ADMIN, everywhere=True)
def show_users(request: Request, around: Around) -> Response:
    """Who may sign in."""
    return _users(request, around)


@router.post(USERS)
@needs(Role.ADMIN, everywhere=True)
def add(
    request: Request, around: Around, caller: CallerInUse, now_ms: NowMs, trail: TrailInUse, form: Form
) -> Response:
    """Invite somebody: the link is shown this once."""
    trail.subject = form.one("user")
    try:
        with writing(around.engine) as connection, Session(connection) as session:
            refuse_limited(session, by=caller)
            grant = _grant(session, form)
            row = add_user(session, user=form.one("user"), grant=grant, password_hash=None, now_ms=now_ms)
            user, link = row.user, make_link(session, user=row.user, now_ms=now_ms)
    except (Invalid, Conflict) as error:
        return _users(request, around, status=http.HTTPStatus.UNPROCESSABLE_ENTITY, trouble=sentence(error))
    return _users(request, around, invited=user, link=_address(request, link))


@router.post(f"{USERS}/link")
@needs(Role.ADMIN, everywhere=True)
def renew(
    request: Request, around: Around, caller: CallerInUse, now_ms: NowMs, trail: TrailInUse, form: Form
) -> Response:
    """A new link for somebody who lost the password."""
    user = trail.subject = form.one("user")
    with writing(around.engine) as connection, Session(connection) as session:
        refuse_limited(session, by=caller)
        link = make_link(session, user=user, now_ms=now_ms)
    return _users(request, around, invited=user, link=_address(request, link))


@router.post(f"{USERS}/grant")
@needs(Role.ADMIN, everywhere=True)
def change(request: Request, around: Around, caller: CallerInUse, trail: TrailInUse, form: Form) -> Response:
    """Another role, or other venues."""
    user = trail.subject = form.one("user")
    try:
        refuse_oneself(caller, user=user)
        with writing(around.engine) as connection, Session(connection) as session:
            refuse_limited(session, by=caller)
            revoked = change_grant(session, user=user, grant=_grant(session, form))
    except (Invalid, Conflict) as error:
        return _users(request, around, status=http.HTTPStatus.UNPROCESSABLE_ENTITY, trouble=sentence(error))
    trail.subject = with_revoked(user, revoked)
    return leave_for(USERS)


@router.post(f"{USERS}/remove")
@needs(Role.ADMIN, everywhere=True)
def remove(request: Request, around: Around, caller: CallerInUse, trail: TrailInUse, form: Form) -> Response:
    """Nobody signs in under this name any more."""
    user = trail.subject = form.one("user")
    try:
        refuse_oneself(caller, user=user)
    except Conflict as error:
        return _users(request, around, status=http.HTTPStatus.UNPROCESSABLE_ENTITY, trouble=sentence(error))
    with writing(around.engine) as connection, Session(connection) as session:
        revoked = remove_user(session, user=user)
    trail.subject = with_revoked(user, revoked)
    return leave_for(USERS)


@router.get(KEYS)
@needs(Role.ADMIN, everywhere=True)
def show_keys(request: Request, around: Around) -> Response:
    """The keys of programs."""
    return _keys(request, around)


@router.post(KEYS)
@needs(Role.ADMIN, everywhere=True)
def make(
    request: Request, around: Around, caller: CallerInUse, now_ms: NowMs, trail: TrailInUse, form: Form
) -> Response:
    """Make a key: it is shown this once."""
    trail.subject = form.one("name")
    try:
        with writing(around.engine) as connection, Session(connection) as session:
            made = make_key(
                session,
                name=key_name(form.one("name")),
                grant=_grant(session, form),
                networks=read_networks(form.one("networks").replace(",", " ").split() or None),
                expires_ms=key_expiry_ms(_days(form.one("days")), now_ms=now_ms),
                by=caller,
                now_ms=now_ms,
            )
    except (Invalid, Conflict) as error:
        return _keys(request, around, status=http.HTTPStatus.UNPROCESSABLE_ENTITY, trouble=sentence(error))
    trail.subject = f"{made.id} {form.one('name')}"
    return _keys(request, around, made=made.key)


@router.post(f"{KEYS}/revoke")
@needs(Role.ADMIN, everywhere=True)
def revoke(around: Around, trail: TrailInUse, form: Form) -> Response:
    """Make a key void at once, and the keys that it made."""
    key = trail.subject = form.one("key")
    with writing(around.engine) as connection, Session(connection) as session:
        revoked = revoke_key(session, id_=key.replace("\0", ""))
    trail.subject = with_revoked(key, revoked)
    return leave_for(KEYS)


@router.get(AUDIT)
@needs(Role.ADMIN, everywhere=True)
def show_audit(request: Request, session: ReadSession, before: str | None = None) -> Response:
    """Who did what."""
    entries = list_audit(session, who=None, venue=None, before=before and before.replace("\0", ""), limit=AUDIT_PAGE)
    older = entries[-1].id if len(entries) == AUDIT_PAGE else None
    return render(request, "audit.html", entries=entries, older=older)


def _grant(session: Session, form: Fields) -> Grant:
    try:
        role = Role(form.one("role"))
    except ValueError as error:
        raise Invalid("choose a role") from error
    return checked_grant(session, role=role, venues=None if form.one("reach") == "all" else form.all("venue"))


def _days(text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise Invalid("the days that a key lasts are a whole number, or left out for ever")
    return int(text) if text else None


def _address(request: Request, path: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{path}"


def _users(
    request: Request,
    around: Surroundings,
    *,
    status: int = http.HTTPStatus.OK,
    trouble: str = "",
    invited: str = "",
    link: str = "",
) -> Response:
    with reading(around.engine) as connection, Session(connection) as session:
        users, venues = list_users(session), _venue_names(session)
    shown = {"users": users, "venues": venues, "trouble": trouble, "invited": invited, "link": link}
    return render(request, "users.html", status=status, roles=list(Role), **shown)


def _keys(
    request: Request, around: Surroundings, *, status: int = http.HTTPStatus.OK, trouble: str = "", made: str = ""
) -> Response:
    with reading(around.engine) as connection, Session(connection) as session:
        keys, venues = list_keys(session), _venue_names(session)
    return render(
        request, "keys.html", status=status, keys=keys, venues=venues, roles=list(Role), trouble=trouble, made=made
    )


def _venue_names(session: Session) -> list[tuple[str, str]]:
    rows = list_venues(session, granted=None, archived=False, after=None, limit=MOST_VENUES)
    return [(row.venue, row.name) for row in rows]
