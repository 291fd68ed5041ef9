import base64
import csv
import hashlib
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import JsonValue
from sqlalchemy import Connection

from cloud import exports
from cloud.store.tables import DeadLetter, Event
from tests.support.api import ADMIN_KEY, Api
from tests.support.envelopes import (
    BOX,
    EPOCH,
    NOW,
    JsonObject,
    crossing,
    envelope,
    gap,
    item,
    occupancy,
    rows_of,
    visit,
)


def test_an_envelope_is_committed_and_answered_with_its_ack(api: Api, device_key: str) -> None:
    ack = api.send(device_key, visit(1), visit(2), visit(5), gaps=[gap(3, 3), gap(7, 9, epoch="b" * 16)])
    assert ack | {"store": None} == {
        "box": BOX,
        "store": None,
        "position": 1,
        "at": "2026-11-20T12:00:00Z",
        "epoch": EPOCH,
        "through": 3,
        "received": [{"first": 5, "last": 5}],
        "rejected": [],
        "also": [
            {
                "box": BOX,
                "store": ack["store"],
                "position": 2,
                "at": "2026-11-20T12:00:00Z",
                "epoch": "b" * 16,
                "through": 0,
                "received": [{"first": 7, "last": 9}],
                "rejected": [],
            }
        ],
    }
    assert [row["seq"] for row in rows_of(api.engine, Event)] == [1, 2, 5]


def test_the_same_envelope_again_changes_nothing_but_the_position(api: Api, device_key: str) -> None:
    first = api.send(device_key, visit(1), occupancy(2))
    before = api.read("/venues/corner-shop/summary")
    second = api.send(device_key, visit(1), occupancy(2))
    assert second == first | {"position": 2}
    assert api.read("/venues/corner-shop/summary") == before


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON", id="no JSON"),
        pytest.param(b"[]", "a JSON object is needed", id="a list"),
        pytest.param(envelope([visit(1)], box="box-2"), "box box-2 in the envelope, but box-1", id="another box's"),
        pytest.param(b'{"x":"' + b"a" * 70_000 + b'"}', "at most 65536 are taken", id="above 64 KiB"),
        pytest.param("{\x00}".encode("utf-16"), "not JSON", id="not UTF-8, with NUL"),
    ],
)
def test_what_cannot_be_read_is_refused_by_an_ack_as_over_mqtt(
    api: Api, device_key: str, payload: bytes, reason: str
) -> None:
    response = api.request("POST", "/events", key=device_key, content=payload)
    assert response.status_code == 200
    assert response.json()["refused"] == hashlib.sha256(payload or b" ").hexdigest()
    assert "epoch" not in response.json()
    (dead,) = rows_of(api.engine, DeadLetter)
    assert reason in str(dead["reason"])
    assert rows_of(api.engine, Event) == []


def test_only_the_boxs_own_key_opens(api: Api, device_key: str) -> None:
    other = api.make_box("box-2")
    for key in (None, "", "nonsense", ADMIN_KEY, device_key[:-1], f"{device_key}x", other.replace("box-2.", "box-1.")):
        refused = api.request("POST", "/events", key=key, content=envelope([visit(1)]))
        assert refused.status_code == 401, key
        assert refused.headers["www-authenticate"] == "Bearer"
    foreign = api.request("POST", "/events", key=other, content=envelope([visit(1)]))
    assert "refused" in foreign.json()
    assert rows_of(api.engine, Event) == []


def test_an_export_gives_every_event_once_in_the_order_of_time(api: Api, device_key: str) -> None:
    items = [visit(seq, at=NOW - timedelta(minutes=(seq * 37) % 60)) for seq in range(1, 41)]
    api.send(device_key, *items, crossing(41), item(42, "visit", at=None, **_visit_fields()))
    found: list[JsonObject] = []
    cursor, pages = None, 0
    while cursor is not None or pages == 0:
        page = api.read("/venues/corner-shop/events", limit=7, type="visit", **({"cursor": cursor} if cursor else {}))
        found += page["events"]
        cursor, pages = page["next"], pages + 1
    assert pages == 6
    assert [event["item"] for event in found] == sorted(items, key=lambda one: (str(one["at"]), int(str(one["seq"]))))
    assert {(event["box"], event["epoch"]) for event in found} == {(BOX, EPOCH)}
    assert len(api.read("/venues/corner-shop/events")["events"]) == 41


def test_a_period_bounds_an_export(api: Api, device_key: str) -> None:
    api.send(device_key, *(visit(seq, at=NOW - timedelta(minutes=15 * seq)) for seq in range(1, 9)))
    page = api.read("/venues/corner-shop/events", from_="2026-11-20T10:30:00Z", to="2026-11-20T11:30:00Z")
    assert [event["item"]["seq"] for event in page["events"]] == [6, 5, 4, 3]


def test_csv_has_a_column_for_each_field_and_streams_more_than_a_page(api: Api, device_key: str) -> None:
    for start in range(1, 1301, 100):
        api.send(device_key, *(visit(seq, at=NOW - timedelta(seconds=seq)) for seq in range(start, start + 100)))
    response = api.get("/venues/corner-shop/events", format="csv", type="visit")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="corner-shop-events.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [int(row["seq"]) for row in rows] == list(range(1300, 0, -1))
    assert rows[0] | {"received_at": ""} == {
        "at": "2026-11-20T11:38:20Z",
        "type": "visit",
        "box": BOX,
        "epoch": EPOCH,
        "seq": "1300",
        "scene": "floor",
        "config": "c" * 32,
        "received_at": "",
        "dwell_seconds": "42.5",
        "began": "entered",
        "ended": "left",
        "zones": '[{"zone":"shelf","seconds":12.3}]',
        "lines": "",
        "frames_seen": "400",
        "mean_confidence": "0.71",
        "engagement_score": "",
        "engagement": "",
    }
    limited = api.get("/venues/corner-shop/events", format="csv", type="visit", limit=1005).text
    assert limited.splitlines() == response.text.splitlines()[:1006]


def test_csv_breaks_off_when_its_key_is_revoked(api: Api, device_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    api.send(device_key, *(visit(seq) for seq in range(1, 8)))
    key = api.make_key("analyst", "corner-shop")
    read = exports._rows

    def then_revoked(connection: Connection, query: exports.EventQuery, **page: Any) -> list[exports._Row]:
        found = read(connection, query, **page)
        if page["after"] is not None:
            api.request("DELETE", f"/keys/{key[3:15]}")
        return found

    monkeypatch.setattr(exports, "MAX_PAGE", 2)
    whole = api.request("GET", "/venues/corner-shop/events", query={"format": "csv"}).text
    monkeypatch.setattr(exports, "_rows", then_revoked)
    broken = api.request("GET", "/venues/corner-shop/events", key=key, query={"format": "csv"}).text
    assert broken.splitlines() == whole.splitlines()[:5], "the line of names, the first page, and the second"


def test_csv_of_all_types_holds_the_items_whole(api: Api, device_key: str) -> None:
    sent = [visit(1), crossing(2), occupancy(3)]
    api.send(device_key, *sent)
    rows = list(csv.DictReader(io.StringIO(api.get("/venues/corner-shop/events", format="csv").text)))
    assert [json.loads(row["item"]) for row in rows] == sent


def test_no_cell_of_a_csv_is_a_formula(api: Api, device_key: str) -> None:
    """A slug may begin with a hyphen, and a later version's words with anything."""
    evil = visit(1, scene="-1-cmd", ended='=HYPERLINK("http://evil")')
    api.send(device_key, evil, occupancy(2, inside=-3))
    (row,) = csv.DictReader(io.StringIO(api.get("/venues/corner-shop/events", format="csv", type="visit").text))
    assert (row["scene"], row["ended"]) == ("'-1-cmd", '\'=HYPERLINK("http://evil")')
    (row,) = csv.DictReader(io.StringIO(api.get("/venues/corner-shop/events", format="csv", type="occupancy").text))
    assert row["inside"] == "-3"


def cursor_of(found: JsonValue) -> str:
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "bm9uc2Vuc2U", "W10", "WzEsMiwzLDRd", "WyJhIiwiYiIsImMiLDFd", "ÄÖÜ", "W251bGwsIiIsIiIsbnVsbF0",
        pytest.param(cursor_of([1, "\ud800", "x", 1]), id="half a character"),
        pytest.param(cursor_of([1, "a", "\udfff", 1]), id="half an epoch"),
        pytest.param(cursor_of([1, "a\0", "b", 1]), id="a NUL"),
        pytest.param(cursor_of([True, "a", "b", False]), id="booleans"),
        pytest.param(cursor_of([1, "a", "b", True]), id="one boolean"),
        pytest.param(cursor_of([1.0, "a", "b", 1]), id="no whole number"),
        pytest.param(cursor_of([2**62, "a", "b", 1]), id="beyond all time"),
        pytest.param(cursor_of({"at": 1}), id="an object"),
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_is_refused(api: Api, device_key: str, cursor: str) -> None:
    response = api.get("/venues/corner-shop/events", cursor=cursor)
    assert response.status_code == 422
    assert response.json()["detail"] == "`cursor` must be one that an answer gave as `next`"


def _visit_fields() -> JsonObject:
    common = {"seq", "type", "schema", "venue", "config", "at"}
    return {name: value for name, value in visit(0).items() if name not in common}
