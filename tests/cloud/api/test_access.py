"""Keys, rates, networks, proxies, other sites, and what the log says of it, at the rim of the API."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from pydantic import JsonValue
from sqlalchemy import Engine, event, text
from sqlmodel import Session

from cloud.access.callers import Caller
from cloud.access.keys import make_key
from cloud.access.roles import Grant, Role
from cloud.api import create_app
from cloud.devices.codes import find_code
from cloud.settings import Settings
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.web import create_site
from edge.enrolment.identity import make_request
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api, Clock
from tests.support.envelopes import BOX, NOW, JsonObject, item, visit
from tests.support.visitor import Visitor, add_person
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


@ON_SQLITE
def test_all_sessions_of_a_user_are_limited_together(engine: Engine, api: Api) -> None:
    for user in ("ada", "bob"):
        add_person(engine, user)
    settings = Settings.model_validate({"admin_key": ADMIN_KEY, "access": {"requests_per_minute": 5}})
    site = create_site(settings, engine, clock=api.clock)
    here, there, other = Visitor(site), Visitor(site), Visitor(site)
    for visitor, user in ((here, "ada"), (there, "ada"), (other, "bob")):
        assert visitor.sign_in(user).status_code == 303
    assert [one.get("/api/v1/me").status_code for one in (here, there) * 3] == [200] * 5 + [429]
    assert other.get("/api/v1/me").status_code == 200


@ON_SQLITE
def test_wrong_keys_and_codes_of_boxes_are_limited_and_recorded_like_any(api: Api, device_key: str) -> None:
    api.make_box("box-2")
    code = api.write("POST", "/boxes/box-2/enrolment-codes")["code"]
    wrong = code[:9] + "A" * 16 + code[25:]
    shown = [
        ("/events", f"{BOX}.wrong"), ("/events", "wrong"), ("/enrolment/renewal", f"{BOX}.wrong"),
        ("/enrolment", wrong), ("/enrolment", "wrong"),
    ]  # fmt: skip
    statuses = [api.request("POST", path, key=key, content=b"{}").status_code for path, key in shown * 3]
    assert statuses == [401] * 10 + [429] * 5
    assert {what for _, what, *_ in log(api, who="nobody")} == {f"POST {path}" for path, _ in shown}
    assert len(log(api, who="nobody")) == 10
    assert api.request("POST", "/events", key="", content=b"{}").status_code == 401
    api.send(device_key, visit(1))
    asked: JsonValue = {"request": make_request().pem}
    enrolled = api.request("POST", "/enrolment", key=code, json=asked)
    assert enrolled.status_code == 201
    assert api.request("POST", "/enrolment/renewal", key=enrolled.json()["key"], json=asked).status_code == 201
    assert log(api, who="box box-2") == [
        ("box box-2", "POST /enrolment", "box-2", None, "done"),
        ("box box-2", "POST /enrolment/renewal", "box-2", None, "done"),
    ]


@ON_SQLITE
@pytest.mark.parametrize("code", ["wrong", "A" * 8 + "-" + "A" * 16 + "-" + "A" * 26], ids=["no code", "nobody's code"])
def test_a_code_that_nobody_has_locks_nothing(api: Api, engine: Engine, code: str) -> None:
    began = []
    event.listen(engine, "begin", lambda connection: began.append(connection.get_execution_options()))
    assert find_code(engine, code, now=NOW) is None
    assert not [options for options in began if "footfall_writes" in options]


@ON_SQLITE
def test_keys_end_with_the_user_who_made_them_by_whatever_way(api: Api, engine: Engine) -> None:
    """A key that was made by a key is of the same user."""
    for venue in ("corner-shop", "other"):
        api.make_venue(venue)
    for user in ("ada", "eve"):
        api.write("POST", "/users", {"user": user, "role": "admin", "venues": None})
    kept = api.make_key("admin")

    def first_of(user: str, grant: Grant) -> str:
        with writing(engine) as connection, Session(connection) as session:
            return make_key(
                session, name="first", grant=grant, networks=None, expires_ms=None,
                by=Caller(name=f"user {user}", grant=Grant(role=Role.ADMIN), answers=user), now_ms=to_ms(NOW),
            ).key  # fmt: skip

    def made_by(key: str, role: str, *venues: str) -> str:
        wanted: JsonValue = {"name": "second", "role": role, "venues": list(venues) or None}
        return str(api.request("POST", "/keys", key=key, json=wanted).json()["key"])

    def opens(key: str) -> bool:
        return api.request("GET", "/me", key=key).status_code == 200

    within = first_of("ada", Grant(role=Role.VIEWER, venues=frozenset({"corner-shop"})))
    beyond = first_of("ada", Grant(role=Role.ADMIN))
    made_beyond, made_by_that = made_by(beyond, "viewer"), made_by(beyond, "admin")
    made_in_the_end = made_by(made_by_that, "viewer", "corner-shop")
    of_eve = made_by(first_of("eve", Grant(role=Role.ADMIN)), "viewer")
    grant: JsonValue = {"role": "viewer", "venues": ["corner-shop"]}
    changed = api.write("PUT", "/users/ada/grant", grant)
    gone = (beyond, made_beyond, made_by_that, made_in_the_end)
    void = sorted(key[3:15] for key in gone)
    assert (changed["user"], changed["role"], changed["revoked_keys"]) == ("ada", "viewer", void)
    assert [opens(key) for key in (within, *gone, of_eve, kept)] == [True, *[False] * 4, True, True]
    removed = api.request("DELETE", "/users/ada")
    assert (removed.status_code, removed.json()) == (200, {"user": "ada", "revoked_keys": [within[3:15]]})
    assert [opens(key) for key in (within, of_eve, kept)] == [False, True, True]
    told = {subject for _, what, subject, _, _ in log(api) if what.startswith(("PUT /users", "DELETE /users"))}
    assert told == {" ".join(["ada", *(f"key {id_}" for id_ in void)]), f"ada key {within[3:15]}"}


@ON_SQLITE
def test_a_limited_key_makes_no_key_without_limits_and_what_it_made_ends_with_it(api: Api) -> None:
    first = api.make_key("admin", networks=["127.0.0.0/8"], days=30)
    wanted: JsonObject = {"name": "second", "role": "admin", "venues": None}
    assert api.request("POST", "/keys", key=first, json=wanted).status_code == 409
    within: JsonObject = {**wanted, "networks": ["127.0.0.1"], "days": 7}
    second = str(api.request("POST", "/keys", key=first, json=within).json()["key"])
    assert api.request("GET", "/me", key=second).status_code == 200
    assert api.request("DELETE", f"/keys/{first[3:15]}").status_code == 204
    assert api.request("GET", "/me", key=second).status_code == 401
    assert ("owner", "DELETE /keys/{key}", f"{first[3:15]} key {second[3:15]}", None, "done") in log(api)


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
    assert shown["held"] == {"unknown-type": 1}
    (listed,) = api.request("GET", "/boxes", key=there).json()["boxes"]
    assert listed == shown
    assert api.read(f"/boxes/{BOX}")["held"] == {"unknown-type": 2}
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


@ON_SQLITE
@pytest.mark.parametrize("reason", ["unknown-type", "newer-schema", "future", "not-enrolled"])
def test_an_admin_of_a_venue_lets_in_what_is_its_own_alone(api: Api, device_key: str, reason: str) -> None:
    """Of one box that has been in two venues, and of another box in the other."""
    api.make_venue("other")
    other_key = api.make_box("box-2", "other")
    limited = api.make_key("admin", "corner-shop")
    here, there = visit(1, at=NOW + timedelta(hours=2)), {**visit(2, at=NOW + timedelta(hours=2)), "venue": "other"}
    api.send(device_key, here, there)
    api.send(other_key, {**there, "seq": 1}, box="box-2")
    with writing(api.engine) as connection:
        # as if they had been held for this by a version that knew less
        connection.execute(text("UPDATE held SET reason = :reason, due_ms = 0"), {"reason": reason})
    api.clock.now = NOW + timedelta(hours=3)
    decision: JsonValue = {"box": BOX, "reason": reason}
    released = api.request("POST", "/held/release", key=limited, json=decision)
    assert released.json() == {"counted": 1, "discarded": 0}
    assert {(one["box"], one["venue"]) for one in api.read("/held")} == {(BOX, "other"), ("box-2", "other")}


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

    def status(key: str | None = None, *, address: str = "127.0.0.1", origin: str = here, **headers: str) -> int:
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(api.engine, "/metrics", address=address, origin=origin, headers=sent).status_code

    assert status() == 200
    assert status(address="::1", origin="http://[::1]:8080") == 200
    assert status(address="192.0.2.7") == 401
    for header in ("X_Forwarded_For", "X_Forwarded_Proto", "X_Forwarded_Host", "X_Real_IP", "Forwarded", "Via"):
        assert status(**{header: "192.0.2.7"}) == 401, header
    behind = {"trusted_proxies": ["192.0.2.0/24"]}
    assert ask(api.engine, "/metrics", address="127.0.0.1", origin=here, headers={}, access=behind).status_code == 401
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
