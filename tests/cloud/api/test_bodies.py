"""Bodies that are too large, too slow, or of the wrong kind, and what is read of them at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import Engine

from cloud.access.roles import Role
from cloud.api.app import LIMITS
from cloud.api.limits import BodyLimit
from cloud.api.problems import install_problems
from cloud.settings import Settings
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, ON_SQLITE, SITE, Api
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
