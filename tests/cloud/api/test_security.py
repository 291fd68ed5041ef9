import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

import cloud.api
from cloud.api.app import create_app
from cloud.settings import Settings
from cloud.store.engine import writing
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api
from tests.support.envelopes import BOX, visit
from tests.support.routes import PATH_VALUES


def _routes(engine: Engine) -> Iterator[tuple[str, str]]:
    """Every method and path that the application serves, from its own description."""
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY}), engine)
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), re.sub(r"{(\w+)}", lambda name: PATH_VALUES[name[1]], path).removeprefix("/api/v1")


@ON_SQLITE
def test_the_description_hides_no_route(api: Api) -> None:
    """So that walking the description walks every route there is."""
    modules = [importlib.import_module(f"cloud.api.{found.name}") for found in pkgutil.iter_modules(cloud.api.__path__)]
    served = {
        (method, f"/api/v1{route.path}")
        for module in modules
        for route in getattr(getattr(module, "router", None), "routes", ())
        for method in route.methods
    }
    described = {(method.upper(), path) for path, ways in api.app.openapi()["paths"].items() for method in ways}
    assert served == described
    assert len(served) > 30


@pytest.mark.parametrize("key", [None, "", "wrong", ADMIN_KEY[:-1], f"{ADMIN_KEY}x", ADMIN_KEY.upper(), "schlüssel"])
def test_everything_but_what_strangers_may_see_needs_the_right_key(api: Api, device_key: str, key: str | None) -> None:
    open_here = {"/health", "/authority", "/broker/access"}
    routes = [route for route in _routes(api.engine) if key is not None or route[1] not in open_here]
    assert len(routes) > 45
    before = _everything(api)
    patient = Api(api.engine, settings={"access": {"sign_ins_per_minute": 1000}})
    for method, path in routes:
        headers = {"Authorization": f"Bearer {key}".encode()} if key is not None else {}
        response = patient.request(method, path, key=None, headers=headers)
        assert response.status_code == 401, f"{method} {path}"
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["title"] == "Unauthorized"
    assert _everything(api) == before


@ON_SQLITE
def test_a_device_key_opens_nothing_but_its_own_events_and_its_next_certificate(api: Api, device_key: str) -> None:
    patient = Api(api.engine, settings={"access": {"sign_ins_per_minute": 1000}})
    for method, path in _routes(api.engine):
        if path not in {"/events", "/enrolment/renewal"}:
            assert patient.request(method, path, key=device_key).status_code == 401, f"{method} {path}"


@ON_SQLITE
def test_basic_credentials_are_no_key(api: Api) -> None:
    headers = {"Authorization": f"Basic {ADMIN_KEY}"}
    assert api.request("POST", "/venues", key=None, headers=headers, json={}).status_code == 401


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        pytest.param("POST", "/venues", 64 * 1024 + 1, 413, id="a venue of 64 KiB"),
        pytest.param("POST", "/events", 1024 * 1024 + 1, 413, id="an envelope of 1 MiB"),
        pytest.param("PUT", "/venues/corner-shop/plans/ground", 16 * 1024 * 1024 + 1, 413, id="an image of 16 MiB"),
        pytest.param("PUT", "/venues/corner-shop/plans/ground", 1024 * 1024, 422, id="an image that may be read"),
    ],
)
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
def test_more_than_a_request_needs_is_not_read(
    api: Api, device_key: str, method: str, path: str, size: int, status: int, announced: bool
) -> None:
    key = device_key if path == "/events" else ADMIN_KEY
    headers = {} if announced else {"Transfer-Encoding": "chunked"}
    scale: dict[str, str | float] = {"name": "x", "metres_per_pixel": 0.1, "origin_x_px": 0, "origin_y_px": 0}
    query = scale if "/plans/" in path else None
    response = api.request(method, path, key=key, content=b"x" * size, headers=headers, query=query)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    if status == 413:
        assert response.json()["detail"] == f"at most {size - 1} bytes are taken here"


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        pytest.param("GET", "/nothing-here", 404, "Not Found", id="no such address"),
        pytest.param("GET", "/docs", 404, "Not Found", id="no pages from elsewhere"),
        pytest.param("DELETE", "/venues", 405, "Method Not Allowed", id="no such method"),
        pytest.param("GET", "/venues/Not%20A%20Slug", 422, "Unprocessable", id="no slug"),
        pytest.param("GET", "/venues/a%00b", 422, "Unprocessable", id="a NUL"),
        pytest.param("GET", "/venues/..%2F..%2Fetc", 404, "Not Found", id="a path"),
    ],
)
def test_every_error_is_a_problem(api: Api, method: str, path: str, status: int, title: str) -> None:
    response = api.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["title"].startswith(title)
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert set(problem) <= {"type", "title", "status", "detail", "errors"}


@ON_SQLITE
def test_broken_json_is_a_problem(api: Api) -> None:
    response = api.request("POST", "/venues", content=b'{"venue": ', headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["problem"].startswith("JSON; this is none: ")


@ON_SQLITE
def test_what_was_sent_is_not_echoed(api: Api) -> None:
    secret = "hunter2-hunter2"
    response = api.request("POST", "/venues", json={"venue": "a", "name": "a", "timezone": secret, "kind": secret})
    assert response.status_code == 422
    assert secret not in response.text


@ON_SQLITE
def test_a_database_that_fails_is_said_without_its_inside(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with writing(api.engine) as connection:
        connection.execute(text("DROP TABLE held"))
    response = api.get("/held")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert "held" not in response.text
    assert "lacks a table" in caplog.text


@ON_SQLITE
def test_an_error_that_nobody_expected_leaks_nothing(api: Api, device_key: str) -> None:
    """A row that the program would never write: what the status holds is no JSON."""
    with writing(api.engine) as connection:
        connection.execute(text("UPDATE box SET status = 'secret of the inside'"))
    response = api.get(f"/boxes/{BOX}")
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong in the server; its log says what",
    }


def test_health_needs_no_key_and_tells_when_something_last_came(api: Api, device_key: str) -> None:
    quiet = api.read("/health")
    assert (quiet["status"], quiet["boxes"], quiet["last_received"]) == ("ok", 1, None)
    ack = api.send(device_key, visit(1))
    api.clock.now += timedelta(seconds=90)
    after = api.read("/health")
    assert (after["last_received"], after["last_received_age_seconds"]) == ("2026-11-20T12:00:00Z", 90)
    assert after["store"] == ack["store"]


def test_health_of_an_empty_database_is_no_health(empty_engine: Engine) -> None:
    assert Api(empty_engine).get("/health").status_code == 503


def _everything(api: Api) -> list[str]:
    """What the API shows of all that a write could change."""
    paths = ("/venues", "/venues/corner-shop", "/venues/corner-shop/plans", "/boxes", f"/boxes/{BOX}", "/held")
    return [api.get(path).text for path in paths]
