import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, QueuePool

from cloud.api import create_app
from cloud.api.surroundings import STREAMS
from cloud.ingest.commit import Committer
from cloud.settings import Settings
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api, Clock
from tests.support.envelopes import NOW, deliver, live
from tests.support.processes import until
from tools.venue_picture import serving

KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


def say(engine: Engine, *payloads: bytes) -> None:
    Committer(engine, lambda: NOW).commit(deliver(*payloads, leaf="live"))


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """The id and data of each event of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            assert fields["event"] == "live"
            yield fields["id"], json.loads(fields["data"])
            fields = {}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def address(engine: Engine, device_key: str, clock: Clock) -> Iterator[str]:
    """The address of the stream of corner-shop, on a real server."""
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY}), engine, clock=clock)
    with serving(app) as root:
        yield f"{root}/api/v1/venues/corner-shop/live"


def test_the_stream_begins_with_what_is_known(api: Api, device_key: str) -> None:
    say(api.engine, live(people=5))
    response = api.get("/venues/corner-shop/live")
    assert response.headers["content-type"].split(";")[0] == "text/event-stream"
    ((_, figures),) = events(iter(response.text.splitlines()))
    assert (figures["people"], figures["freshness"], figures["capacity"]) == (5, "current", None)


def test_who_has_the_newest_is_told_nothing(api: Api, device_key: str) -> None:
    say(api.engine, live(people=5))
    ((first, _),) = events(iter(api.get("/venues/corner-shop/live").text.splitlines()))
    assert "data" not in api.get("/venues/corner-shop/live", {"Last-Event-ID": first}).text
    say(api.engine, live(people=6, at=NOW + timedelta(seconds=1)))
    ((_, figures),) = events(iter(api.get("/venues/corner-shop/live", {"Last-Event-ID": first}).text.splitlines()))
    assert figures["people"] == 6


@ON_SQLITE
def test_there_is_no_stream_of_an_unknown_venue(api: Api) -> None:
    response = api.get("/venues/nowhere/live")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_each_new_word_is_told_and_silence_too(engine: Engine, address: str, clock: Clock) -> None:
    say(engine, live(people=1))
    with httpx.stream("GET", address, headers=KEY, timeout=20) as response:
        told = events(response.iter_lines())
        assert next(told)[1]["people"] == 1
        say(engine, live(people=2, at=NOW + timedelta(seconds=1)))
        assert next(told)[1]["people"] == 2
        clock.now = NOW + timedelta(minutes=10)
        assert next(told)[1]["freshness"] == "stale"


def test_many_listeners_hold_no_connection_to_the_database(engine: Engine, address: str) -> None:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    streams = [httpx.stream("GET", address, headers=KEY, timeout=20) for _ in range(pool.size() + 15)]
    responses = [stream.__enter__() for stream in streams]
    assert {response.status_code for response in responses} == {200}
    until(lambda: pool.checkedout() == 0, seconds=10, what="a moment in which no connection is out")
    for stream in streams:
        stream.__exit__(None, None, None)


@ON_SQLITE
def test_an_open_stream_does_not_keep_the_server_from_ending(engine: Engine, device_key: str) -> None:
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY}), engine)
    with (
        serving(app) as root,
        httpx.stream("GET", f"{root}/api/v1/venues/corner-shop/live", headers=KEY, timeout=20) as response,
    ):
        assert response.status_code == 200
        app.state.surroundings.ending.set()
        began = time.monotonic()
        assert [line for line in response.iter_lines() if line.startswith("event")] == ["event: live"]
        assert time.monotonic() - began < 10


@ON_SQLITE
def test_a_key_has_so_many_streams_at_once_and_another_has_its_own(api: Api, address: str, engine: Engine) -> None:
    key, other = ({"Authorization": f"Bearer {api.make_key('viewer')}"} for _ in range(2))
    with ExitStack() as streams:
        opened = [streams.enter_context(httpx.stream("GET", address, headers=key, timeout=20)) for _ in range(10)]
        assert {response.status_code for response in opened} == {200}
        refused = httpx.get(address, headers=key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.headers["content-type"] == "application/problem+json"
        assert streams.enter_context(httpx.stream("GET", address, headers=other, timeout=20)).status_code == 200

    def opens() -> bool:
        with httpx.stream("GET", address, headers=key, timeout=20) as response:
            return response.status_code == 200

    until(opens, seconds=20, what="the places of streams that were closed")


@ON_SQLITE
def test_where_all_places_are_taken_it_is_said_when_to_come_again(api: Api, device_key: str) -> None:
    streams = api.app.state.surroundings.limits.streams
    for number in range(STREAMS):
        streams.take(number)
    refused = api.get("/venues/corner-shop/live")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    streams.leave(0)
    for _ in range(2):  # the first has given its place back
        assert api.get("/venues/corner-shop/live").status_code == 200
    assert api.get("/venues/nowhere/live").status_code == 404
    assert api.get("/venues/corner-shop/live").status_code == 200
