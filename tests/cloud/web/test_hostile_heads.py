"""Whatever stands in a request's head or query, no route of the site breaks by it."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import Session
from starlette.types import Message

from cloud.access.csrf import form_token
from cloud.access.roles import Grant, Role
from cloud.access.sessions import Lifetime, begin_session
from cloud.access.users import add_user
from cloud.settings import Settings
from cloud.store.engine import open_engine, writing
from cloud.store.moments import to_ms
from cloud.store.schema import migrate
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, Api, Clock
from tests.support.envelopes import NOW, configuration, visit
from tests.support.routes import served_routes

Headers = Sequence[tuple[bytes, bytes]]
_FOLDER = tempfile.TemporaryDirectory(prefix="footfall-heads-")
_ENGINE = open_engine(f"sqlite:///{Path(_FOLDER.name) / 'footfall.sqlite'}")
_SITE = create_site(
    Settings.model_validate({
        "admin_key": ADMIN_KEY,
        "data_dir": _FOLDER.name,
        "access": {
            "requests_per_minute": 1_000_000, "reports_per_minute": 1_000_000, "sign_ins_per_minute": 10_000,
            "trusted_proxies": ["192.0.2.0/24"],
        },
    }),
    _ENGINE,
    clock=Clock(),
)  # fmt: skip
ROUTES = sorted(served_routes(_SITE), key=str)
NAMES = (
    "origin", "referer", "host", "sec-fetch-site", "content-type", "cookie", "authorization", "x-csrf-token",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "if-none-match", "last-event-id", "via",
    "content-length", "accept", "user-agent",
)  # fmt: skip
EVIL = (
    "http://[", "//[", "[", "[::1", "]", "http://[::1]:x", ":", "a:b:c", "http://a:99999", "null", "\xff\xfe", "%",
    "%zz", "%00", "\0", "", "bearer ", "Bearer ff_", "Bearer \xff", "Bearer .", "footfall=", "wss", "https", "-1",
    "footfall=\xff; footfall-form=\xff", "__Host-footfall=x; __Host-footfall=y", "192.0.2.7, [::1", "9" * 30,
    "application/x-www-form-urlencoded; charset=\xff", "application/json; charset=utf-99", "multipart/form-data",
    "same-origin", "localhost", "127.0.0.1",
)  # fmt: skip
PARAMETERS = ("next", "token", "before", "after", "venue", "done", "from", "to", "cursor", "format")
QUERIES = (b"next=//[", b"next=/%ff", b"token=%00", b"\xff", b"venue=%00", b"before=\xfe&after=[", b"from=2026-13-45")
values = st.one_of(st.sampled_from(EVIL), st.text(st.characters(max_codepoint=255), max_size=30)).map(
    lambda text: text.encode("latin-1")
)
heads = st.lists(st.tuples(st.sampled_from(NAMES).map(str.encode), values), max_size=4)
pairs = st.tuples(st.sampled_from(PARAMETERS).map(str.encode), values).map(b"=".join)
queries = st.one_of(st.sampled_from(QUERIES), pairs, st.binary(max_size=20))


@pytest.fixture(autouse=True, scope="module")
def site() -> Iterator[None]:
    """A site with a bit of everything, over a database of this module's own."""
    migrate(_ENGINE)
    api = Api(_ENGINE)
    api.make_venue()
    api.send(api.make_box(), configuration(1), visit(2))
    with writing(_ENGINE) as connection, Session(connection) as session:
        add_user(session, user="ada", grant=Grant(role=Role.ADMIN), password_hash="x", now_ms=0)
    _SITE.state.surroundings.ending.set()
    yield
    _ENGINE.dispose()
    _FOLDER.cleanup()


@pytest.mark.parametrize("who", ["a stranger", "somebody", "the owner"])
@given(head=heads, query=queries, scheme=st.sampled_from(["http", "https"]))
@example(head=[(b"host", b"[")], query=b"", scheme="https")
@example(head=[(b"origin", b"http://[")], query=b"", scheme="https")
@example(head=[], query=b"next=//[", scheme="https")
@example(head=[], query=b"\xff", scheme="http")
@example(head=[(b"accept", b"text/html")], query=b"\xff", scheme="https")
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_head_breaks_a_route(who: str, head: Headers, query: bytes, scheme: str) -> None:
    shown = _shown(who)
    for route in ROUTES:
        status = asyncio.run(_status(route.method, route.address(), [*shown, *head], query, scheme))
        assert status < 500, f"{route} {head} {query!r}"


def _shown(who: str) -> Headers:
    match who:
        case "somebody":
            lifetime = Lifetime(idle_ms=60_000, absolute_ms=60_000)
            with writing(_ENGINE) as connection, Session(connection) as session:
                token, _ = begin_session(
                    session, user="ada", password_hash="x", address="", browser="", now_ms=to_ms(NOW),
                    lifetime=lifetime,
                )  # fmt: skip
            cookie = f"__Host-footfall={token}; footfall={token}".encode()
            return [(b"cookie", cookie), (b"x-csrf-token", form_token(token).encode())]
        case "the owner":
            return [(b"authorization", f"Bearer {ADMIN_KEY}".encode())]
        case _:
            return []


async def _status(method: str, path: str, headers: Headers, query: bytes, scheme: str) -> int:
    """What is answered to a head that no client library would send."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": scheme,
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": list(headers),
        "client": ("192.0.2.7", 1), "server": ("footfall.example", 443),
    }  # fmt: skip
    statuses: list[int] = []
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if is_read:
            await asyncio.Event().wait()  # the caller stays
        is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    try:
        await _SITE(scope, receive, send)
    except Exception:  # noqa: BLE001  the server's own answer to it is a 500, which has been sent
        assert statuses
    return statuses[0]
