from datetime import timedelta

import pytest
from sqlalchemy import Engine

from cloud.ingest.commit import Committer
from cloud.ingest.release import release_box
from cloud.store.moments import to_ms
from cloud.store.tables import Certificate
from tests.support.envelopes import NOW, SETUP, JsonObject, certificate, deliver, enrol, envelope, rows_of


@pytest.fixture
def committer(engine: Engine) -> Committer:
    return Committer(engine, lambda: NOW)


def test_a_certificate_is_kept_once_however_often_it_comes(engine: Engine, committer: Committer) -> None:
    enrol(engine)
    one_way = certificate(2, at=NOW, ways={"out": {"counted": 19, "by_hand": 20, "matched": 18}})
    for _ in range(2):
        committer.commit(deliver(envelope([certificate(1), one_way])))
    first, second = rows_of(engine, Certificate)
    assert (first["line"], first["camera"], first["setup"], first["method"]) == ("door", "cam-1", SETUP, "moments")
    assert (first["in_counted"], first["in_by_hand"], first["out_matched"]) == (20, 20, 20)
    assert (second["in_counted"], second["in_by_hand"], second["in_matched"]) == (None, None, None)
    assert (second["out_counted"], second["out_by_hand"], second["out_matched"]) == (19, 20, 18)
    assert (first["at_ms"], second["at_ms"]) == (to_ms(NOW - timedelta(minutes=90)), to_ms(NOW))


def test_one_without_a_place_in_time_is_kept_too(engine: Engine, committer: Committer) -> None:
    enrol(engine)
    committer.commit(deliver(envelope([certificate(1, at=None)])))
    assert [(row["at_ms"], row["latest_ms"]) for row in rows_of(engine, Certificate)] == [(None, to_ms(NOW))]


def test_one_that_was_held_is_kept_when_it_is_let_in(engine: Engine, committer: Committer) -> None:
    committer.commit(deliver(envelope([certificate(1)])))
    assert rows_of(engine, Certificate) == []
    enrol(engine)
    assert release_box(engine, "box-1", NOW).counted == 1
    assert len(rows_of(engine, Certificate)) == 1


@pytest.mark.parametrize(
    "ways", [{"in": {"counted": 3, "by_hand": 4, "matched": 5}}, {"in": {"counted": -1, "by_hand": 4, "matched": 0}}]
)
def test_one_that_cannot_be_is_rejected(engine: Engine, committer: Committer, ways: JsonObject) -> None:
    enrol(engine)
    (acknowledgement,) = committer.commit(deliver(envelope([certificate(1, ways=ways)])))
    assert acknowledgement.ack.rejected == (1,)
    assert rows_of(engine, Certificate) == []
