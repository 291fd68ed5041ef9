"""Every route against everybody: what is expected follows from what the route declares."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.routing import Mount

from cloud.access.csrf import form_token
from cloud.access.roles import Grant, Role
from cloud.access.sessions import Lifetime, begin_session
from cloud.access.users import add_user
from cloud.api.guard import GuardedRoute, guarded
from cloud.api.needs import needs, open_to_all
from cloud.settings import Settings
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.tables import Alert
from cloud.store.upsert import insert_rows
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api, Clock, image_bytes
from tests.support.envelopes import NOW, configuration, item, tile, visit
from tests.support.routes import PATH_VALUES, Served, plain_routes, served_routes

HERE, ELSEWHERE = frozenset({"corner-shop"}), frozenset({"other-shop"})
GRANTS = {
    "viewer elsewhere": Grant(role=Role.VIEWER, venues=ELSEWHERE),
    "admin elsewhere": Grant(role=Role.ADMIN, venues=ELSEWHERE),
    "viewer": Grant(role=Role.VIEWER, venues=HERE),
    "analyst": Grant(role=Role.ANALYST, venues=HERE),
    "limited admin": Grant(role=Role.ADMIN, venues=HERE),
    "viewer of all": Grant(role=Role.VIEWER),
    "admin of all": Grant(role=Role.ADMIN),
}
OPEN = {
    "GET /api/v1/health", "POST /api/v1/events", "GET /api/v1/authority", "POST /api/v1/enrolment",
    "POST /api/v1/enrolment/renewal", "GET /sign-in", "POST /sign-in", "GET /welcome", "POST /welcome",
    "GET /favicon.ico",
}  # fmt: skip
SECRETS = ("corner-shop", "Corner shop", "box-1", PATH_VALUES["alert"])
Ask = Callable[..., httpx.Response]


@pytest.fixture
def site(engine: Engine) -> FastAPI:
    """Everything there is in corner-shop, and next to nothing in other-shop."""
    limits = {"requests_per_minute": 10_000, "reports_per_minute": 10_000, "sign_ins_per_minute": 10_000}
    api = Api(engine)
    api.make_venue()
    api.make_venue("other-shop", name="Other shop")
    key = api.make_box()
    api.send(key, configuration(1), visit(2), tile(3), item(4, "telepathy"))
    scale: dict[str, str | float] = {"name": "x", "metres_per_pixel": 0.1, "origin_x_px": 0, "origin_y_px": 0}
    assert api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes(), query=scale).is_success
    alert = {
        "id": PATH_VALUES["alert"], "rule": "capacity-exceeded", "venue": "corner-shop", "subject": "",
        "raised_ms": 0, "last_seen_ms": 0, "value": 2, "threshold": 1,
    }  # fmt: skip
    with writing(engine) as connection, Session(connection) as session:
        insert_rows(connection, Alert, [alert])
        for name, grant in (GRANTS | {"somebody": GRANTS["viewer"]}).items():
            add_user(session, user=name.replace(" ", "-"), grant=grant, password_hash="x", now_ms=0)
    settings = Settings.model_validate({"admin_key": ADMIN_KEY, "access": limits})
    site = create_site(settings, engine, clock=Clock())
    site.state.surroundings.ending.set()
    return site


@pytest.fixture
def ask(site: FastAPI, engine: Engine) -> Ask:
    """A request over TLS from far away, by a user who has just signed in, or by a stranger."""

    async def send(method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://footfall.example") as client:
            return await client.request(method, path, headers=dict(headers))

    def requested(method: str, path: str, *, user: str | None) -> httpx.Response:
        if user is None:
            return asyncio.run(send(method, path, {}))
        lifetime = Lifetime(idle_ms=60_000, absolute_ms=60_000)
        with writing(engine) as connection, Session(connection) as session:
            token, _ = begin_session(
                session, user=user.replace(" ", "-"), address="", browser="", now_ms=to_ms(NOW), lifetime=lifetime
            )
        headers = {"Cookie": f"__Host-footfall={token}", "X-CSRF-Token": form_token(token)}
        return asyncio.run(send(method, path, headers))

    return requested


def routes(site: FastAPI) -> Iterator[Served]:
    """Reading first and deleting last, so that what is asked for is there."""
    yield from sorted(
        served_routes(site), key=lambda route: ("GET", "PATCH", "PUT", "POST", "DELETE").index(route.method)
    )


@ON_SQLITE
def test_nothing_is_served_but_what_the_guard_stands_before(site: FastAPI) -> None:
    for path, route in plain_routes(site):
        assert isinstance(route, GuardedRoute) or (isinstance(route, Mount) and path == "/static"), path
    assert {str(route) for route in routes(site) if route.need.role is None} == OPEN
    assert len(list(routes(site))) > 65


@ON_SQLITE
def test_whoever_changes_something_is_an_admin_or_changes_only_what_is_theirs(site: FastAPI) -> None:
    own = {"POST /sign-out", "POST /account/password", "POST /account/sessions/end"}
    for route in routes(site):
        if route.method != "GET" and str(route) not in OPEN | own:
            assert route.need.role is Role.ADMIN, str(route)
    for route in routes(site):
        if any(part in route.path for part in ("/users", "/keys", "/audit")):
            assert (route.need.role, route.need.everywhere) == (Role.ADMIN, True), str(route)


@ON_SQLITE
def test_a_stranger_gets_nothing_but_the_way_in(site: FastAPI, ask: Ask) -> None:
    for route in routes(site):
        answer = ask(route.method, route.address(), user=None)
        if route.path.startswith(("/api/", "/metrics")) and route.path != "/api/v1/docs":
            expected = 200 if str(route) in {"GET /api/v1/health", "GET /api/v1/authority"} else 401
            assert answer.status_code == expected, str(route)
        elif route.need.role is None:
            # without the cookie and the token of the page a form is nobody's
            assert answer.status_code == (403 if route.method == "POST" else 404 if "welcome" in route.path else 200)
        else:
            assert answer.status_code == 303, str(route)
            assert answer.headers["location"].startswith("/sign-in"), str(route)
        assert not [secret for secret in SECRETS if secret in answer.text], str(route)
    assert ask("GET", "/api/v1/health", user=None).json() == {"status": "ok"}


@ON_SQLITE
@pytest.mark.parametrize("user", GRANTS)
def test_each_route_serves_whom_it_declares(site: FastAPI, ask: Ask, user: str) -> None:
    for route in routes(site):
        answer = ask(route.method, route.address(), user=user)
        expected = _expected(route, GRANTS[user])
        if expected is not None:
            assert answer.status_code == expected, f"{route}: {answer.text}"
        elif route.need.role is not None:
            gone = {404} if route.method != "GET" and "{" not in route.path.replace("{venue}", "") else set()
            gone |= {404} if any(name in route.path for name in ("{user}", "{key}")) else set()
            assert answer.status_code not in {401, 403, 404, 500} - gone, f"{route}: {answer.text}"


@ON_SQLITE
@pytest.mark.parametrize("user", ["viewer elsewhere", "admin elsewhere"])
def test_what_is_not_granted_is_as_if_it_were_not_there(site: FastAPI, ask: Ask, user: str) -> None:
    unknown = {"venue": "no-such-shop", "box": "no-such-box", "alert": "01KAGAGGM0FX3N5V2C8R6T9W4Z"}
    for route in routes(site):
        there, nowhere = (ask(route.method, route.address(**values), user=user) for values in ({}, unknown))
        hidden = there.text
        for name, value in unknown.items():
            hidden = hidden.replace(PATH_VALUES[name], value)
        if any(f"{{{name}}}" in route.path for name in unknown):
            assert (there.status_code, hidden) == (nowhere.status_code, nowhere.text), str(route)
        elif route.method == "GET" and route.path != "/api/v1/openapi.json":  # whose examples are made up
            assert not [secret for secret in SECRETS if secret in there.text], str(route)


def test_a_route_that_declares_nothing_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)

    def forgotten() -> None: ...

    with pytest.raises(TypeError, match="forgotten: declare what it needs"):
        router.get("/figures")(forgotten)
    with pytest.raises(TypeError, match="neither does it name a venue, a box or an alert"):
        router.get("/figures/{figure}")(needs(Role.VIEWER)(forgotten))


def test_a_router_without_the_guard_is_not_served() -> None:
    router = APIRouter()

    @router.get("/figures")
    @open_to_all
    def figures() -> None: ...

    with pytest.raises(TypeError, match="/figures: make its router with route_class=GuardedRoute"):
        guarded(router)


def _expected(route: Served, grant: Grant) -> int | None:
    """What must be answered; None where it is allowed."""
    if route.need.is_for_boxes:
        return 401
    if route.need.role is None:
        return None
    if not grant.role.includes(route.need.role) or (route.need.everywhere and grant.venues is not None):
        return 403
    is_elsewhere = grant.venues == ELSEWHERE
    return 404 if is_elsewhere and any(f"{{{name}}}" in route.path for name in ("venue", "box", "alert")) else None
