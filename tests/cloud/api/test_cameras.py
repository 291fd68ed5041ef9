from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from protocol.wire import format_utc
from tests.support.api import Api
from tests.support.envelopes import BOX, camera_health, configuration, occupancy

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)


def _day(api: Api, key: str) -> None:
    """Online at 09:00 in Berlin, gone from 10:00 to 11:30, then back; reports while it is there."""
    watched = [*range(60), *range(150, 180)]
    reports = [occupancy(10 + minute, at=MORNING + timedelta(minutes=minute)) for minute in watched]
    states = [(0, "online"), (60, "offline"), (150, "online")]
    health = [
        {**camera_health(2 + n, at=MORNING + timedelta(minutes=minute), state=state),
         "reason": "unreachable" if state == "offline" else "none"}
        for n, (minute, state) in enumerate(states)
    ]  # fmt: skip
    api.send(key, configuration(1, at=MORNING, cameras=["cam-1", "cam-2"]), *health, *reports)
    api.clock.now = MORNING + timedelta(hours=4)


def test_a_camera_shows_its_state_and_how_much_of_today_it_watched(api: Api, device_key: str) -> None:
    _day(api, device_key)
    first, second = api.get("/venues/corner-shop/cameras").json()
    assert first == {
        "box": BOX,
        "camera": "cam-1",
        "scene": "floor",
        "space": "ground-1",
        "state": "online",
        "reason": "none",
        "since": "2026-11-20T11:30:00+01:00",
        "last_report": "2026-11-20T11:59:00+01:00",
        "today": {
            "watched_seconds": 5382,
            "scheduled_seconds": 4 * 3600 - 75,
            "fraction": round(5382 / (4 * 3600 - 75), 6),
        },
        "certificates": [],
    }
    assert (second["camera"], second["state"], second["last_report"]) == ("cam-2", "unknown", None)
    assert second["today"] == {"watched_seconds": 0, "scheduled_seconds": 13 * 3600 - 75, "fraction": 0}


def test_an_outage_stands_in_the_timeline(api: Api, device_key: str) -> None:
    _day(api, device_key)
    path = f"/venues/corner-shop/cameras/{BOX}/cam-1"
    assert [(one["start"][11:16], one["end"][11:16], one["state"]) for one in api.get(path).json()["timeline"]] == [
        ("09:00", "10:00", "online"),
        ("10:00", "11:30", "offline"),
        ("11:30", "13:00", "online"),
    ]
    cut = api.get(path, from_="2026-11-20T09:30:00Z", to="2026-11-20T10:45:00Z").json()
    assert [(one["start"][11:16], one["end"][11:16], one["reason"]) for one in cut["timeline"]] == [
        ("10:30", "11:30", "unreachable"),
        ("11:30", "11:45", "none"),
    ]
    assert cut["coverage"] == {"watched_seconds": 897, "scheduled_seconds": 4500, "fraction": round(897 / 4500, 6)}


def test_a_quick_restart_leaves_no_camera_offline(api: Api, device_key: str) -> None:
    api.clock.now = MORNING + timedelta(hours=1)
    api.send(device_key, configuration(1, at=MORNING), camera_health(500, at=MORNING))
    api.clock.now += timedelta(seconds=9)
    api.send(device_key, camera_health(2, at=MORNING, state="online"), epoch="b" * 16)
    (camera,) = api.read("/venues/corner-shop/cameras")
    assert camera["state"] == "online"
    timeline = api.read(f"/venues/corner-shop/cameras/{BOX}/cam-1")["timeline"]
    assert [one["state"] for one in timeline] == ["online"]


def test_a_state_without_a_time_stands_where_it_was_at_the_latest(api: Api, device_key: str) -> None:
    _day(api, device_key)
    at: dict[str, JsonValue] = {"earliest": format_utc(MORNING), "latest": format_utc(MORNING + timedelta(hours=3))}
    api.send(device_key, {**camera_health(200, at=None), **at}, epoch="b" * 16)
    (camera, _) = api.read("/venues/corner-shop/cameras")
    assert (camera["state"], camera["since"]) == ("offline", "2026-11-20T12:00:00+01:00")
    at["latest"] = format_utc(MORNING + timedelta(hours=2))
    api.send(device_key, {**camera_health(201, at=None, state="degraded"), **at}, epoch="c" * 16)
    timeline = api.read(f"/venues/corner-shop/cameras/{BOX}/cam-1")["timeline"]
    assert [(one["start"][11:16], one["state"]) for one in timeline][2:] == [
        ("11:00", "degraded"),
        ("11:30", "online"),
        ("12:00", "offline"),
    ]


def test_a_camera_that_is_not_there_is_said_so(api: Api, device_key: str) -> None:
    _day(api, device_key)
    api.make_venue("other")
    for path in (f"corner-shop/cameras/{BOX}/cam-9", "corner-shop/cameras/box-9/cam-1", f"other/cameras/{BOX}/cam-1"):
        response = api.get(f"/venues/{path}")
        assert response.status_code == 404
        assert "has no camera" in response.json()["detail"]


def test_a_camera_that_has_told_no_state_yet_has_an_empty_timeline(api: Api, device_key: str) -> None:
    api.send(device_key, configuration(1))
    assert api.read(f"/venues/corner-shop/cameras/{BOX}/cam-1")["timeline"] == []
