"""The API as a client meets it: real ASGI, no socket; one event loop a request. A stream ends after its first look."""

import asyncio
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.api import create_app
from cloud.metrics.process import CloudMetrics
from cloud.settings import Settings
from tests.support.envelopes import BOX, NOW, VENUE, JsonObject, envelope
from tests.support.prometheus import Scrape

__all__ = ["ADMIN_KEY", "ON_SQLITE", "SITE", "Api", "Clock", "image_bytes"]

ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For rules that no database has a part in: once is enough."""

SITE = "http://127.0.0.1"
ADMIN_KEY = "an-admin-key-for-tests-only"


@dataclass(kw_only=True, slots=True)
class Clock:
    """A clock that a test sets."""

    now: datetime = field(default=NOW)

    def __call__(self) -> datetime:
        return self.now


class Api:
    """Requests to an application under /api/v1; with the admin key unless told otherwise."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock | None = None,
        settings: Mapping[str, object] | None = None,
        metrics: CloudMetrics | None = None,
    ) -> None:
        self.engine = engine
        self.clock = clock or Clock()
        ended = threading.Event()
        ended.set()
        self.app: FastAPI = create_app(
            Settings.model_validate({"admin_key": ADMIN_KEY, **(settings or {})}),
            engine,
            clock=self.clock,
            metrics=metrics,
            ending=ended,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = ADMIN_KEY,
        json: JsonValue = None,
        content: bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, str | float] | None = None,
    ) -> httpx.Response:
        """Any request."""
        sent: dict[str, str | bytes] = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        return asyncio.run(
            self._request(method, f"/api/v1{path}", json=json, content=content, headers=sent, query=query)
        )

    def get(
        self, path: str, headers: Mapping[str, str | bytes] | None = None, /, **query: str | float
    ) -> httpx.Response:
        """A request with the admin key; `from_` stands for `from`."""
        plain = {name.rstrip("_"): value for name, value in query.items()}
        return self.request("GET", path, headers=headers, query=plain)

    def read(self, path: str, /, **query: str | float) -> Any:
        """The JSON of an answer that must be good."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def write(self, method: str, path: str, json: JsonValue = None) -> Any:
        """The JSON that a write answers, which must be good."""
        response = self.request(method, path, json=json)
        assert response.is_success, response.text
        return response.json()

    def make_venue(self, venue: str = VENUE, **fields: JsonValue) -> Any:
        """A venue, in Berlin unless told otherwise."""
        plain: JsonObject = {"venue": venue, "name": "Corner shop", "timezone": "Europe/Berlin", "kind": "shop"}
        return self.write("POST", "/venues", {**plain, **fields})

    def make_box(self, box: str = BOX, venue: str | None = VENUE) -> str:
        """The device key of a new box."""
        return str(self.write("POST", "/boxes", {"box": box, **({"venue": venue} if venue else {})})["key"])

    def make_key(self, role: str, *venues: str, **fields: JsonValue) -> str:
        """A program's key, for all venues unless some are named."""
        wanted: JsonObject = {"name": role, "role": role, "venues": list(venues) or None, **fields}
        return str(self.write("POST", "/keys", wanted)["key"])

    def send(self, key: str, *items: JsonObject, **fields: Any) -> Any:
        """The ack to an envelope."""
        response = self.request("POST", "/events", key=key, content=envelope(items, **fields))
        assert response.status_code == 200, response.text
        found = response.json()
        assert "refused" not in found, "the envelope could not be read"
        return found

    def scrape(self) -> Scrape:
        """What Prometheus is told."""
        response = asyncio.run(self._request("GET", "/metrics", json=None, content=None, headers={}, query=None))
        assert response.status_code == 200, response.text
        return Scrape(response.text)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: JsonValue,
        content: bytes | None,
        headers: dict[str, str | bytes],
        query: Mapping[str, str | float] | None,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            arguments = {"json": json} if json is not None else {"content": content}
            return await client.request(
                method,
                path,
                headers=headers,  # type: ignore[arg-type]
                params=query or None,
                **arguments,
            )


def image_bytes(kind: str = "PNG", size: tuple[int, int] = (60, 40)) -> bytes:
    """A small image of a kind that Pillow knows."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind)
    return out.getvalue()
