"""A browser without a screen: it keeps its cookies, fills in forms, and does not follow redirects."""

import asyncio
import re
from collections.abc import Mapping

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.passwords import Passwords
from cloud.access.roles import Grant, Role
from cloud.access.users import add_user
from cloud.store.engine import writing

__all__ = ["PASSWORD", "Visitor", "add_person"]

PASSWORD = "correct horse battery"


def add_person(
    engine: Engine, user: str = "ada", *, role: Role = Role.ADMIN, venues: frozenset[str] | None = None
) -> None:
    """Somebody who may sign in."""
    hashed = Passwords().hash(SecretStr(PASSWORD))
    with writing(engine) as connection, Session(connection) as session:
        add_user(session, user=user, grant=Grant(role=role, venues=venues), password_hash=hashed, now_ms=0)


class Visitor:
    """Asks a site for pages."""

    def __init__(self, site: FastAPI, *, origin: str = "http://127.0.0.1", address: str = "127.0.0.1") -> None:
        self.cookies = httpx.Cookies()
        self._site = site
        self._origin = origin
        self._address = address

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page."""
        return asyncio.run(self._ask("GET", path, headers, {}))

    def post(self, path: str, fields: Mapping[str, object], **headers: str) -> httpx.Response:
        """A form as it is given here, with nothing added."""
        return asyncio.run(self._ask("POST", path, headers, fields))

    def send(self, path: str, body: bytes) -> httpx.Response:
        """Bytes as a form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return asyncio.run(self._ask("POST", path, headers, body))

    def fill(self, page: str, to: str, **fields: object) -> httpx.Response:
        """A form of a page, with the token that stands in it."""
        return self.post(to, {"csrf": self.token(page), **fields})

    def token(self, page: str = "/sign-in") -> str:
        """The token of a page's forms."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get(page).text)
        assert found, page
        return found[1]

    def sign_in(self, user: str = "ada", password: str = PASSWORD, wanted: str = "") -> httpx.Response:
        """As a person does."""
        return self.fill("/sign-in", "/sign-in", user=user, password=password, next=wanted)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | bytes
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._site, raise_app_exceptions=False, client=(self._address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=self._origin, cookies=self.cookies) as client:
            if isinstance(body, bytes):
                answer = await client.request(method, path, headers=dict(headers), content=body)
            else:
                answer = await client.request(method, path, headers=dict(headers), data=dict(body) or None)
        self.cookies = client.cookies
        return answer
