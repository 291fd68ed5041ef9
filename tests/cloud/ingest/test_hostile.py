"""A first thousand hostile messages; `make bench NAME=fuzz` tries two hundred thousand."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from cloud.ingest import commit
from cloud.ingest.commit import Committer
from cloud.store.engine import writing
from tests.support import hostile_trial
from tests.support.api import ON_SQLITE
from tests.support.hostile_trial import attack_box, attack_cloud


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_is_published_breaks_the_ingest(engine: Engine, seed: int) -> None:
    outcome = attack_cloud(engine, seed=seed, inputs=700)
    assert outcome.broken == []
    assert outcome.kinds.keys() == {"EnvelopeDelivery", "Refused", "StatusDelivery", "LiveDelivery", "Foreign"}
    assert all(outcome.items[verdict] > 10 for verdict in ("counted", "held", "rejected", "repeated")), outcome.items


def test_no_answer_breaks_a_box(tmp_path: Path) -> None:
    outcome = attack_box(tmp_path, seed=1, inputs=600)
    assert outcome.broken == []
    assert len(outcome.kinds) > 1, "no answer settled anything"


@ON_SQLITE
def test_a_reader_that_raises_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def intake(topic: str, payload: bytes) -> None:
        raise KeyError(topic, payload)

    monkeypatch.setattr(hostile_trial, "intake", intake)
    assert len(attack_cloud(engine, seed=1, inputs=5).broken) == 5


@ON_SQLITE
def test_an_answer_that_is_missing_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committer, "commit", lambda _self, _deliveries: ())
    assert any(said.startswith("no answer to") for said in attack_cloud(engine, seed=1, inputs=40).broken)


@ON_SQLITE
def test_an_item_that_is_lost_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_one(self: Committer, deliveries: object) -> object:
        answers = real(self, deliveries)  # type: ignore[arg-type]
        with writing(engine) as connection:
            connection.execute(text("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)"))
        return answers

    real = Committer.commit
    monkeypatch.setattr(commit.Committer, "commit", lose_one)
    assert any("are not what is kept" in said for said in attack_cloud(engine, seed=1, inputs=60).broken)


@ON_SQLITE
def test_what_the_database_does_not_take_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def unstorable(*_arguments: object, **_named: object) -> None:
        raise OverflowError("too large an integer")

    monkeypatch.setattr(commit, "note_status", unstorable)
    assert any("could not be stored" in said for said in attack_cloud(engine, seed=1, inputs=60).broken)
