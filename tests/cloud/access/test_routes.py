"""Every route against everybody: what is expected follows from what the route declares."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
from cloud.api.needs import BoxProof, needs, open_to_all
from cloud.api.origins import SAFE_METHODS
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
Values = dict[str, Any]
NAMED: Values = {
    "venue": ("corner-shop", "no-such-shop"),
    "venues": (["corner-shop"], ["no-such-shop"]),
    "box": ("box-1", "no-such-box"),
}
"""Parts of a query or a body that name a venue or a box: one that is not granted, and one that never was."""
FILLED: Values = {
    "box": "box-10",
    "venue": "other-shop",
    "venues": ["other-shop"],
    "reason": "unknown-type",
    "role": "viewer",
    "name": "x",
    "user": "eve",
    "timezone": "UTC",
    "kind": "shop",
}
"""What else such a query or body must hold."""
MAKES_ANEW = {("POST /api/v1/boxes", "box")}
"""Ids are unique in a deployment: whoever wants to give one must be told that it is taken."""


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

    async def send(
        method: str, path: str, headers: Mapping[str, str], query: Values | None, body: Values | None
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://footfall.example") as client:
            return await client.request(method, path, headers=dict(headers), params=query or None, json=body or None)

    def requested(
        method: str, path: str, *, user: str | None, query: Values | None = None, body: Values | None = None
    ) -> httpx.Response:
        headers = {} if user is None else _signed_in(engine, user.replace(" ", "-"))
        return asyncio.run(send(method, path, headers, query, body))

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


@ON_SQLITE
@pytest.mark.parametrize("user", ["viewer elsewhere", "admin elsewhere"])
def test_what_is_named_in_a_query_or_a_body_and_not_granted_is_as_if_it_were_not_there(
    site: FastAPI, ask: Ask, engine: Engine, user: str
) -> None:
    Api(engine).make_box("box-9", "other-shop")
    found = list(_named(site.openapi()))
    assert {(place, name) for _, place, name, _ in found} >= {
        ("query", "venue"), ("query", "box"), ("body", "venue"), ("body", "venues"), ("body", "box"),
    }  # fmt: skip
    for route, place, name, others in found:
        if (route, name) in MAKES_ANEW:
            continue
        method, path = route.split(" ")
        address = re.sub(
            r"{(\w+)}", lambda part: (PATH_VALUES | {"box": "box-9", "venue": "other-shop"})[part[1]], path
        )
        texts = []
        for value in NAMED[name]:
            values = {**others, name: [others[name], value] if isinstance(others.get(name), str) else value}
            answer = ask(method, address, user=user, **{place: values})
            assert answer.status_code != 422, f"{route}: fill in what it needs: {answer.text}"
            texts.append((answer.status_code, answer.text.replace(str(NAMED[name][0]), str(NAMED[name][1]))))
        assert texts[0] == texts[1], f"{route}: {name} in the {place}"


@ON_SQLITE
def test_nothing_is_locked_while_a_body_is_waited_for(site: FastAPI, engine: Engine, tmp_path: Path) -> None:
    """So that one who sends slowly keeps nobody else from writing, on whichever route."""
    api = Api(engine, settings={"data_dir": tmp_path})
    device_key, _ = api.make_box("box-7"), api.make_box("box-8")
    looked: list[bool] = []

    async def slowly() -> AsyncIterator[bytes]:
        for piece in (b'{"venue": ', b'"x"}'):
            looked.append(_is_free(engine))
            yield piece

    async def send(route: Served, headers: Mapping[str, str]) -> None:
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://footfall.example") as client:
            query: dict[str, str | float] = {"name": "x", "metres_per_pixel": 0.1, "origin_x_px": 0, "origin_y_px": 0}
            await client.request(
                route.method,
                route.address(),
                headers={"Content-Type": "application/json", **headers},
                content=slowly(),
                params=query if "/plans/" in route.path else None,
            )

    def shown(route: Served) -> Mapping[str, str]:
        match route.need.box_proof:
            case BoxProof.DEVICE_KEY:
                return {"Authorization": f"Bearer {device_key}"}
            case BoxProof.ENROLMENT_CODE:
                return {"Authorization": f"Bearer {api.write('POST', '/boxes/box-8/enrolment-codes')['code']}"}
            case None:
                return _signed_in(engine, "admin-of-all")

    for route in routes(site):
        if route.method not in SAFE_METHODS:
            looked.clear()
            asyncio.run(send(route, shown(route)))
            assert looked == [True, True], str(route)


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


def _named(description: Values) -> Iterator[tuple[str, str, str, Values]]:
    """Each part of a query or a body that names a venue or a box: its route, place and name, and what goes with it.

    Fails for one whose like this test does not know.
    """
    for path, ways in description["paths"].items():
        for method, operation in ways.items():
            if {"key": []} not in operation.get("security", []):
                continue
            asked = [one for one in operation.get("parameters", []) if one["in"] == "query"]
            query = {one["name"]: one["schema"] | {"description": one.get("description", "")} for one in asked}
            needed = [one["name"] for one in asked if one["required"]]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = _resolved(content.get("schema", {}), description)
            for place, parts, required in (
                ("query", query, needed),
                ("body", body.get("properties", {}), body.get("required", [])),
            ):
                for name, schema in parts.items():
                    whole = f"{name} {json.dumps(_expanded(schema, description))}"
                    if name not in NAMED:
                        assert not _NAMES.search(whole), f"{method} {path}: teach this test to fill in {name}"
                        continue
                    others = {other: FILLED[other] for other in required if other != name}
                    if schema.get("type") == "array" and place == "query":
                        others[name] = FILLED[name]
                    yield f"{method.upper()} {path}", place, name, others


_NAMES = re.compile("venue|box|alert")


def _resolved(schema: Values, description: Values) -> Values:
    """A schema itself, where it stands elsewhere."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(description["components"]["schemas"][name]) if name else schema


def _expanded(schema: Values, description: Values) -> Values:
    """The names of all parts of a schema, however deep, and what is said of it."""
    schema = _resolved(schema, description)
    inner = [*schema.get("properties", {}).items(), *(("", one) for one in schema.get("anyOf", []))]
    inner += [("", schema[key]) for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return {"parts": [[name, _expanded(one, description)] for name, one in inner]}


def _expected(route: Served, grant: Grant) -> int | None:
    """What must be answered; None where it is allowed."""
    if route.need.box_proof is not None:
        return 401
    if route.need.role is None:
        return None
    if not grant.role.includes(route.need.role) or (route.need.everywhere and grant.venues is not None):
        return 403
    is_elsewhere = grant.venues == ELSEWHERE
    return 404 if is_elsewhere and any(f"{{{name}}}" in route.path for name in ("venue", "box", "alert")) else None


def _signed_in(engine: Engine, user: str) -> dict[str, str]:
    """What the browser of somebody who has just signed in sends."""
    lifetime = Lifetime(idle_ms=60_000, absolute_ms=60_000)
    with writing(engine) as connection, Session(connection) as session:
        token, _ = begin_session(
            session, user=user, password_hash="x", address="", browser="", now_ms=to_ms(NOW), lifetime=lifetime
        )
    return {"Cookie": f"__Host-footfall={token}", "X-CSRF-Token": form_token(token)}


def _is_free(engine: Engine) -> bool:
    """Whether somebody else could write now."""
    other = sqlite3.connect(engine.url.database or "", timeout=0)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        other.close()
    return True
