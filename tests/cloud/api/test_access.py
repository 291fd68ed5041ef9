"""Keys, rates, networks, proxies, other sites, and what the log says of it, at the rim of the API."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.api import create_app
from cloud.settings import Settings
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api, Clock
from tests.support.envelopes import BOX, NOW, item, visit
from tools.venue_picture import serving

OUTSIDE = "https://footfall.example"


def ask(
    engine: Engine,
    path: str,
    *,
    address: str = "192.0.2.7",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    origin: str = OUTSIDE,
    access: Mapping[str, object] | None = None,
) -> httpx.Response:
    """A request from somewhere, with the admin key unless headers say otherwise."""
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY, "access": access or {}}), engine, clock=Clock())

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=origin) as client:
            sent = {"Authorization": f"Bearer {ADMIN_KEY}"} if headers is None else dict(headers)
            return await client.request(method, path, headers=sent)

    return asyncio.run(send())


def log(api: Api, **query: str | float) -> list[tuple[str, str, str, str | None, str]]:
    entries = api.read("/audit", **query)["entries"]
    return sorted((one["who"], one["what"], one["subject"], one["venue"], one["outcome"]) for one in entries)


def test_a_key_may_ask_a_hundred_times_a_minute_and_is_told_how_that_stands(api: Api) -> None:
    key, other = api.make_key("viewer"), api.make_key("viewer")
    answers = [api.request("GET", "/me", key=key) for _ in range(101)]
    assert [one.status_code for one in answers] == [200] * 100 + [429]
    told = [tuple(one.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")) for one in answers]
    assert (told[0], told[99], told[100]) == (("100", "99", "60"), ("100", "0", "60"), ("100", "0", "60"))
    assert answers[100].headers["retry-after"] == "60"
    assert answers[100].headers["content-type"] == "application/problem+json"
    assert answers[100].json()["detail"] == "more than 100 a minute; the next is allowed when Retry-After is over"
    assert api.request("GET", "/me", key=other).status_code == 200
    api.clock.now += timedelta(minutes=1)
    assert api.request("GET", "/me", key=key).status_code == 200


@ON_SQLITE
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/venues/corner-shop/events?format=csv", id="CSV exports"),
        pytest.param("/venues/corner-shop/heatmap?space=none&format=png", id="heat maps as pictures"),
        pytest.param("/comparison?venue=corner-shop&venue=other", id="comparisons"),
    ],
)
def test_heavy_reports_are_ten_a_minute(api: Api, path: str) -> None:
    api.make_venue()
    api.make_venue("other")
    key = api.make_key("analyst")
    answers = [api.request("GET", path, key=key) for _ in range(11)]
    assert [one.status_code == 429 for one in answers] == [False] * 10 + [True]
    assert answers[0].headers["ratelimit-limit"] == "10"
    assert api.request("GET", "/venues/corner-shop/events", key=key).status_code == 200


@ON_SQLITE
def test_the_owner_and_the_boxes_are_not_limited(api: Api, device_key: str) -> None:
    for seq in range(1, 103):
        assert "ratelimit-limit" not in api.get("/me").headers
        api.send(device_key, visit(seq))


@ON_SQLITE
def test_wrong_keys_are_limited_by_address_and_the_right_one_still_opens(api: Api) -> None:
    statuses = [api.request("GET", "/me", key="ff_0123456789ab_wrong").status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert api.get("/me").status_code == 200
    assert len(log(api, who="nobody")) == 10


def test_lists_show_what_is_granted_and_nothing_of_where_a_box_was_before(api: Api, device_key: str) -> None:
    api.make_venue("other")
    api.make_box("stray", None)
    api.send(device_key, item(1, "telepathy"), {**item(2, "telepathy"), "venue": "other"})
    api.clock.now = NOW + timedelta(minutes=20)
    api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "other"})
    here, there = api.make_key("viewer", "corner-shop"), api.make_key("viewer", "other")

    def seen(path: str, key: str) -> JsonValue:
        found: JsonValue = api.request("GET", path, key=key).json()
        return found

    assert seen("/boxes", here) == {"boxes": [], "next": None}
    assert [group["venue"] for group in api.read("/held")] == ["corner-shop", "other"]
    assert [group["venue"] for group in api.request("GET", "/held", key=there).json()] == ["other"]
    shown = api.request("GET", f"/boxes/{BOX}", key=there).json()
    assert [one["venue"] for one in shown["enrolments"]] == ["other"]
    assert [one["venue"] for one in api.read(f"/boxes/{BOX}")["enrolments"]] == ["corner-shop", "other"]


def test_an_admin_of_a_venue_decides_on_what_is_its_own_alone(api: Api, device_key: str) -> None:
    api.make_venue("other")
    key = api.make_key("admin", "corner-shop")

    def status(method: str, path: str, body: JsonValue = None) -> int:
        return api.request(method, path, key=key, json=body).status_code

    assert status("POST", "/boxes", {"box": "box-9", "venue": "corner-shop"}) == 201
    assert status("POST", "/boxes", {"box": "box-8", "venue": "other"}) == 404
    assert status("POST", "/boxes", {"box": "box-8"}) == 403
    assert status("PUT", f"/boxes/{BOX}/venue", {"venue": "other"}) == 404
    assert status("POST", "/venues", {"venue": "x", "name": "x", "timezone": "UTC", "kind": "shop"}) == 403
    assert status("POST", "/users", {"user": "eve", "role": "admin", "venues": None}) == 403
    api.send(device_key, item(1, "telepathy"), {**item(2, "telepathy"), "venue": "other"})
    decision: JsonValue = {"box": BOX, "reason": "unknown-type"}
    assert api.request("POST", "/held/discard", key=key, json=decision).json()["discarded"] == 1
    assert [group["venue"] for group in api.read("/held")] == ["other"]
    elsewhere = api.make_key("admin", "other")
    for verb in ("release", "discard"):
        assert api.request("POST", f"/held/{verb}", key=elsewhere, json=decision).status_code == 404
    comparison = "/comparison?venue=corner-shop&venue=other"
    assert api.request("GET", comparison, key=key).json()["detail"] == "there is no venue other"


def test_the_log_tells_writes_exports_and_refusals_and_no_reading(api: Api, device_key: str) -> None:
    viewer, analyst = api.make_key("viewer", "corner-shop"), api.make_key("analyst")
    api.request("PATCH", "/venues/corner-shop", key=viewer, json={})
    api.request("GET", "/venues/nowhere/summary", key=viewer)
    api.request("GET", "/venues/corner-shop/summary", key=viewer)
    api.request("GET", "/venues/corner-shop/events?format=csv", key=analyst)
    api.request("PATCH", "/venues/corner-shop", json={"timezone": "Moon"})
    api.request("POST", "/venues", key=None, json={})
    api.send(device_key, visit(1))
    by_viewer, by_analyst = (f"key {key[3:15]}" for key in (viewer, analyst))
    assert log(api) == sorted([
        ("owner", "POST /venues", "", "corner-shop", "done"),
        ("owner", "POST /boxes", "box-1", "corner-shop", "done"),
        ("owner", "POST /keys", f"{viewer[3:15]} viewer", None, "done"),
        ("owner", "POST /keys", f"{analyst[3:15]} analyst", None, "done"),
        ("owner", "PATCH /venues/{venue}", "", "corner-shop", "refused"),
        (by_viewer, "PATCH /venues/{venue}", "", "corner-shop", "refused"),
        (by_viewer, "GET /venues/{venue}/summary", "", "nowhere", "refused"),
        (by_analyst, "GET /venues/{venue}/events", "", "corner-shop", "done"),
    ])  # fmt: skip
    assert len(log(api, who=by_viewer)) == 2
    assert len(log(api, venue="nowhere")) == 1


@ON_SQLITE
def test_metrics_are_told_on_this_machine_and_to_keys_for_all_venues(api: Api) -> None:
    api.make_venue()
    here = "http://localhost:8080"

    def status(
        key: str | None = None, *, address: str = "127.0.0.1", origin: str = here, forwarded: str | None = None
    ) -> int:
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        sent |= {"X-Forwarded-For": forwarded} if forwarded else {}
        return ask(api.engine, "/metrics", address=address, origin=origin, headers=sent).status_code

    assert status() == 200
    assert status(address="::1", origin="http://[::1]:8080") == 200
    assert status(address="192.0.2.7") == 401
    assert status(forwarded="192.0.2.7") == 401
    assert status(origin="http://evil.example") == 401
    assert status(api.make_key("viewer"), address="192.0.2.7") == 200
    assert status(api.make_key("viewer", "corner-shop"), address="192.0.2.7") == 403


@ON_SQLITE
@pytest.mark.parametrize(
    ("address", "status"),
    [("10.1.2.3", 200), ("2001:db8::7", 200), ("192.0.2.7", 403), ("127.0.0.1", 403), ("", 403)],
)
def test_networks_shut_everybody_else_out_with_any_key(engine: Engine, address: str, status: int) -> None:
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    answer = ask(engine, "/api/v1/me", address=address, access={"networks": networks})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (
        ask(engine, "/api/v1/health", address=address, access={"networks": networks}, headers={}).status_code == status
    )


@ON_SQLITE
def test_only_a_trusted_proxy_is_believed_where_a_request_came_from(engine: Engine) -> None:
    networks = ["203.0.113.0/24"]
    told = {"Authorization": f"Bearer {ADMIN_KEY}", "X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
    proxied = {**told, "X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    behind = {"networks": networks, "trusted_proxies": ["192.0.2.0/24"]}
    assert ask(engine, "/api/v1/me", headers=told, access={"networks": networks}).status_code == 403
    assert ask(engine, "/api/v1/me", headers=told, access=behind).status_code == 200
    assert ask(engine, "/api/v1/me", headers=proxied, access=behind).status_code == 200
    forged = {**told, "X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    assert ask(engine, "/api/v1/me", headers=forged, access=behind).status_code == 403
    said, plain = {**told, "X-Forwarded-Proto": "https"}, "http://footfall.example"
    believed = ask(engine, "/api/v1/me", origin=plain, headers=said, access=behind)
    assert "strict-transport-security" in believed.headers
    assert "strict-transport-security" not in ask(engine, "/api/v1/me", origin=plain, headers=said).headers


@ON_SQLITE
def test_other_sites_are_answered_only_if_named_and_never_with_cookies(engine: Engine) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Origin": "https://dashboard.example"}
    preflight = {**headers, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for origins, allowed in (([], None), (["https://other.example"], None), ([headers["Origin"]], headers["Origin"])):
        answer = ask(engine, "/api/v1/me", headers=headers, access={"cors_origins": origins})
        assert answer.headers.get("access-control-allow-origin") == allowed
        asked = ask(engine, "/api/v1/me", headers=preflight, method="OPTIONS", access={"cors_origins": origins})
        assert asked.headers.get("access-control-allow-origin") == allowed
        for one in (answer, asked):
            assert "access-control-allow-credentials" not in one.headers


@ON_SQLITE
@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/nothing", "/api/v1/health", "/metrics"])
@pytest.mark.parametrize("headers", [None, {}], ids=["with a key", "a stranger"])
def test_every_answer_has_the_headers_that_keep_browsers_safe(
    engine: Engine, path: str, headers: Mapping[str, str] | None
) -> None:
    found = ask(engine, path, headers=headers).headers
    assert found["strict-transport-security"] == "max-age=31536000"
    assert found["x-content-type-options"] == "nosniff"
    assert found["x-frame-options"] == "DENY"
    assert found["referrer-policy"] == "same-origin"
    assert found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in found["permissions-policy"]
    assert "frame-ancestors 'none'" in found["content-security-policy"]
    assert found["cache-control"] == "no-store"
    assert "strict-transport-security" not in ask(engine, path, headers=headers, origin="http://localhost").headers


@ON_SQLITE
def test_a_stream_ends_when_its_key_is_revoked(api: Api, device_key: str) -> None:
    key = api.make_key("viewer", "corner-shop")
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY}), api.engine, clock=api.clock)
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serving(app) as root,
        httpx.stream("GET", f"{root}/api/v1/venues/corner-shop/live", headers=headers, timeout=20) as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "event: live"
        api.request("DELETE", f"/keys/{key[3:15]}")
        assert [line for line in lines if line.startswith("event")] == []
