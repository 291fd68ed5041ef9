import json
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from cloud.ingest import release
from cloud.ingest.commit import Committer
from cloud.ingest.release import decide_clone, release_box, release_due, release_known, release_waiting
from cloud.store.engine import writing
from cloud.store.tables import DeadLetter, EpochRecord, Event, Held, Rollup, Tile
from cloud.store.upsert import table_of
from tests.support.envelopes import (
    BOX,
    EPOCH,
    NOW,
    configuration,
    deliver,
    enrol,
    envelope,
    item,
    rows_of,
    tile,
    visit,
)

OTHER_EPOCH = "b" * 16


def visits_counted(engine: Engine) -> int:
    return sum(row["value"] for row in rows_of(engine, Rollup) if row["metric"] == "visits")


def commit(engine: Engine, *payloads: bytes) -> None:
    Committer(engine, lambda: NOW).commit(deliver(*payloads))


def test_the_future_counts_when_it_has_come(engine: Engine) -> None:
    enrol(engine)
    commit(engine, envelope([visit(1, at=NOW + timedelta(hours=1)), tile(2, at=NOW + timedelta(hours=3))]))
    assert release_due(engine, NOW + timedelta(minutes=59)).counted == 0
    assert release_due(engine, NOW + timedelta(hours=2)).counted == 1
    assert visits_counted(engine) == 1
    assert release_due(engine, NOW + timedelta(hours=3)).counted == 1
    assert len(rows_of(engine, Tile)) == 3
    assert rows_of(engine, Held) == []


def test_an_assigned_box_counts_from_its_enrolment_on(engine: Engine) -> None:
    commit(engine, envelope([configuration(1), visit(2), visit(3, at=NOW - timedelta(days=9))]))
    enrol(engine, start=NOW - timedelta(days=1))
    assert release_box(engine, BOX, NOW).counted == 2
    assert visits_counted(engine) == 1
    assert [(row["seq"], row["reason"]) for row in rows_of(engine, Held)] == [(3, "not-enrolled")]
    assert release_box(engine, BOX, NOW).counted == 0


def test_a_released_item_is_not_taken_again(engine: Engine) -> None:
    payload = envelope([visit(1)])
    commit(engine, payload)
    enrol(engine)
    release_box(engine, BOX, NOW)
    commit(engine, payload)
    assert visits_counted(engine) == 1
    assert len(rows_of(engine, Event)) == 1


def test_an_item_that_waits_for_two_reasons_waits_on(engine: Engine) -> None:
    commit(engine, envelope([visit(1, at=NOW + timedelta(hours=1))]))
    assert release_due(engine, NOW + timedelta(hours=2)).counted == 0
    assert [row["reason"] for row in rows_of(engine, Held)] == ["not-enrolled"]


def test_an_upgrade_moves_what_it_understands(engine: Engine) -> None:
    enrol(engine)
    commit(engine, envelope([item(seq, "novelty") for seq in (1, 2, 3)]))
    bodies = {1: visit(1), 2: visit(2, dwell_seconds=-1)}
    with writing(engine) as connection:  # as if the version that knows the type had a model for these bodies
        held = table_of(Held)
        for seq, body in bodies.items():
            values = {"type": "visit", "body": json.dumps(body)}
            connection.execute(held.update().where(held.c.seq == seq).values(values))
    assert release_known(engine, NOW).counted == 2
    assert visits_counted(engine) == 1
    assert [row["seq"] for row in rows_of(engine, DeadLetter)] == [2]
    assert [row["seq"] for row in rows_of(engine, Held)] == [3]


def test_more_items_than_one_transaction_takes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "ITEMS_PER_TRANSACTION", 7)
    commit(engine, envelope([visit(seq) for seq in range(1, 31)]))
    enrol(engine)
    assert release_waiting(engine, NOW).counted == 30
    assert visits_counted(engine) == 30


def test_an_item_that_cannot_be_counted_does_not_hold_up_the_others(engine: Engine) -> None:
    full = [tile(seq, cells=[0], values=[2**31 - 1]) for seq in (2, 4)]
    commit(engine, envelope([visit(1), full[0], visit(3), full[1], visit(5)]))
    enrol(engine)
    assert release_box(engine, BOX, NOW).counted == 5
    assert visits_counted(engine) == 3
    assert [(row["seq"], "heat-map cell" in row["reason"]) for row in rows_of(engine, DeadLetter)] == [(4, True)]
    assert rows_of(engine, Held) == []


class TestClone:
    """What a person decides about an exchange that wrote in two places."""

    @pytest.fixture(autouse=True)
    def _clone(self, engine: Engine) -> None:
        enrol(engine)
        commit(engine, envelope([visit(1)], sent_at=NOW - timedelta(minutes=9)))
        commit(engine, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW))
        commit(engine, envelope([visit(2), visit(3)], sent_at=NOW + timedelta(minutes=1)))
        assert visits_counted(engine) == 2

    def test_accepted(self, engine: Engine) -> None:
        assert decide_clone(engine, box=BOX, epoch=EPOCH, accept=True, now=NOW).counted == 2
        commit(engine, envelope([visit(4)], sent_at=NOW + timedelta(minutes=5)))
        assert visits_counted(engine) == 5
        assert not any(row["cloned"] for row in rows_of(engine, EpochRecord))

    def test_discarded(self, engine: Engine) -> None:
        assert decide_clone(engine, box=BOX, epoch=EPOCH, accept=False, now=NOW).discarded == 2
        commit(engine, envelope([visit(2), visit(4)], sent_at=NOW + timedelta(minutes=5)))
        assert visits_counted(engine) == 2
        assert [row["seq"] for row in rows_of(engine, Held)] == [4]
