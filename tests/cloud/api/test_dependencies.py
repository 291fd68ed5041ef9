"""However many ask a real server at once, nobody waits for what only those can give back who wait too."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue
from sqlalchemy import Engine
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.api.dependencies import READERS
from cloud.settings import Settings
from cloud.store.engine import MOST_CONNECTIONS, reading, writing
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, Api
from tests.support.envelopes import VENUE
from tests.support.processes import until
from tools.venue_picture import serving

CROWD = 80
"""More than the server has threads and connections to its database together."""
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


class Counting:
    """Counts in `arrivals` what comes to the site."""

    def __init__(self, app: ASGIApp, *, arrivals: list[str]) -> None:
        self._app = app
        self._arrivals = arrivals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._arrivals.append(scope["path"])
        await self._app(scope, receive, send)


def statuses_of_crowd(engine: Engine, folder: Path, method: str, path: str, bodies: list[JsonValue]) -> list[int]:
    """What a crowd is answered that has come before the database had a connection to spare."""
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY, "data_dir": folder}), engine)
    arrivals: list[str] = []
    site.add_middleware(Counting, arrivals=arrivals)

    async def ask(root: str) -> list[int]:
        limits = httpx.Limits(max_connections=CROWD)
        async with httpx.AsyncClient(base_url=root, headers=KEY, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(*(client.request(method, path, json=body) for body in bodies))
        return [answer.status_code for answer in answers]

    with serving(site) as root, ThreadPoolExecutor(1) as crowd, ExitStack() as held:
        held.enter_context(writing(engine))
        for _ in range(MOST_CONNECTIONS - 1):
            held.enter_context(reading(engine))
        asked = crowd.submit(asyncio.run, ask(root))
        until(lambda: len(arrivals) == len(bodies), seconds=20, what="the crowd to come")
        held.close()
        return asked.result()


@pytest.mark.parametrize("path", ["/sign-in", "/venues/corner-shop", "/api/v1/venues/corner-shop/summary"])
def test_a_crowd_that_reads_is_answered_to_the_last(api: Api, engine: Engine, tmp_path: Path, path: str) -> None:
    api.make_venue(VENUE)
    assert set(statuses_of_crowd(engine, tmp_path, "GET", path, [None] * CROWD)) == {200}


def test_a_crowd_that_writes_is_answered_to_the_last(engine: Engine, tmp_path: Path) -> None:
    venues: list[JsonValue] = [
        {"venue": f"shop-{number}", "name": "Shop", "timezone": "Europe/Berlin", "kind": "shop"}
        for number in range(CROWD)
    ]
    assert set(statuses_of_crowd(engine, tmp_path, "POST", "/api/v1/venues", venues)) == {201}


def test_readers_leave_connections_to_others() -> None:
    assert 0 < READERS < MOST_CONNECTIONS
