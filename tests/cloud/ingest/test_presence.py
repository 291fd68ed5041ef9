import json
from datetime import timedelta

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.ingest.commit import Committer
from cloud.ingest.intake import intake
from cloud.store.moments import to_ms
from cloud.store.tables import Box, Live
from protocol.wire import format_utc
from tests.support.envelopes import BOX, NOW, VENUE, deliver, enrol, rows_of, topic

FIRST, SECOND = "1" * 16, "2" * 16


def status(session: str, state: str, **fields: JsonValue) -> bytes:
    told: dict[str, JsonValue] = {"box": BOX, "venue": VENUE, "session": session, "state": state, "mode": "live"}
    return json.dumps({**told, **fields}).encode()


def live(minutes: int, *, people: int, venue: str = VENUE) -> bytes:
    at = format_utc(NOW + timedelta(minutes=minutes))
    scenes = [{"scene": "floor", "people": people}]
    return json.dumps({"box": BOX, "venue": venue, "at": at, "mode": "live", "scenes": scenes}).encode()


@pytest.mark.parametrize(
    ("told", "state", "session"),
    [
        pytest.param([(FIRST, "online")], "online", FIRST, id="a birth"),
        pytest.param([(FIRST, "online"), (FIRST, "offline")], "offline", FIRST, id="a death"),
        pytest.param([(FIRST, "online"), (SECOND, "online"), (FIRST, "offline")], "online", SECOND, id="a late death"),
        pytest.param([(FIRST, "offline")], "offline", None, id="a death before any birth"),
        pytest.param([(FIRST, "online"), (FIRST, "asleep")], "unknown", FIRST, id="a state of a later version"),
    ],
)
def test_births_and_deaths(engine: Engine, told: list[tuple[str, str]], state: str, session: str | None) -> None:
    committer = Committer(engine, lambda: NOW)
    for one in told:
        assert committer.commit(deliver(status(*one), leaf="status")) == ()
    (box,) = rows_of(engine, Box)
    assert (box["state"], box["session"]) == (state, session)


def test_a_death_keeps_what_the_birth_told(engine: Engine) -> None:
    committer = Committer(engine, lambda: NOW)
    committer.commit(deliver(status(FIRST, "online", version="0.1.0"), status(FIRST, "offline"), leaf="status"))
    assert json.loads(str(rows_of(engine, Box)[0]["status"]))["version"] == "0.1.0"


def test_a_retained_status_is_no_sign_of_life(engine: Engine) -> None:
    retained = intake(topic("status"), status(FIRST, "online"), retained=True)
    Committer(engine, lambda: NOW).commit((retained,))
    assert rows_of(engine, Box)[0]["last_seen_ms"] is None


def test_the_newest_live_message_stays(engine: Engine) -> None:
    enrol(engine)
    committer = Committer(engine, lambda: NOW)
    for payload in (live(0, people=3), live(-1, people=9)):
        committer.commit(deliver(payload, leaf="live"))
    (row,) = rows_of(engine, Live)
    assert (row["at_ms"], '"people":3' in row["body"]) == (to_ms(NOW), True)


def kept_live(engine: Engine) -> tuple[int, int]:
    """When the kept word of the box was said, and how many people it tells of."""
    (row,) = rows_of(engine, Live)
    return row["at_ms"], json.loads(row["body"])["scenes"][0]["people"]


@pytest.mark.parametrize("ahead", [1, 60 * 24 * 3650], ids=["a minute", "ten years"])
def test_what_a_box_says_whose_clock_is_ahead_was_said_when_it_came(engine: Engine, ahead: int) -> None:
    enrol(engine)
    Committer(engine, lambda: NOW).commit(deliver(live(ahead, people=3), leaf="live"))
    assert kept_live(engine) == (to_ms(NOW), 3)
    soon = NOW + timedelta(seconds=30)
    Committer(engine, lambda: soon).commit(deliver(live(ahead, people=7), leaf="live"))
    assert kept_live(engine) == (to_ms(soon), 7)
    later = NOW + timedelta(minutes=1)
    Committer(engine, lambda: later).commit(deliver(live(1, people=8), leaf="live"))
    assert kept_live(engine) == (to_ms(later), 8)


def test_what_the_broker_kept_of_a_box_whose_clock_was_ahead_tells_nothing(engine: Engine) -> None:
    enrol(engine)
    committer = Committer(engine, lambda: NOW)
    committer.commit(deliver(live(-1, people=3), leaf="live"))
    committer.commit((intake(topic("live"), live(9, people=7), retained=True),))
    assert kept_live(engine) == (to_ms(NOW - timedelta(minutes=1)), 3)
    committer.commit((intake(topic("live"), live(0, people=7), retained=True),))
    assert kept_live(engine) == (to_ms(NOW), 7)


def test_what_is_kept_from_the_future_gives_way(engine: Engine) -> None:
    """As a cloud kept it whose own clock ran ahead."""
    enrol(engine)
    leapt = NOW + timedelta(days=3650)
    Committer(engine, lambda: leapt).commit(deliver(live(60 * 24 * 3650, people=3), leaf="live"))
    Committer(engine, lambda: NOW).commit(deliver(live(0, people=7), leaf="live"))
    assert kept_live(engine) == (to_ms(NOW), 7)


def test_live_of_a_venue_that_the_box_is_not_in_is_not_shown(engine: Engine) -> None:
    enrol(engine)
    Committer(engine, lambda: NOW).commit(deliver(live(0, people=3, venue="elsewhere"), leaf="live"))
    assert rows_of(engine, Live) == []
