"""docs/api.md is run, call by call."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.tables import Alert
from cloud.store.upsert import insert_rows
from edge.enrolment.identity import make_request
from tests.support.api import ADMIN_KEY, Api, image_bytes
from tests.support.envelopes import NOW

API_PAGE = Path(__file__).parents[3] / "docs" / "api.md"
_CALL = re.compile(
    r"```http\n(?P<method>[A-Z]+) /api/v1(?P<path>\S+)\n(?P<headers>(?:[A-Za-z-]+: .*\n)*)"
    r"(?:\n(?P<body>(?:(?!```).*\n)+))?```\n"
    r"```(?P<kind>\w+) (?P<status>\d+)\n(?P<answer>(?:(?!```).*\n)*)```"
)
ANYTHING = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of the page and the answer that it promises."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    kind: str
    status: int
    answer: str


def _calls() -> list[Call]:
    return [
        Call(
            method=found["method"],
            path=found["path"],
            headers=dict(line.split(": ", 1) for line in found["headers"].splitlines()),
            body=(found["body"] or "").strip(),
            kind=found["kind"],
            status=int(found["status"]),
            answer=found["answer"].strip(),
        )
        for found in _CALL.finditer(API_PAGE.read_text(encoding="utf-8"))
    ]


def _raise_the_alert(engine: Engine) -> None:
    row = {
        "id": "01KAGAGGM0FX3N5V2C8R6T9W4Y",
        "rule": "capacity-exceeded",
        "venue": "corner-shop",
        "subject": "",
        "raised_ms": to_ms(NOW) - 120_000,
        "last_seen_ms": to_ms(NOW),
        "value": 86,
        "threshold": 80,
    }
    with writing(engine) as connection:
        insert_rows(connection, Alert, [row])


def test_each_call_gives_the_answer_that_the_page_promises(api: Api) -> None:
    _raise_the_alert(api.engine)
    api.clock.now = NOW - timedelta(hours=1)
    keys = {"ADMIN_KEY": ADMIN_KEY, "VIEWER_KEY": api.make_key("viewer"), "ANALYST_KEY": api.make_key("analyst")}
    api.clock.now = NOW
    request = json.dumps(make_request().pem)[1:-1]
    calls = _calls()
    assert len(calls) == API_PAGE.read_text(encoding="utf-8").count("```http") > 30
    for call in calls:
        headers = {name: _filled(value, keys) for name, value in call.headers.items()}
        content = image_bytes() if call.body.startswith("@") else call.body.replace("REQUEST", request).encode() or None
        response = api.request(call.method, _filled(call.path, keys), key=None, headers=headers, content=content)
        where = f"{call.method} {call.path}"
        assert response.status_code == call.status, f"{where}: {response.text}"
        if call.kind == "json":
            found: JsonValue = response.json()
            assert _elided(found, json.loads(call.answer)) == json.loads(call.answer), where
            if isinstance(found, dict):
                keys |= {
                    name: str(found[field])
                    for name, field in (("DEVICE_KEY", "key"), ("KEY_ID", "id"), ("ENROLMENT_CODE", "code"))
                    if field in found
                }
        else:
            assert response.headers.get("content-type", "nothing").split(";")[0] == call.answer, where


def test_every_route_has_its_heading_and_a_call(api: Api) -> None:
    page = API_PAGE.read_text(encoding="utf-8")
    routes = {
        f"### `{method.upper()} {path.removeprefix('/api/v1')}`"
        for path, ways in api.app.openapi()["paths"].items()
        for method in ways
    }
    headings = set(re.findall(r"^### `.*`$", page, flags=re.MULTILINE))
    assert headings == routes
    for section in page.split("\n### ")[1:]:
        assert _CALL.search(section), section.splitlines()[0]


def test_every_route_is_described(api: Api) -> None:
    for path, ways in api.app.openapi()["paths"].items():
        for method, operation in ways.items():
            assert operation.get("description"), f"{method} {path}"
            assert operation["tags"], f"{method} {path}"
            assert "4XX" in operation["responses"], f"{method} {path}"
            is_open = path in {"/api/v1/health", "/api/v1/authority"}
            assert bool(operation.get("security")) != is_open, f"{method} {path}"


def _filled(text: str, keys: dict[str, str]) -> str:
    """With what stands for a key or an id put in."""
    for name, value in keys.items():
        text = text.replace(name, value)
    return text


def _elided(found: JsonValue, promised: JsonValue) -> JsonValue:
    """The answer, with whatever the page leaves open left open."""
    if promised == ANYTHING:
        return ANYTHING
    if isinstance(found, dict) and isinstance(promised, dict):
        return {name: _elided(value, promised.get(name)) for name, value in found.items()}
    if isinstance(found, list) and isinstance(promised, list):
        filled = [*promised, *[None] * (len(found) - len(promised))]
        return [_elided(one, other) for one, other in zip(found, filled, strict=False)]
    return found
