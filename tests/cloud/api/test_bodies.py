"""Bodies that are too large, too slow, or of the wrong kind, and what is read of them at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request
from sqlalchemy import Engine

from cloud.access.roles import Role
from cloud.api.app import LIMITS
from cloud.api.limits import BodyLimit
from cloud.api.problems import install_problems
from cloud.settings import Settings
from cloud.web import create_site
from edge.enrolment.identity import make_request
from tests.support.api import ADMIN_KEY, ON_SQLITE, SITE, Api
from tests.support.envelopes import BOX, VENUE, envelope, visit
from tests.support.visitor import Visitor, add_person

PLAN = "/api/v1/venues/corner-shop/plans/ground"
LARGE, USUAL = 16 * 1024 * 1024, 64 * 1024


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        pytest.param("PUT", PLAN, LARGE, id="a plan"),
        pytest.param("DELETE", PLAN, USUAL, id="no plan to take"),
        pytest.param("PUT", f"{PLAN}/image", USUAL, id="below a plan"),
        pytest.param("POST", "/sign-in/plans/x", USUAL, id="a page with such a name in it"),
        pytest.param("PUT", "/api/v1/venues/a/b/plans/ground", USUAL, id="no such route"),
        pytest.param("POST", "/api/v1/events", 1024 * 1024, id="an envelope"),
        pytest.param("POST", "/api/v1/events/more", USUAL, id="below the events"),
        pytest.param("POST", "/sign-in", USUAL, id="a form"),
    ],
)
def test_each_route_has_the_limit_of_its_own(method: str, path: str, limit: int) -> None:
    assert LIMITS.of(method, path) == limit


@pytest.mark.parametrize(
    ("pauses", "status"),
    [
        pytest.param([0.0, 0.0], 200, id="at once"),
        pytest.param([5.0], 408, id="never begun"),
        pytest.param([0.0, 5.0], 408, id="begun and left"),
        pytest.param([0.1] * 20, 408, id="drop by drop"),
    ],
)
def test_a_body_is_not_waited_for_longer_than_a_slow_line_takes(pauses: list[float], status: int) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for pause in pauses:
            await asyncio.sleep(pause)
            yield b"x"

    assert asyncio.run(_sent(slowly(), patience=0.4)) == status


def test_a_large_body_has_the_longer_the_more_has_come() -> None:
    async def steadily() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield b"x" * 4096

    assert asyncio.run(_sent(steadily(), patience=0.3)) == 200


@ON_SQLITE
def test_of_those_who_may_not_send_it_nothing_is_read(api: Api, engine: Engine) -> None:
    api.make_venue()
    add_person(engine)
    add_person(engine, "bob", role=Role.VIEWER)
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), engine, clock=api.clock)
    bob = Visitor(site)
    bob.sign_in("bob")
    headers = {"Cookie": f"footfall={bob.cookies['footfall']}", "X-CSRF-Token": bob.token("/account")}
    keys = {
        name: {"Authorization": f"Bearer {key}"} for name, key in (("viewer", api.make_key("viewer")), ("wrong", "x"))
    }
    for sent in ({}, headers, {**headers, "X-CSRF-Token": ""}, *keys.values()):
        for method, path in (
            ("PUT", PLAN),
            ("POST", "/api/v1/events"),
            ("POST", "/api/v1/enrolment"),
            ("POST", "/users"),
        ):
            assert asyncio.run(_untouched(site, method, path, sent)), (method, path, sent)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/keys", 401, id="a key that was revoked"),
        pytest.param(f"/boxes/{BOX}/key", 404, id="a box that was moved away"),
        pytest.param("/enrolment/renewal", 401, id="a box that was enrolled anew"),
        pytest.param("/events", 401, id="a box with another key"),
        pytest.param("/users", 403, id="a user who may do less"),
    ],
)
def test_who_is_shut_out_while_the_body_is_awaited_stays_out(
    api: Api, engine: Engine, device_key: str, tmp_path: Path, path: str, status: int
) -> None:
    chief, here = api.make_key("admin"), api.make_key("admin", VENUE)
    add_person(engine)
    settings = Settings.model_validate({"admin_key": ADMIN_KEY, "data_dir": tmp_path})
    site = create_site(settings, engine, clock=api.clock)
    ada = Visitor(site)
    ada.sign_in()
    shown: dict[str, dict[str, str]] = {
        "/keys": {"Authorization": f"Bearer {chief}"},
        f"/boxes/{BOX}/key": {"Authorization": f"Bearer {here}"},
        "/users": {"Cookie": f"footfall={ada.cookies['footfall']}", "X-CSRF-Token": ada.token("/account")},
    }
    bodies: dict[str, bytes] = {
        "/keys": b'{"name": "later", "role": "admin", "venues": null}',
        "/enrolment/renewal": json.dumps({"request": make_request().pem}).encode(),
        "/events": envelope([visit(1)]),
        "/users": b'{"user": "eve", "role": "admin", "venues": null}',
    }

    def shut_out() -> None:
        match path:
            case "/keys":
                api.request("DELETE", f"/keys/{chief[3:15]}")
            case "/users":
                api.write("PUT", "/users/ada/grant", {"role": "viewer", "venues": None})
            case "/enrolment/renewal":
                api.write("POST", f"/boxes/{BOX}/revocation")
                code = api.write("POST", f"/boxes/{BOX}/enrolment-codes")["code"]
                enrolled = api.request("POST", "/enrolment", key=code, json={"request": make_request().pem})
                assert enrolled.status_code == 201
            case "/events":
                api.write("POST", f"/boxes/{BOX}/key")
            case _:
                api.make_venue("other")
                api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "other"})

    headers = {"Content-Type": "application/json", **shown.get(path, {"Authorization": f"Bearer {device_key}"})}
    answer = asyncio.run(_late(site, f"/api/v1{path}", headers, bodies.get(path, b""), meanwhile=shut_out))
    assert answer.status_code == status, answer.text
    what = f"POST {path.replace(BOX, '{box}')}"
    told = [one["outcome"] for one in api.read("/audit")["entries"] if one["what"] == what and one["who"] != "owner"]
    assert told == ["refused"], "once, though it was decided twice"


async def _late(
    app: FastAPI, path: str, headers: Mapping[str, str], body: bytes, *, meanwhile: Callable[[], None]
) -> httpx.Response:
    """The answer to a request whose body comes only after something else has happened."""

    async def content() -> AsyncIterator[bytes]:
        await run_sync(meanwhile)
        yield body

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as client:
        return await client.post(path, headers=dict(headers), content=content())


async def _untouched(site: FastAPI, method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether a request was answered without a look at its body."""
    is_untouched = True

    async def content() -> AsyncIterator[bytes]:
        nonlocal is_untouched
        is_untouched = False
        yield b"csrf=x"

    transport = httpx.ASGITransport(app=site)
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.request(method, path, headers={**form, **headers}, content=content())
    assert answer.status_code in {303, 401, 403}
    return is_untouched


async def _sent(content: AsyncIterator[bytes], *, patience: float) -> int:
    app = FastAPI()
    app.add_middleware(BodyLimit, limits=LIMITS, patience_seconds=patience)
    install_problems(app)

    @app.post("/")
    async def _take(request: Request) -> int:
        return len(await request.body())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as client:
        answer = await client.post("/", content=content)
    if answer.status_code == 408:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "the body took too long to come"
        assert answer.headers["connection"] == "close"
    return answer.status_code
