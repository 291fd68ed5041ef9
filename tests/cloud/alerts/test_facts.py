import json
from datetime import timedelta

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.alerts.facts import read_facts
from cloud.alerts.rules import Facts
from cloud.ingest.commit import Committer
from cloud.live import Freshness, live_figures
from cloud.store.engine import reading
from cloud.store.moments import to_ms
from cloud.store.tables import Venue
from protocol.wire import format_utc
from tests.support.api import Api
from tests.support.envelopes import BOX, NOW, VENUE, JsonObject, configuration, deliver, item, occupancy


def facts_of(engine: Engine) -> Facts:
    with reading(engine) as connection, Session(connection) as session:
        return read_facts(session, now_ms=to_ms(NOW), watching_since_ms=0)


def people_in(engine: Engine) -> int | None:
    (load,) = facts_of(engine).loads
    return load.people


def scene(name: str, people: int, inside: int | None = None) -> JsonObject:
    said: JsonObject = {"scene": name, "people": people}
    return said if inside is None else {**said, "inside": inside}


def say_live(api: Api, *scenes: JsonObject, box: str = BOX, seconds_ago: float = 5) -> None:
    told: dict[str, JsonValue] = {
        "box": box, "venue": VENUE, "at": format_utc(NOW - timedelta(seconds=seconds_ago)),
        "mode": "live", "scenes": list(scenes),
    }  # fmt: skip
    received = max(NOW, NOW - timedelta(seconds=seconds_ago))
    Committer(api.engine, lambda: received).commit(deliver(json.dumps(told).encode(), box=box, leaf="live"))


@pytest.fixture
def api(engine: Engine) -> Api:
    api = Api(engine)
    api.make_venue(capacity=50)
    return api


@pytest.fixture
def key(api: Api) -> str:
    return api.make_box()


def test_without_any_word_nobody_knows_how_full_it_is(api: Api, key: str) -> None:
    assert people_in(api.engine) is None


def test_people_in_view_are_added_up_over_scenes_and_boxes(api: Api, key: str) -> None:
    api.make_box("box-2")
    say_live(api, scene("floor", 12), scene("cellar", 3))
    say_live(api, scene("attic", 7), box="box-2")
    assert people_in(api.engine) == 22


def test_in_less_out_counts_where_an_entrance_is_watched(api: Api, key: str) -> None:
    api.make_box("box-2")
    say_live(api, scene("door", 2, inside=61), scene("floor", 30))
    say_live(api, scene("back-door", 0, inside=-4), box="box-2")
    assert people_in(api.engine) == 57


def test_more_who_left_than_came_are_nobody(api: Api, key: str) -> None:
    say_live(api, scene("door", 0, inside=-3))
    assert people_in(api.engine) == 0


def test_a_scene_that_does_not_count_adds_nobody(api: Api, key: str) -> None:
    layout: JsonObject = {
        "mode": "live", "k": 5,
        "scenes": [{"scene": "floor", "counting": True}, {"scene": "overlap", "counting": False}],
        "cameras": [{"camera": "cam-1", "scene": "floor", "space": "ground-1"}],
        "spaces": [{"space": "ground-1", "coordinates": "floor", "floor": "ground", "cell": 0.5}],
    }  # fmt: skip
    api.send(key, item(1, "configuration", layout=layout))
    say_live(api, scene("floor", 12), scene("overlap", 12))
    assert people_in(api.engine) == 12


@pytest.mark.parametrize(("seconds_ago", "people"), [(90, 12), (91, None), (-90, 12), (-91, None)])
def test_a_live_message_is_believed_for_as_long_as_the_page_calls_it_current(
    seconds_ago: float, people: int | None, api: Api, key: str
) -> None:
    say_live(api, scene("floor", 12), seconds_ago=seconds_ago)
    with reading(api.engine) as connection, Session(connection) as session:
        shown = live_figures(session, venue=session.get_one(Venue, VENUE), now_ms=to_ms(NOW))
    assert people_in(api.engine) == people
    assert (shown.freshness is Freshness.CURRENT) == (people is not None)


def test_minute_reports_stand_in_for_live_messages(api: Api, key: str) -> None:
    def minute(seq: int, minutes_ago: int, *person_seconds: float) -> JsonObject:
        cameras: list[JsonValue] = [
            {
                "camera": f"cam-{number}", "watched_seconds": 60 if spent else 0, "analysed_frames": 9,
                "dropped_frames": 0, "person_seconds": spent, "max_people": 9,
            }
            for number, spent in enumerate(person_seconds)
        ]  # fmt: skip
        at = NOW - timedelta(minutes=minutes_ago)
        return occupancy(seq, at=at, cameras=cameras, zones=[], inside=None, drift=None)

    api.send(key, configuration(1), minute(2, 1, 240.0, 90.0, 0.0), minute(3, 2, 600.0))
    assert people_in(api.engine) == 6  # 4 + 1.5, of the newest minute alone
    say_live(api, scene("floor", 1))
    assert people_in(api.engine) == 1


def test_an_old_minute_report_is_not_believed(api: Api, key: str) -> None:
    api.send(key, occupancy(1, at=NOW - timedelta(minutes=6)))
    assert people_in(api.engine) is None


def test_in_less_out_is_read_from_minute_reports_too(api: Api, key: str) -> None:
    api.send(key, occupancy(1, at=NOW - timedelta(minutes=1), inside=33))
    assert people_in(api.engine) == 33


def test_only_venues_in_use_and_with_a_capacity_can_be_too_full(api: Api) -> None:
    api.make_venue("without-limit")
    assert [load.venue for load in facts_of(api.engine).loads] == [VENUE]
    api.write("POST", f"/venues/{VENUE}/archive")
    assert facts_of(api.engine).loads == ()


def test_only_boxes_that_were_heard_and_belong_somewhere_can_fall_silent(api: Api, key: str) -> None:
    api.make_box("never-heard")
    stray = api.make_box("stray", None)
    api.send(stray, box="stray")
    assert facts_of(api.engine).contacts == ()
    api.send(key)
    (contact,) = facts_of(api.engine).contacts
    assert (contact.box, contact.venue, contact.is_offline, contact.last_seen_ms) == (BOX, VENUE, False, to_ms(NOW))
    api.write("POST", f"/venues/{VENUE}/archive")
    assert facts_of(api.engine).contacts == ()


def test_a_box_that_said_good_bye_is_offline(api: Api, key: str) -> None:
    farewell = {"box": BOX, "venue": VENUE, "session": "5" * 16, "state": "offline"}
    Committer(api.engine, lambda: NOW).commit(deliver(json.dumps(farewell).encode(), leaf="status"))
    (contact,) = facts_of(api.engine).contacts
    assert contact.is_offline
