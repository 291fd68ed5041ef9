"""What counts rest on: a line's certificate while it holds, else the published benchmark."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from tests.support.api import Api
from tests.support.envelopes import (
    BOX,
    NOW,
    SETUP,
    JsonObject,
    camera_health,
    certificate,
    configuration,
    crossing,
    occupancy,
    visit,
)

OPEN = {"opening_hours": {"weekly": {"fri": [["12:00", "13:00"]]}}}
"""An hour of the venue's Friday, which ends at NOW."""
HOUR = NOW - timedelta(hours=1)
OTHER_SETUP = "0d" * 16


def watched(*, minutes: int = 60) -> list[JsonObject]:
    camera: JsonObject = {
        "camera": "cam-1", "watched_seconds": 60.0, "analysed_frames": 1, "dropped_frames": 0, "person_seconds": 0.0,
        "max_people": 0,
    }  # fmt: skip
    return [occupancy(100 + n, at=HOUR + timedelta(minutes=n), cameras=[camera]) for n in range(minutes)]


@pytest.fixture
def door(api: Api) -> Api:
    """A door that a hundred walked in and fifty out of in the hour that was watched; nobody has checked it."""
    api.make_venue(**OPEN)  # type: ignore[arg-type]
    api.send(api.make_box(), configuration(1, at=HOUR, entrance="door", setup=SETUP), *watched())
    api.send(_key(api), crossing(2, inward=100, outward=50, at=HOUR + timedelta(minutes=20)))
    api.clock.now = NOW + timedelta(minutes=2)
    return api


def _key(api: Api) -> str:
    return str(api.write("POST", f"/boxes/{BOX}/key")["key"])


def send(api: Api, *items: JsonObject) -> None:
    api.send(_key(api), *items)


def summary(api: Api) -> Any:
    return api.read("/venues/corner-shop/summary")["interval"]


def span(low: int, high: int | None, rests_on: str) -> dict[str, JsonValue]:
    return {"low": low, "high": high, "rests_on": rests_on}


BENCHMARK = span(91, 110, "benchmark")
CERTIFIED = span(83, 120, "certificate")


def test_without_a_certificate_the_published_benchmark_stands_in(door: Api) -> None:
    assert summary(door) == BENCHMARK


def test_a_certificate_is_used_for_summary_hours_lines_and_comparison(door: Api) -> None:
    send(door, certificate(3, at=NOW))
    assert summary(door) == CERTIFIED
    hours = {hour["hour"][11:13]: hour["interval"] for hour in door.read("/venues/corner-shop/hourly")["hours"]}
    assert hours["12"] == CERTIFIED
    assert hours["09"] == span(0, 0, "certificate")
    (line,) = door.read("/venues/corner-shop/lines")["lines"]
    assert (line["interval_in"], line["interval_out"]) == (CERTIFIED, span(41, 60, "certificate"))
    door.make_venue("other")
    first, _ = door.read("/comparison?venue=corner-shop&venue=other")["venues"]
    assert first["interval"] == CERTIFIED


def test_each_direction_rests_on_its_own_check(door: Api) -> None:
    send(door, certificate(3, ways={"out": {"counted": 20, "by_hand": 20, "matched": 10}}))
    (line,) = door.read("/venues/corner-shop/lines")["lines"]
    assert line["interval_in"] == BENCHMARK
    assert line["interval_out"] == span(21, 118, "certificate")


def test_the_newest_of_one_setup_counts_in_whichever_order_they_come(door: Api) -> None:
    poor: JsonObject = {"counted": 20, "by_hand": 20, "matched": 10}
    send(door, certificate(4, at=NOW), certificate(3, at=NOW - timedelta(minutes=5), ways={"in": poor}))
    assert summary(door) == CERTIFIED


def test_it_ends_with_the_setup_and_stays_true_of_what_was_counted_before(door: Api) -> None:
    send(door, certificate(3))
    changed = configuration(4, at=HOUR + timedelta(minutes=30), entrance="door", setup=OTHER_SETUP, config="e" * 32)
    send(door, changed, crossing(5, at=HOUR + timedelta(minutes=50), inward=100))
    assert summary(door) == span(175, 229, "mixed")
    (camera,) = door.read("/venues/corner-shop/cameras")
    (shown,) = camera["certificates"]
    assert (shown["holds"], shown["ended"]) == (False, "changed")
    send(door, certificate(6, at=NOW, setup=OTHER_SETUP))
    (shown,) = door.read("/venues/corner-shop/cameras")[0]["certificates"]
    assert (shown["holds"], shown["ended"]) == (True, None)
    assert summary(door) == span(167, 239, "certificate")


@pytest.mark.parametrize(("state", "reason"), [("online", "none"), ("degraded", "overloaded")])
def test_it_ends_while_its_camera_looks_elsewhere(door: Api, state: str, reason: str) -> None:
    send(door, certificate(3))
    moved = {**camera_health(4, at=HOUR + timedelta(minutes=10), state="degraded"), "reason": "moved"}
    send(door, moved)
    (shown,) = door.read("/venues/corner-shop/cameras")[0]["certificates"]
    assert (shown["holds"], shown["ended"]) == (False, "moved")
    assert summary(door)["rests_on"] == "mixed"
    (line,) = door.read("/venues/corner-shop/lines")["lines"]
    assert line["interval_in"]["rests_on"] == "mixed"
    back = {**camera_health(5, at=HOUR + timedelta(minutes=40), state=state), "reason": reason}
    send(door, back)
    assert summary(door) == CERTIFIED


def test_a_box_that_starts_anew_cannot_say_that_its_camera_looks_where_it_did(door: Api) -> None:
    send(door, certificate(3))
    send(door, {**camera_health(4, at=HOUR + timedelta(minutes=10), state="degraded"), "reason": "moved"})
    again = {**camera_health(1, at=HOUR + timedelta(minutes=40), state="online"), "reason": "none"}
    door.send(_key(door), again, epoch="b" * 16)
    (shown,) = door.read("/venues/corner-shop/cameras")[0]["certificates"]
    assert (shown["holds"], shown["ended"]) == (False, "moved")


def test_a_camera_shows_its_lines_checks(door: Api) -> None:
    send(door, certificate(3, at=NOW, ways={"in": {"counted": 20, "by_hand": 21, "matched": 19}}))
    (camera,) = door.read("/venues/corner-shop/cameras")
    assert camera["certificates"] == [
        {
            "line": "door",
            "taken_in": "2026-11-20T13:00:00+01:00",
            "holds": True,
            "ended": None,
            "method": "moments",
            "model": "yolox-nano",
            "model_digest": "d" * 64,
            "length_seconds": 300,
            "inward": {
                "counted": 20,
                "by_hand": 21,
                "matched": 19,
                "recall": 0.9048,
                "recall_interval": [0.7109, 0.9735],
                "precision": 0.95,
                "precision_interval": [0.7639, 0.9911],
            },
            "outward": None,
        }
    ]


def test_time_that_the_entrances_camera_did_not_watch_raises_the_most(api: Api) -> None:
    api.make_venue(**OPEN)  # type: ignore[arg-type]
    layout = configuration(1, at=HOUR, entrance="door", setup=SETUP, cameras=["cam-1", "cam-2"])
    api.send(api.make_box(), layout, *watched(minutes=30), certificate(2), crossing(3, inward=100, at=HOUR))
    api.clock.now = NOW + timedelta(minutes=2)
    assert summary(api) == span(83, 239, "certificate")


def test_visits_rest_on_the_benchmark(api: Api) -> None:
    api.make_venue(**OPEN)  # type: ignore[arg-type]
    layout = configuration(1, at=HOUR)
    visits = [visit(2 + n, at=HOUR + timedelta(minutes=n)) for n in range(40)]
    api.send(api.make_box(), layout, *visits, *watched())
    api.clock.now = NOW + timedelta(minutes=2)
    assert summary(api) == span(30, 48, "benchmark")


def test_a_venue_without_anything_has_nothing_to_say(api: Api) -> None:
    api.make_venue()
    assert summary(api) == span(0, 0, "benchmark")
