"""Signing in and out, by the book and against it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.audit import AuditFigures, list_audit
from cloud.access.links import make_link, make_setup_link, use_link
from cloud.access.passwords import Passwords
from cloud.access.roles import Role
from cloud.access.users import LONGEST_NAME, set_password_hash
from cloud.settings import Settings
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import User, UserSession
from cloud.web import create_site, signing
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api, Clock
from tests.support.envelopes import NOW, rows_of
from tests.support.visitor import PASSWORD, Visitor, add_person

pytestmark = ON_SQLITE
HTTPS = "https://footfall.example"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(engine: Engine, clock: Clock) -> FastAPI:
    return made(engine, clock)


def made(engine: Engine, clock: Clock, **access: object) -> FastAPI:
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY, "access": access}), engine, clock=clock)
    site.state.surroundings.ending.set()
    return site


def log(engine: Engine) -> list[AuditFigures]:
    with reading(engine) as connection, Session(connection) as session:
        return list_audit(session, who=None, venue=None, before=None, limit=100)


def test_a_set_up_link_makes_the_first_admin_who_is_signed_in_at_once(site: FastAPI, engine: Engine) -> None:
    visitor = Visitor(site)
    assert "Nobody can sign in yet" in visitor.get("/sign-in").text
    with writing(engine) as connection, Session(connection) as session:
        link = make_setup_link(session, now_ms=to_ms(NOW)) or ""
    token = link.partition("=")[2]
    short = visitor.fill(link, "/welcome", token=token, user="ada", password="short", again="short")
    assert (short.status_code, "12 to 200 characters" in short.text) == (422, True)
    wrong = visitor.fill(link, "/welcome", token=token, user="ada", password=PASSWORD, again="another")
    assert (wrong.status_code, "not the same" in wrong.text) == (422, True)
    done = visitor.fill(link, "/welcome", token=token, user="Ada", password=PASSWORD, again=PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert visitor.get("/users").status_code == 200
    assert "This link is void" in Visitor(site).get(link).text
    assert Visitor(site).sign_in().status_code == 303


def test_signing_in_leads_to_the_page_that_was_asked_for(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    Api(engine).make_venue()
    visitor = Visitor(site)
    led = visitor.get("/venues/corner-shop")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/venues/corner-shop")
    signed_in = visitor.sign_in(wanted="/venues/corner-shop")
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/venues/corner-shop")
    assert "Corner shop" in visitor.get("/venues/corner-shop").text
    assert visitor.get("/sign-in?next=/keys").headers["location"] == "/keys"


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "evil",
     "/\n/evil.example", "http:evil.example", "//[", "//[::1", "/\t/evil.example", "/%0d%0aSet-Cookie:x=y\r\n", ""],
)  # fmt: skip
def test_nobody_is_led_elsewhere_by_a_link_to_the_sign_in_page(site: FastAPI, engine: Engine, wanted: str) -> None:
    add_person(engine)
    location = Visitor(site).sign_in(wanted=wanted).headers["location"]
    assert location == "/" or (location.startswith("/%0d%0a") and "\r" not in location)


def test_a_wrong_password_and_an_unknown_name_are_told_alike(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    visitor = Visitor(site)
    wrong, unknown = visitor.sign_in(password="wrong horse battery"), visitor.sign_in("bob")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    plain = [re.sub(r'value="[^"]*"', "", answer.text) for answer in (wrong, unknown)]
    assert plain[0].replace(" autofocus", "") == plain[1].replace(" autofocus", "")
    assert "The name or the password is wrong." in plain[0]


def test_whoever_signs_in_with_a_password_that_is_changed_meanwhile_stays_outside(
    site: FastAPI, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(engine)
    matches = Passwords.matches

    def slowly(self: Passwords, password: SecretStr, stored: str | None) -> bool:
        with writing(engine) as connection, Session(connection) as session:
            set_password_hash(session, user="ada", password_hash="new")
        return matches(self, password, stored)

    monkeypatch.setattr(Passwords, "matches", slowly)
    visitor = Visitor(site)
    refused = visitor.sign_in()
    assert (refused.status_code, "The password was changed just now" in refused.text) == (401, True)
    assert visitor.get("/account").status_code == 303
    assert rows_of(engine, UserSession, box=None) == []


def test_a_link_signs_nobody_in_whose_password_is_another_by_then(
    site: FastAPI, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(engine)
    with writing(engine) as connection, Session(connection) as session:
        link = make_link(session, user="ada", now_ms=to_ms(NOW))

    def slowly(session: Session, **fields: Any) -> User:
        row = use_link(session, **fields)
        set_password_hash(session, user="ada", password_hash="new")
        return row

    monkeypatch.setattr(signing, "use_link", slowly)
    visitor = Visitor(site)
    done = visitor.fill(link, "/welcome", token=link.partition("=")[2], password=PASSWORD, again=PASSWORD)
    assert done.status_code == 401
    assert rows_of(engine, UserSession, box=None) == []


def test_the_log_knows_who_tried_but_no_name_that_may_be_a_password(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    visitor = Visitor(site)
    visitor.sign_in(password="wrong horse battery")
    visitor.sign_in("hunter2-hunter2")
    visitor.sign_in()
    found = sorted((one.what, one.who, one.subject, str(one.outcome)) for one in log(engine))
    assert found == [
        ("POST /sign-in", "nobody", "a name that nobody has", "refused"),
        ("POST /sign-in", "nobody", "ada", "refused"),
        ("POST /sign-in", "user ada", "ada", "done"),
    ]
    assert {one.address for one in log(engine)} == {"127.0.0.1"}


def test_attempts_are_limited_by_address_and_by_user(engine: Engine, clock: Clock) -> None:
    add_person(engine)
    site = made(engine, clock, sign_ins_per_minute=3)
    tries = [Visitor(site, origin=HTTPS, address="192.0.2.7").sign_in(f"user{n}").status_code for n in range(4)]
    assert tries == [401, 401, 401, 429]
    tries = [
        Visitor(site, origin=HTTPS, address=f"192.0.2.{n}").sign_in(password="wrong horse battery").status_code
        for n in range(10, 14)
    ]
    assert tries == [401, 401, 401, 429]
    refused = Visitor(site, origin=HTTPS, address="192.0.2.99").sign_in()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert len(log(engine)) == 6
    clock.now += timedelta(minutes=1)
    assert Visitor(site, origin=HTTPS, address="192.0.2.7").sign_in().status_code == 303


def test_of_a_name_no_more_is_remembered_than_a_name_has(engine: Engine, clock: Clock) -> None:
    """Longer ones are nobody's, and count together where they begin alike."""
    add_person(engine)
    site = made(engine, clock, sign_ins_per_minute=3)
    tries = [
        Visitor(site, origin=HTTPS, address=f"192.0.2.{n}").sign_in("x" * LONGEST_NAME + f"{n}" * 1_000).status_code
        for n in range(4)
    ]
    assert tries == [401, 401, 401, 429]


def test_what_strangers_get_wrong_is_limited_by_address_and_not_recorded_beyond(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    bare, visitor = (Visitor(site, origin=HTTPS, address=f"192.0.2.{n}") for n in (1, 2))
    assert [bare.post("/sign-in", {}).status_code for _ in range(12)] == [403] * 10 + [429] * 2
    assert bare.post("/welcome", {"token": "x"}).headers["retry-after"] == "60"
    tries = [visitor.fill("/sign-in", "/welcome", token="x").status_code for _ in range(12)]
    assert tries == [404] * 10 + [429] * 2
    assert visitor.send("/sign-in", b"user=%ff").status_code == 429
    assert len(log(engine)) == 20
    assert bare.sign_in().status_code == 303


def test_ones_own_sign_ins_do_not_make_room_for_guessing_at_others(engine: Engine, clock: Clock) -> None:
    for user in ("ada", "mallory"):
        add_person(engine, user)
    site = made(engine, clock, sign_ins_per_minute=3)
    tried = [("ada", "wrong horse battery"), ("mallory", PASSWORD)] * 2
    tries = [Visitor(site, origin=HTTPS, address="192.0.2.7").sign_in(*one).status_code for one in tried]
    assert tries == [401, 303, 401, 429]
    assert Visitor(site, origin=HTTPS, address="192.0.2.8").sign_in("mallory").status_code == 303


def test_over_tls_the_cookie_is_of_this_host_alone_and_never_told_to_scripts(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    answer = Visitor(site, origin=HTTPS, address="192.0.2.7").sign_in()
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-footfall=")]
    assert re.fullmatch(r"__Host-footfall=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    local = Visitor(site).sign_in()
    (cookie,) = [one for one in local.headers.get_list("set-cookie") if one.startswith("footfall=")]
    assert re.fullmatch(r"footfall=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)
    assert "strict-transport-security" not in local.headers


@pytest.mark.parametrize(
    ("origin", "address", "headers"),
    [
        pytest.param("http://footfall.example", "192.0.2.7", {}, id="over the network"),
        pytest.param("http://127.0.0.1", "127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, id="through an unknown proxy"),
        pytest.param("http://evil.example", "127.0.0.1", {}, id="by a name that was bent to this machine"),
    ],
)
def test_no_password_travels_in_the_open(
    site: FastAPI, engine: Engine, origin: str, address: str, headers: dict[str, str]
) -> None:
    add_person(engine)
    known = Visitor(site)
    known.sign_in()
    visitor = Visitor(site, origin=origin, address=address)
    assert "would travel in the open" in visitor.get("/sign-in", **headers).text
    refused = visitor.post("/sign-in", {"user": "ada", "password": PASSWORD}, **headers)
    assert refused.status_code == 403
    assert not visitor.cookies
    cookie = {"Cookie": f"footfall={known.cookies['footfall']}"}
    assert visitor.get("/account", **headers, **cookie).status_code == 303


def test_a_form_without_its_token_changes_nothing(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    mallory, ada = Visitor(site), Visitor(site)
    assert mallory.post("/sign-in", {"user": "ada", "password": PASSWORD}).status_code == 403
    strange = mallory.token()
    ada.sign_in()
    for fields in ({}, {"csrf": ""}, {"csrf": strange}, {"csrf": "0" * 64}):
        answer = ada.post("/users", {"user": "mallory", "role": "admin", "reach": "all", **fields})
        assert (answer.status_code, "load it anew" in answer.text) == (403, True)
    own = {"csrf": ada.token("/users")}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
                    {"Origin": "null"}, {"Origin": "http://["}):  # fmt: skip
        assert (
            ada.post("/users", {"user": "mallory", "role": "admin", "reach": "all", **own}, **headers).status_code
            == 403
        )
    assert "mallory" not in ada.get("/users").text
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1"}):
        user = f"user-{len(headers)}{next(iter(headers))[0].lower()}"
        assert ada.post("/users", {"user": user, "role": "viewer", "reach": "all", **own}, **headers).status_code == 200
    assert sum(one.who == "user ada" and one.outcome == "refused" for one in log(engine)) == 9


def test_a_session_changes_nothing_over_the_api_without_the_token(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    assert ada.get("/api/v1/venues").status_code == 200
    assert ada.post("/api/v1/venues/x/archive", {}).status_code == 403
    token = {"X-CSRF-Token": ada.token("/account")}
    assert ada.post("/api/v1/venues/x/archive", {"csrf": token["X-CSRF-Token"]}).status_code == 403
    assert ada.post("/api/v1/venues/x/archive", {}, **token).status_code == 404


@pytest.mark.parametrize("body", [b"user=%ff", b"user=a%00b", b"a&" * 3000], ids=["no text", "a NUL", "3000 fields"])
def test_a_form_that_makes_no_sense_is_refused_as_a_page(site: FastAPI, engine: Engine, body: bytes) -> None:
    add_person(engine)
    visitor = Visitor(site)
    visitor.get("/sign-in")
    answer = visitor.send("/sign-in", body)
    assert (answer.status_code, "That cannot be done" in answer.text) == (422, True)


def test_signing_out_ends_the_session_on_the_server(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada, thief = Visitor(site), Visitor(site)
    ada.sign_in()
    thief.cookies.set("footfall", ada.cookies["footfall"])
    assert thief.get("/account").status_code == 200
    assert ada.fill("/account", "/sign-out").headers["location"] == "/sign-in"
    assert "footfall" not in ada.cookies
    assert thief.get("/account").status_code == 303


def test_a_session_that_lies_idle_leads_to_signing_in_again(site: FastAPI, engine: Engine, clock: Clock) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    clock.now += timedelta(hours=11)
    assert ada.get("/account").status_code == 200
    clock.now += timedelta(hours=11)
    assert ada.get("/account").status_code == 200
    clock.now += timedelta(hours=13)
    assert ada.get("/account").headers["location"] == "/sign-in?next=/account"


def test_each_signing_in_has_a_token_of_its_own_and_ends_the_one_before(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    first = ada.cookies["footfall"]
    ada.fill("/account", "/sign-in", user="ada", password=PASSWORD)
    assert ada.cookies["footfall"] != first
    ada.cookies.set("footfall", first)
    assert ada.get("/account").status_code == 303


def test_one_changes_ones_password_and_is_signed_out_everywhere_else(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    here, there = Visitor(site), Visitor(site)
    here.sign_in()
    there.sign_in()
    new = {"password": "another horse battery", "again": "another horse battery"}
    wrong = here.fill("/account", "/account/password", current="wrong horse battery", **new)
    assert (wrong.status_code, "that you have now is another" in wrong.text) == (422, True)
    assert here.fill("/account", "/account/password", current=PASSWORD, **new).status_code == 303
    assert (here.get("/account").status_code, there.get("/account").status_code) == (200, 303)
    assert Visitor(site).sign_in().status_code == 401
    assert Visitor(site).sign_in(password="another horse battery").status_code == 303


def test_one_sees_ones_sessions_and_ends_one(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    here, there = Visitor(site), Visitor(site)
    here.sign_in()
    there.sign_in()
    (session,) = re.findall(r'name="session" value="([0-9a-f]{16})"', here.get("/account").text)
    assert here.fill("/account", "/account/sessions/end", session=session).status_code == 303
    assert (here.get("/account").status_code, there.get("/account").status_code) == (200, 303)


def test_an_admin_invites_somebody_who_chooses_the_password(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    Api(engine).make_venue()
    Api(engine).make_venue("other-shop", name="Other shop")
    ada, bob = Visitor(site), Visitor(site)
    ada.sign_in()
    fields = {"role": "viewer", "reach": "some", "venue": ["corner-shop"]}
    answer = ada.fill("/users", "/users", user="bob", **fields)
    (link,) = re.findall(r"http://127\.0\.0\.1(/welcome\?token=[\w-]+)", answer.text)
    assert bob.fill(link, "/welcome", token=link[15:], password=PASSWORD, again=PASSWORD).status_code == 303
    assert "Corner shop" in bob.get("/").text
    assert "Other shop" not in bob.get("/").text
    assert bob.get("/venues/other-shop").status_code == 404
    assert bob.get("/users").status_code == 403
    assert "Access" not in bob.get("/").text
    ada.fill("/users", "/users/grant", user="bob", role="viewer", reach="all")
    assert "Other shop" in bob.get("/").text
    ada.fill("/users", "/users/remove", user="bob")
    assert bob.get("/").status_code == 303


def test_nobody_shuts_themselves_out(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    for to, fields in (("remove", {}), ("grant", {"role": "viewer", "reach": "all"})):
        answer = ada.fill("/users", f"/users/{to}", user="ada", **fields)
        assert (answer.status_code, "This is you" in answer.text) == (422, True)


def test_a_key_is_made_shown_once_and_revoked(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    fields = {"name": "<b>screen</b>", "role": "viewer", "reach": "all", "days": "30", "networks": "127.0.0.0/8, ::1"}
    made_page = ada.fill("/keys", "/keys", **fields)
    (key,) = re.findall(r"ff_[0-9a-f]{12}_[\w-]{43}", made_page.text)
    api = Api(engine)
    assert api.request("GET", "/me", key=key).json() == {"name": f"key {key[3:15]}", "role": "viewer", "venues": None}
    shown = ada.get("/keys").text
    assert key not in shown
    assert "<b>screen" not in shown
    assert "&lt;b&gt;screen" in shown
    for field, value in (("days", "soon"), ("networks", "shop"), ("role", "king"), ("name", "")):
        assert ada.fill("/keys", "/keys", **{**fields, field: value}).status_code == 422
    ada.fill("/keys", "/keys/revoke", key=key[3:15])
    assert api.request("GET", "/me", key=key).status_code == 401
    made_lines = [one for one in log(engine) if one.what == "POST /keys" and one.outcome == "done"]
    assert [one.subject for one in made_lines] == [f"{key[3:15]} <b>screen</b>"]
    assert key not in str(log(engine))


def test_the_log_is_a_page(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    add_person(engine, "bob", role=Role.ADMIN, venues=frozenset({"corner-shop"}))
    ada, bob = Visitor(site), Visitor(site)
    ada.sign_in()
    bob.sign_in("bob")
    page = ada.get("/audit")
    assert "user bob" in page.text
    assert "POST /sign-in" in page.text
    assert bob.get("/audit").status_code == 403


def test_pages_are_kept_by_nobody(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada = Visitor(site)
    ada.sign_in()
    for path in ("/", "/account", "/users", "/keys", "/audit", "/api/v1/venues"):
        assert ada.get(path).headers["cache-control"] == "no-store"
