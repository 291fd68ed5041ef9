from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.boxes import assign_box
from cloud.ingest.commit import Committer
from cloud.live import Freshness, LiveFigures, live_figures, live_version
from cloud.store.engine import reading
from cloud.store.moments import to_ms
from cloud.venues import find_venue
from tests.support.envelopes import BOX, NOW, VENUE, configuration, deliver, enrol, envelope, item, live

SOON = NOW + timedelta(seconds=5)
LATER = NOW + timedelta(minutes=5)


def say(engine: Engine, *payloads: bytes, box: str = BOX) -> None:
    Committer(engine, lambda: NOW).commit(deliver(*payloads, box=box, leaf="live"))


def figures(engine: Engine, *, now: datetime = SOON) -> LiveFigures:
    with reading(engine) as connection, Session(connection) as session:
        return live_figures(session, venue=find_venue(session, venue=VENUE), now_ms=to_ms(now))


def version(engine: Engine, *, now: datetime = SOON) -> str:
    with reading(engine) as connection, Session(connection) as session:
        return live_version(session, venue=VENUE, now_ms=to_ms(now))


@pytest.fixture
def two_boxes(engine: Engine) -> Engine:
    for box in (BOX, "box-2"):
        enrol(engine, box=box)
        assign_box(engine, box=box, venue=VENUE, now=NOW)
    return engine


def test_nobody_spoke_yet(two_boxes: Engine) -> None:
    found = figures(two_boxes)
    assert (found.freshness, found.people, found.inside, found.at, found.boxes) == (
        Freshness.NONE,
        None,
        None,
        None,
        (),
    )


def test_the_words_of_all_boxes_add_up(two_boxes: Engine) -> None:
    say(two_boxes, live(people=3, inside=-2))
    say(two_boxes, live(box="box-2", people=4, inside=7), box="box-2")
    found = figures(two_boxes)
    assert (found.freshness, found.people, found.inside) == (Freshness.CURRENT, 7, 5)
    assert [(zone.box, zone.zone, zone.people) for zone in found.zones] == [(BOX, "shelf", 2), ("box-2", "shelf", 2)]
    assert found.at == "2026-11-20T13:00:00+01:00"


def test_more_out_than_in_is_nobody(two_boxes: Engine) -> None:
    say(two_boxes, live(people=0, inside=-3))
    assert figures(two_boxes).inside == 0


def test_a_silent_box_is_left_out_and_said_so(two_boxes: Engine) -> None:
    say(two_boxes, live(people=3, at=NOW - timedelta(minutes=3)))
    say(two_boxes, live(box="box-2", people=4), box="box-2")
    found = figures(two_boxes)
    assert (found.freshness, found.people) == (Freshness.PARTIAL, 4)
    assert [(box.box, box.is_current) for box in found.boxes] == [(BOX, False), ("box-2", True)]


def test_when_all_are_silent_their_last_words_are_shown_as_such(two_boxes: Engine) -> None:
    say(two_boxes, live(people=3))
    found = figures(two_boxes, now=LATER)
    assert (found.freshness, found.people, found.at) == (Freshness.STALE, 3, "2026-11-20T13:00:00+01:00")


def test_a_word_from_the_future_is_not_current(two_boxes: Engine) -> None:
    """As it was kept while the clock of the cloud ran ahead."""
    ahead = NOW + timedelta(days=3650)
    Committer(two_boxes, lambda: ahead).commit(deliver(live(people=9, at=ahead), leaf="live"))
    assert figures(two_boxes).freshness is Freshness.STALE
    say(two_boxes, live(box="box-2", people=4), box="box-2")
    assert (figures(two_boxes).freshness, figures(two_boxes).people) == (Freshness.PARTIAL, 4)


def test_only_scenes_that_count_are_counted(two_boxes: Engine) -> None:
    store_room = item(2, "configuration", at=NOW - timedelta(hours=1), layout={
        "mode": "statistics", "k": 5, "cameras": [], "spaces": [],
        "scenes": [{"scene": "store-room", "counting": False}],
    })  # fmt: skip
    committer = Committer(two_boxes, lambda: NOW)
    committer.commit(deliver(envelope([configuration(1), {**store_room, "config": "d" * 32}])))
    committer.commit(deliver(envelope([{**configuration(1), "config": "e" * 32}], box="box-2"), box="box-2"))
    say(two_boxes, live(people=3))
    say(two_boxes, live(box="box-2", scene="store-room", people=9), box="box-2")
    assert figures(two_boxes).people == 3


def test_a_box_that_moved_away_no_longer_speaks_for_the_venue(two_boxes: Engine) -> None:
    say(two_boxes, live(people=3))
    enrol(two_boxes, box="box-3", venue="other-shop")
    assign_box(two_boxes, box=BOX, venue="other-shop", now=SOON)
    assert figures(two_boxes).freshness is Freshness.NONE


def test_the_version_changes_with_each_new_word_and_with_silence(two_boxes: Engine) -> None:
    seen = [version(two_boxes)]
    say(two_boxes, live(people=3))
    seen += [version(two_boxes), version(two_boxes)]
    say(two_boxes, live(people=4, at=NOW + timedelta(seconds=1)))
    seen += [version(two_boxes), version(two_boxes, now=LATER)]
    assert seen[1] == seen[2]
    assert len(set(seen)) == 4
