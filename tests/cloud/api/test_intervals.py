"""What counts rest on: a line's certificate while it holds, else the published benchmark."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from protocol.wire import format_utc
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


def watched(*, minutes: int = 60, cameras: Sequence[str] = ("cam-1",)) -> list[JsonObject]:
    each: list[JsonValue] = [
        {
            "camera": camera, "watched_seconds": 60.0, "analysed_frames": 1, "dropped_frames": 0, "person_seconds": 0.0,
            "max_people": 0,
        }
        for camera in cameras
    ]  # fmt: skip
    return [occupancy(100 + n, at=HOUR + timedelta(minutes=n), cameras=each) for n in range(minutes)]


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


def moved(seq: int, *, at: datetime | None, camera: str = "cam-1", **fields: JsonValue) -> JsonObject:
    return {**camera_health(seq, at=at, camera=camera, state="degraded"), "reason": "moved", **fields}


def back(seq: int, *, at: datetime | None, camera: str = "cam-1", **fields: JsonValue) -> JsonObject:
    return {**camera_health(seq, at=at, camera=camera, state="online"), "reason": "none", **fields}


def standing(api: Api) -> tuple[bool, str | None]:
    """Whether the only certificate holds, and why not."""
    (shown,) = api.read("/venues/corner-shop/cameras")[0]["certificates"]
    return shown["holds"], shown["ended"]


def span(low: int, high: int | None, rests_on: str) -> dict[str, JsonValue]:
    return {"low": low, "high": high, "rests_on": rests_on}


BENCHMARK = span(91, 110, "benchmark")
CERTIFIED = span(83, 120, "certificate")
POORLY_CERTIFIED = span(42, 235, "certificate")
POOR: JsonObject = {"counted": 20, "by_hand": 20, "matched": 10}
NEXT_RUN = "b" * 16


def test_without_a_certificate_the_published_benchmark_stands_in(door: Api) -> None:
    assert summary(door) == BENCHMARK


def test_a_certificate_is_used_for_summary_hours_lines_and_comparison(door: Api) -> None:
    send(door, certificate(3, at=NOW))
    assert summary(door) == CERTIFIED
    hours = {hour["start"][11:13]: hour["interval"] for hour in door.read("/venues/corner-shop/series")["parts"]}
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
    send(door, certificate(4, at=NOW), certificate(3, at=NOW - timedelta(minutes=5), ways={"in": POOR}))
    assert summary(door) == CERTIFIED


def test_one_without_a_time_stands_where_it_was_made_at_the_latest(door: Api) -> None:
    send(door, certificate(3, at=NOW - timedelta(days=30)))
    send(door, certificate(4, at=None, ways={"in": POOR}))
    assert summary(door) == POORLY_CERTIFIED
    send(door, certificate(5, at=NOW))
    assert summary(door) == CERTIFIED


def test_one_that_waited_without_a_time_is_older_than_what_was_timed_meanwhile(door: Api) -> None:
    send(door, certificate(3, at=NOW - timedelta(days=2)))
    late = {**certificate(1, at=None, ways={"in": POOR}), "latest": format_utc(NOW - timedelta(days=3))}
    door.send(_key(door), late, epoch=NEXT_RUN)
    assert summary(door) == CERTIFIED


def test_of_two_without_a_time_the_later_of_the_run_counts_whichever_comes_first(door: Api) -> None:
    send(door, certificate(4, at=None, ways={"in": POOR}))
    door.clock.now += timedelta(minutes=1)
    send(door, certificate(3, at=None))
    assert summary(door) == POORLY_CERTIFIED


def test_a_time_that_is_yet_to_come_is_none(door: Api) -> None:
    send(door, {**certificate(3, at=None), "latest": "2036-01-01T00:00:00Z"})
    door.clock.now += timedelta(minutes=10)
    send(door, certificate(4, at=door.clock.now, ways={"in": POOR}))
    assert summary(door) == POORLY_CERTIFIED


def test_one_without_a_time_is_newer_than_an_earlier_move(door: Api) -> None:
    send(door, moved(3, at=HOUR))
    door.send(_key(door), certificate(1, at=None), epoch=NEXT_RUN)
    assert standing(door) == (True, None)
    assert summary(door) == CERTIFIED


def test_one_that_waited_without_a_time_is_ended_by_a_move_since(door: Api) -> None:
    send(door, {**certificate(3, at=None), "latest": format_utc(NOW - timedelta(days=3))})
    door.send(_key(door), moved(1, at=NOW - timedelta(days=2)), epoch=NEXT_RUN)
    assert standing(door) == (False, "moved")
    assert summary(door) == BENCHMARK


def test_a_move_without_a_time_ends_it_and_can_be_taken_back(door: Api) -> None:
    send(door, certificate(3))
    at: Any = {"earliest": format_utc(HOUR), "latest": format_utc(HOUR)}
    door.send(_key(door), moved(1, at=None, **at), epoch=NEXT_RUN)
    assert standing(door) == (False, "moved")
    assert summary(door)["rests_on"] == "mixed"
    door.send(_key(door), back(2, at=None, **at), epoch=NEXT_RUN)
    assert standing(door) == (True, None)
    assert summary(door) == CERTIFIED


@pytest.mark.parametrize(("seq", "holds"), [(3, True), (5, False)])
def test_of_one_run_without_a_time_a_move_ends_what_was_made_before_it(door: Api, seq: int, holds: bool) -> None:
    send(door, certificate(4, at=None))
    send(door, moved(seq, at=None))
    assert standing(door) == (holds, None if holds else "moved")


def test_of_two_runs_without_a_time_the_move_counts_as_the_later(door: Api) -> None:
    send(door, moved(9, at=None))
    door.send(_key(door), certificate(1, at=None), epoch=NEXT_RUN)
    assert standing(door) == (False, "moved")


def test_it_ends_with_the_setup_and_stays_true_of_what_was_counted_before(door: Api) -> None:
    send(door, certificate(3))
    changed = configuration(4, at=HOUR + timedelta(minutes=30), entrance="door", setup=OTHER_SETUP, config="e" * 32)
    send(door, changed, crossing(5, at=HOUR + timedelta(minutes=50), inward=100))
    assert summary(door) == span(175, 229, "mixed")
    assert standing(door) == (False, "changed")
    send(door, certificate(6, at=NOW, setup=OTHER_SETUP))
    assert standing(door) == (True, None)
    assert summary(door) == span(167, 239, "certificate")


@pytest.mark.parametrize(("state", "reason"), [("online", "none"), ("degraded", "overloaded")])
def test_it_ends_while_its_camera_looks_elsewhere(door: Api, state: str, reason: str) -> None:
    send(door, certificate(3))
    send(door, moved(4, at=HOUR + timedelta(minutes=10)))
    assert standing(door) == (False, "moved")
    assert summary(door)["rests_on"] == "mixed"
    (line,) = door.read("/venues/corner-shop/lines")["lines"]
    assert line["interval_in"]["rests_on"] == "mixed"
    send(door, back(5, at=HOUR + timedelta(minutes=40), state=state, reason=reason))
    assert summary(door) == CERTIFIED


def test_a_box_that_starts_anew_cannot_say_that_its_camera_looks_where_it_did(door: Api) -> None:
    send(door, certificate(3))
    send(door, moved(4, at=HOUR + timedelta(minutes=10)))
    door.send(_key(door), back(1, at=HOUR + timedelta(minutes=40)), epoch=NEXT_RUN)
    assert standing(door) == (False, "moved")


@pytest.fixture
def two_cameras(api: Api) -> Api:
    """A certified door in a scene of two cameras, of which the other has moved, and moved back, before."""
    api.make_venue(**OPEN)  # type: ignore[arg-type]
    layout = configuration(1, at=HOUR, entrance="door", setup=SETUP, cameras=["cam-1", "cam-2"])
    api.send(api.make_box(), layout, *watched(cameras=["cam-1", "cam-2"]), certificate(4))
    passed = [crossing(5 + n, inward=50, outward=50, at=HOUR + timedelta(minutes=20 * n)) for n in (0, 2)]
    send(api, moved(2, at=HOUR - timedelta(hours=2), camera="cam-2"), *passed)
    api.clock.now = NOW + timedelta(minutes=2)
    return api


def test_another_camera_of_the_scene_that_looks_elsewhere_ends_it(two_cameras: Api) -> None:
    assert standing(two_cameras) == (True, None)
    assert summary(two_cameras) == CERTIFIED
    send(two_cameras, moved(8, at=HOUR + timedelta(minutes=30), camera="cam-2"))
    assert standing(two_cameras) == (False, "moved")
    half = span(87, 115, "mixed")
    assert summary(two_cameras) == half
    (line,) = two_cameras.read("/venues/corner-shop/lines")["lines"]
    assert (line["interval_in"], line["interval_out"]) == (half, half)
    hours = {hour["start"][11:13]: hour["interval"] for hour in two_cameras.read("/venues/corner-shop/series")["parts"]}
    assert hours["09"] == span(0, 0, "certificate")
    assert hours["12"] == half
    assert hours["14"] == span(0, 0, "benchmark")
    send(two_cameras, back(9, at=HOUR + timedelta(minutes=50), camera="cam-2"))
    assert standing(two_cameras) == (True, None)
    assert summary(two_cameras) == CERTIFIED


def test_the_first_camera_of_the_scene_to_look_elsewhere_ends_it(two_cameras: Api) -> None:
    send(two_cameras, moved(8, at=HOUR, camera="cam-2"), moved(9, at=HOUR + timedelta(minutes=50)))
    assert summary(two_cameras) == {**BENCHMARK, "rests_on": "mixed"}
    send(two_cameras, back(10, at=HOUR + timedelta(minutes=50), camera="cam-2"))
    assert summary(two_cameras) == {**CERTIFIED, "rests_on": "mixed"}
    assert standing(two_cameras) == (False, "moved")


def test_a_camera_of_another_scene_ends_nothing(door: Api) -> None:
    with_a_till: Any = configuration(3, at=HOUR, entrance="door", setup=SETUP, cameras=["cam-1", "cam-2"])
    with_a_till["layout"]["scenes"].append({"scene": "till", "counting": False})
    with_a_till["layout"]["cameras"][1]["scene"] = "till"
    send(door, with_a_till, certificate(4), moved(5, at=HOUR, camera="cam-2"))
    assert standing(door) == (True, None)
    assert summary(door) == CERTIFIED


def test_only_cameras_that_were_of_its_scene_when_it_was_checked_end_it(door: Api) -> None:
    both = configuration(3, at=NOW, entrance="door", setup=OTHER_SETUP, config="e" * 32, cameras=["cam-1", "cam-2"])
    send(door, certificate(4), both, moved(7, at=HOUR, camera="cam-2"))
    assert standing(door) == (False, "changed")
    assert summary(door) == {**CERTIFIED, "rests_on": "mixed"}
    send(door, certificate(6, at=HOUR - timedelta(minutes=1), setup=OTHER_SETUP))
    assert standing(door) == (False, "moved")
    assert summary(door) == {**CERTIFIED, "rests_on": "mixed"}


def test_a_camera_of_the_same_name_on_another_box_ends_nothing(door: Api) -> None:
    other = door.make_box("box-2")
    door.send(other, configuration(1, at=HOUR, entrance="door", setup=SETUP), *watched(), box="box-2")
    door.send(other, crossing(2, inward=100, at=HOUR), certificate(3, ways={"in": POOR}), box="box-2")
    send(door, certificate(3))
    assert summary(door) == span(126, 354, "certificate")
    door.send(other, moved(4, at=HOUR), box="box-2")
    shown = {camera["box"]: camera["certificates"] for camera in door.read("/venues/corner-shop/cameras")}
    assert {box: (one["holds"], one["inward"]["matched"]) for box, (one,) in shown.items()} == {
        "box-1": (True, 20),
        "box-2": (False, 10),
    }
    lines = {line["box"]: line["interval_in"] for line in door.read("/venues/corner-shop/lines")["lines"]}
    assert lines == {"box-1": CERTIFIED, "box-2": {**BENCHMARK, "rests_on": "mixed"}}
    assert summary(door)["rests_on"] == "mixed"


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
