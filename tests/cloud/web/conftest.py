"""The pages over an empty database, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest
from sqlalchemy import Engine

from cloud.settings import Settings
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, SITE, Api

Get = Callable[..., httpx.Response]


@pytest.fixture
def api(engine: Engine) -> Api:
    """The API over the same database, to fill it."""
    return Api(engine)


@pytest.fixture
def get(api: Api) -> Get:
    """A GET of a whole address, with the admin key."""
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), api.engine, clock=api.clock)

    async def ask(path: str, headers: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            return await client.get(path, headers={"Authorization": f"Bearer {ADMIN_KEY}", **headers})

    return lambda path, **headers: asyncio.run(ask(path, headers))
