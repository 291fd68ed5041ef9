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


def test_live_of_a_venue_that_the_box_is_not_in_is_not_shown(engine: Engine) -> None:
    enrol(engine)
    Committer(engine, lambda: NOW).commit(deliver(live(0, people=3, venue="elsewhere"), leaf="live"))
    assert rows_of(engine, Live) == []
