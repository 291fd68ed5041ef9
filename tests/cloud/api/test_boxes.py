import json
from datetime import timedelta

import pytest
from pydantic import JsonValue
from sqlmodel import Session

from cloud.ingest.commit import Committer
from cloud.store.engine import reading
from cloud.store.tables import Box
from protocol.acks import Ack
from tests.support.api import Api
from tests.support.envelopes import BOX, NOW, configuration, crossing, deliver, envelope, gap, tile, visit


def test_a_device_key_is_shown_once_and_kept_as_a_hash(api: Api) -> None:
    api.make_venue()
    made = api.write("POST", "/boxes", {"box": BOX, "venue": "corner-shop"})
    key = str(made["key"])
    assert key.startswith("box-1.")
    assert len(key) > 40
    assert api.request("POST", "/boxes", json={"box": BOX}).status_code == 409
    shown = api.get(f"/boxes/{BOX}").text + api.get("/boxes").text
    assert key not in shown
    assert "sha256" not in shown
    with reading(api.engine) as connection, Session(connection) as session:
        row = session.get_one(Box, BOX)
        assert row.key_sha256 is not None
        assert key not in row.model_dump_json()


def test_a_rotated_key_is_void_at_once(api: Api, device_key: str) -> None:
    renewed = str(api.write("POST", f"/boxes/{BOX}/key")["key"])
    refused = api.request("POST", "/events", key=device_key, content=envelope([visit(1)]))
    assert refused.status_code == 401
    assert api.send(renewed, visit(1))["through"] == 1


def test_the_first_enrolment_counts_what_was_sent_before(api: Api) -> None:
    api.make_venue()
    Committer(api.engine, api.clock).commit(deliver(envelope([visit(1), visit(2)])))
    assert api.read(f"/boxes/{BOX}")["held"] == {"not-enrolled": 2}
    assert api.read("/venues/corner-shop/summary")["visits"] == 0
    key = api.write("POST", "/boxes", {"box": BOX})["key"]
    moved = api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "corner-shop"})
    assert moved == {"box": BOX, "venue": "corner-shop", "released": 2}
    assert api.read("/venues/corner-shop/summary")["visits"] == 2
    assert api.read(f"/boxes/{BOX}")["held"] == {}
    assert api.send(str(key), visit(1), visit(2))["through"] == 2
    assert api.read("/venues/corner-shop/summary")["visits"] == 2


@pytest.mark.parametrize("withdrawn", [False, True], ids=["standing there", "withdrawn from there"])
def test_nobody_takes_a_box_of_a_venue_that_is_not_theirs(api: Api, withdrawn: bool) -> None:
    """One that wrote before anyone registered it has no key, and yet stands somewhere."""
    for venue in ("corner-shop", "other"):
        api.make_venue(venue)
    Committer(api.engine, api.clock).commit(deliver(envelope([visit(1)])))
    api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "other"})
    if withdrawn:
        api.write("DELETE", f"/boxes/{BOX}/venue")
    before = api.read(f"/boxes/{BOX}")
    body: JsonValue = {"box": BOX, "venue": "corner-shop"}
    refused = api.request("POST", "/boxes", key=api.make_key("admin", "corner-shop"), json=body)
    assert (refused.status_code, refused.json()["detail"]) == (404, f"there is no box {BOX}")
    assert api.read(f"/boxes/{BOX}") == before
    both = api.make_key("admin", "corner-shop", "other")
    assert api.request("POST", "/boxes", key=both, json=body).status_code == 201


def test_an_admin_of_a_venue_registers_a_box_that_has_stood_nowhere(api: Api) -> None:
    api.make_venue()
    Committer(api.engine, api.clock).commit(deliver(envelope([visit(1)])))
    body: JsonValue = {"box": BOX, "venue": "corner-shop"}
    made = api.request("POST", "/boxes", key=api.make_key("admin", "corner-shop"), json=body)
    assert (made.status_code, made.json()["venue"]) == (201, "corner-shop")


def test_a_move_splits_the_numbers_at_its_moment(api: Api, device_key: str) -> None:
    api.make_venue("other")
    api.clock.now = NOW + timedelta(minutes=20)
    assert api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "other"})["released"] == 0
    api.clock.now = NOW + timedelta(minutes=40)
    early, late = NOW + timedelta(minutes=5), NOW + timedelta(minutes=30)
    api.send(
        device_key,
        visit(1, at=early),
        visit(2, at=late),
        {**visit(3, at=late), "venue": "other"},
        {**visit(4, at=NOW - timedelta(hours=1)), "venue": "other"},
    )
    assert api.read("/venues/corner-shop/summary")["visits"] == 1
    assert api.read("/venues/other/summary")["visits"] == 1
    shown = api.read(f"/boxes/{BOX}")
    assert shown["held"] == {"not-enrolled": 2}
    assert shown["enrolments"] == [
        {"venue": "corner-shop", "since": None, "until": "2026-11-20T12:20:00Z"},
        {"venue": "other", "since": "2026-11-20T12:15:00Z", "until": None},
    ]


def test_a_move_leaves_the_history_of_the_venue_as_it_was(api: Api, device_key: str) -> None:
    api.send(device_key, configuration(1, entrance="door"), crossing(2, inward=50), visit(3), tile(4))

    def history() -> list[object]:
        summary = api.read("/venues/corner-shop/summary")
        figures = [summary[name] for name in ("visitors", "counted_by", "visits", "dwell")]
        (line,) = api.read("/venues/corner-shop/lines")["lines"]
        counted = {name: value for name, value in line.items() if not name.startswith("interval")}  # by coverage now
        return [*figures, counted, *(api.read(f"/venues/corner-shop/{path}") for path in ("zones", "spaces"))]

    before = history()
    assert before[:2] == [50, "entrance-lines"]
    api.make_venue("other")
    api.clock.now = NOW + timedelta(minutes=20)
    api.write("PUT", f"/boxes/{BOX}/venue", {"venue": "other"})
    moved = configuration(5, at=NOW + timedelta(minutes=15), entrance="door")
    api.send(device_key, {**moved, "venue": "other"})
    api.clock.now = NOW
    assert history() == before
    assert [len(api.read(f"/venues/{venue}/cameras")) for venue in ("corner-shop", "other")] == [0, 1]


def test_moving_there_and_back_within_a_bucket_leaves_no_doubt(api: Api, device_key: str) -> None:
    api.make_venue("other")
    for minute, venue in ((1, "other"), (2, "corner-shop"), (3, "other")):
        api.clock.now = NOW + timedelta(minutes=minute)
        assert api.write("PUT", f"/boxes/{BOX}/venue", {"venue": venue})["venue"] == venue
    assert api.read(f"/boxes/{BOX}")["venue"] == "other"
    assert api.send(device_key, {**visit(1, at=NOW + timedelta(minutes=3)), "venue": "other"})["through"] == 1
    assert api.read("/venues/other/summary")["visits"] == 1


def test_what_a_withdrawn_box_makes_is_held(api: Api, device_key: str) -> None:
    assert api.write("DELETE", f"/boxes/{BOX}/venue")["venue"] is None
    api.clock.now = NOW + timedelta(hours=1)
    api.send(device_key, visit(1, at=NOW - timedelta(minutes=1)), visit(2, at=NOW + timedelta(minutes=1)))
    assert api.read("/venues/corner-shop/summary")["visits"] == 1
    assert api.read(f"/boxes/{BOX}")["held"] == {"not-enrolled": 1}


def test_a_box_shows_what_its_status_said_and_what_it_lost(api: Api, device_key: str) -> None:
    status = {
        "box": BOX,
        "venue": "corner-shop",
        "session": "b" * 16,
        "state": "online",
        "at": "2026-11-20T11:59:00Z",
        "mode": "statistics",
        "version": "0.1.0",
        "clock": {"source": "ntp", "uncertainty_seconds": 0.02},
        "vision": "alive",
        "exchange": {"waiting": 17, "oldest_seconds": 4.5, "used": 0.25},
    }
    Committer(api.engine, api.clock).commit(deliver(json.dumps(status).encode(), leaf="status"))
    broken = {**visit(3), "dwell_seconds": -1}
    lost: list[JsonValue] = [{"type": "visit", "count": 4}, {"type": "tile", "count": 1}]
    gaps = [gap(5, 12, lost_by_type=lost), gap(13, 19, reason="merged", lost_by_type=lost)]
    api.send(device_key, visit(1), broken, gaps=gaps)
    shown = api.read(f"/boxes/{BOX}")
    assert shown == {
        "box": BOX,
        "venue": "corner-shop",
        "state": "online",
        "has_key": True,
        "revoked": None,
        "certificate_expires": None,
        "first_seen": "2026-11-20T12:00:00Z",
        "last_seen": "2026-11-20T12:00:00Z",
        "as_of": "2026-11-20T11:59:00Z",
        "mode": "statistics",
        "version": "0.1.0",
        "vision": "alive",
        "clock_source": "ntp",
        "clock_uncertainty_seconds": 0.02,
        "waiting": 17,
        "oldest_waiting_seconds": 4.5,
        "exchange_used": 0.25,
        "gaps": {"gaps": 1, "lost_items": 5},
        "held": {},
        "dead_letters": 1,
        "enrolments": [{"venue": "corner-shop", "since": None, "until": None}],
    }
    assert api.read("/boxes", venue="corner-shop")["boxes"] == [shown]
    assert api.read("/boxes", venue="other")["boxes"] == []
    death = {key: status[key] for key in ("box", "venue", "session")} | {"state": "offline"}
    Committer(api.engine, api.clock).commit(deliver(json.dumps(death).encode(), leaf="status"))
    clock = ("clock_source", "clock_uncertainty_seconds")
    unknown = dict.fromkeys(("vision", *clock, "waiting", "oldest_waiting_seconds", "exchange_used"))
    assert api.read(f"/boxes/{BOX}") == {**shown, "state": "offline", **unknown}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("PUT", "/boxes/ghost/venue", {"venue": "corner-shop"}, 404, id="moving no box"),
        pytest.param("PUT", f"/boxes/{BOX}/venue", {"venue": "nowhere"}, 404, id="moving nowhere"),
        pytest.param("POST", "/boxes", {"box": "box-2", "venue": "nowhere"}, 404, id="registering nowhere"),
        pytest.param("POST", "/boxes/ghost/key", None, 404, id="a key for no box"),
        pytest.param("POST", "/boxes", {"box": "Box 2"}, 422, id="an id that is no slug"),
        pytest.param("DELETE", "/boxes/ghost/venue", None, 404, id="withdrawing no box"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    api: Api, device_key: str, method: str, path: str, body: JsonValue, status: int
) -> None:
    assert api.request(method, path, json=body).status_code == status
    assert [box["box"] for box in api.get("/boxes").json()["boxes"]] == [BOX]
    assert api.read(f"/boxes/{BOX}")["venue"] == "corner-shop"


def test_the_ack_over_https_is_an_ack(api: Api, device_key: str) -> None:
    answer = api.request("POST", "/events", key=device_key, content=envelope([visit(1), visit(2)]))
    ack = Ack.read(answer.content)
    assert (ack.box, ack.epoch, ack.through, ack.position, ack.received) == (BOX, "a" * 16, 2, 1, ())
