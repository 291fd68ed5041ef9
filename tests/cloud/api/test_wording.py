"""What the API says of a wrong request: each fault once, in plain words, and nothing passed over."""

import json
from collections.abc import Iterator

import pytest
from pydantic import JsonValue

from cloud.settings import Settings
from cloud.wording import PATTERNS
from tests.support.api import ON_SQLITE, Api

pytestmark = ON_SQLITE
SLUG = "1 to 63 small letters, digits and hyphens"


def faults(api: Api, method: str, path: str, **sent: object) -> list[dict[str, str]]:
    response = api.request(method, path, **sent)  # type: ignore[arg-type]
    assert response.status_code == 422, response.text
    found: list[dict[str, str]] = response.json()["errors"]
    return found


def test_a_fault_that_several_parts_of_a_route_find_is_named_once(api: Api) -> None:
    assert faults(api, "GET", "/venues/V1/summary") == [{"where": "path.venue", "problem": SLUG}]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"venue": "Corner Shop"}, SLUG, id="an id"),
        pytest.param({"name": "a\x00b"}, "text without control characters", id="a name"),
        pytest.param({"name": 7}, "text", id="a number for text"),
        pytest.param({"capacity": 0}, "more than 0", id="too small"),
        pytest.param({"latitude": "north"}, "a number", id="a word for a number"),
        pytest.param({"colour": "red"}, "nothing under this name", id="an unknown key"),
    ],
)
def test_a_rule_is_told_in_plain_words(api: Api, change: dict[str, JsonValue], problem: str) -> None:
    body = {"venue": "corner-shop", "name": "Shop", "timezone": "UTC", "kind": "shop", "longitude": 1.0, **change}
    told = [fault["problem"] for fault in faults(api, "POST", "/venues", json={"latitude": 1.0, **body})]
    assert problem in told
    assert not any(word in one for one in told for word in ("Value error", "should", "pattern", "Extra", "extract"))


def test_a_body_without_its_content_type_is_told_of_the_header(api: Api) -> None:
    body = json.dumps({"venue": "corner-shop"}).encode()
    (fault,) = faults(api, "POST", "/venues", content=body)
    assert fault == {"where": "body", "problem": "a JSON object, sent with `Content-Type: application/json`"}


@pytest.mark.parametrize(
    ("path", "parameter", "problem"),
    [
        ("/venues/corner-shop/summary", "form", "no such parameter; did you mean `from`? known are from, to"),
        ("/venues/corner-shop/summary", "zzz", "no such parameter; known are from, to"),
        ("/venues/corner-shop/heatmap", "formt", "no such parameter; did you mean `format`? known are format, from, "),
        ("/health", "from", "no such parameter; none is taken here"),
    ],
)
def test_a_parameter_that_is_unknown_is_refused(api: Api, path: str, parameter: str, problem: str) -> None:
    api.make_venue()
    (fault,) = faults(api, "GET", path, query={parameter: "2026-11-20"})
    assert fault["where"] == f"query.{parameter}"
    assert fault["problem"].startswith(problem)


def test_no_route_passes_over_an_unknown_parameter(api: Api) -> None:
    values = {"layer": "presence", "z": "0", "x": "0", "y": "0"}
    of_boxes = set()
    for path, ways in api.app.openapi()["paths"].items():
        place = path.removeprefix("/api/v1")
        for name in [part.split("}")[0] for part in path.split("{")[1:]]:
            place = place.replace(f"{{{name}}}", values.get(name, "a"))
        for method in ways:
            if api.request(method.upper(), place, query={"nonsense": "1"}).status_code == 401:
                of_boxes.add(f"{method} {place}")
                continue
            (fault,) = faults(api, method.upper(), place, query={"nonsense": "1"})
            assert fault["where"] == "query.nonsense", f"{method} {path}"
    assert of_boxes == {"post /events", "post /enrolment", "post /enrolment/renewal"}, "they look at the key first"


def test_a_period_that_ends_before_it_begins_is_told_as_it_was_typed(api: Api) -> None:
    api.make_venue()
    response = api.get("/venues/corner-shop/summary", from_="2026-11-20T10:07:00Z", to="2026-11-19")
    assert response.status_code == 422
    assert response.json()["detail"] == "`from` must be before `to`; found 2026-11-20T10:07:00Z and 2026-11-19"
    late = api.get("/venues/corner-shop/summary", from_="2027-01-01").json()["detail"]
    assert late == "`from` must be before `to`; found 2027-01-01 and none, which is the end of today"


def test_every_pattern_has_its_words(api: Api) -> None:
    description = api.app.openapi()
    for answered in ("Ack", "AckWithMore"):
        del description["components"]["schemas"][answered]
    schemas = [description, Settings.model_json_schema()]
    assert {pattern for schema in schemas for pattern in _patterns(schema)} <= set(PATTERNS)


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from _patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _patterns(value)
