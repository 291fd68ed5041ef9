"""The files of docs/scaling/, as far as this machine has what reads them."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from cloud.backup.dump import back_up
from cloud.backup.restore import restore
from cloud.backup.target import Target
from cloud.ingest.commit import Committer
from cloud.settings import load_settings
from cloud.store.engine import reading
from cloud.store.schema import check_schema, migrate
from cloud.store.tables import Event
from cloud.upkeep import jobs_of, run_job
from tests.support.envelopes import NOW, deliver, enrol, envelope, rows_of, visit
from tests.support.tables import contents

FILES = Path(__file__).parents[2] / "docs" / "scaling"
OLD = NOW - timedelta(days=500)


@pytest.mark.parametrize("empty_engine", ["postgresql"], indirect=True)
def test_split_by_box_the_events_are_the_same_and_more_come(empty_engine: Engine) -> None:
    engine = empty_engine
    migrate(engine)
    for number in range(1, 21):
        enrol(engine, box=f"box-{number}")
        send(engine, number, 1)
    before = rows_of(engine, Event, box=None)
    split(engine)
    assert rows_of(engine, Event, box=None) == before
    check_schema(engine)
    for number in range(1, 21):
        send(engine, number, 1)
        send(engine, number, 2)
    assert len(rows_of(engine, Event, box=None)) == 40
    for job in jobs_of(retention_months=13, clock_is_right=True):
        run_job(engine, job, now=NOW)
    assert {row["seq"] for row in rows_of(engine, Event, box=None)} == {2}
    assert parts_of_events(engine) == 16


@pytest.mark.parametrize("empty_engine", ["postgresql"], indirect=True)
def test_a_database_that_was_split_is_restored_whole(empty_engine: Engine, tmp_path: Path) -> None:
    engine, target = empty_engine, Target(f"file://{tmp_path}/archives")
    migrate(engine)
    split(engine)
    for number in range(1, 5):
        enrol(engine, box=f"box-{number}")
        send(engine, number, 2)
    made, before = back_up(engine, target, now=NOW, full_after=timedelta()), contents(engine)
    send(engine, 1, 3)
    restore(engine, target, made, now=NOW, replace=True)
    assert contents(engine) == before
    assert parts_of_events(engine) == 0
    split(engine)
    assert contents(engine) == before
    assert parts_of_events(engine) == 16


@pytest.mark.parametrize("empty_engine", ["postgresql"], indirect=True)
def test_postgresql_knows_each_setting(empty_engine: Engine) -> None:
    lines = (FILES / "postgresql.conf").read_text().splitlines()
    names = {line.partition(" = ")[0] for line in lines if not line.startswith("#")}
    with reading(empty_engine) as found:
        known = set(found.execute(text("SELECT name FROM pg_settings")).scalars())
    assert len(names) > 5
    assert names <= known


def test_a_worker_starts_with_its_file(tmp_path: Path) -> None:
    for name in ("ca.pem", "cloud.pem", "cloud.key"):
        (tmp_path / name).touch()
    config = tmp_path / "worker.toml"
    config.write_text((FILES / "worker.toml").read_text().replace("/etc/footfall", str(tmp_path)))
    settings = load_settings(config)
    assert settings.broker.shared_group
    assert settings.broker.mqtt_version == "5"


def split(engine: Engine) -> None:
    """Run the file that splits the events by box."""
    with psycopg.connect(engine.url.render_as_string(hide_password=False).replace("+psycopg", "")) as connection:
        connection.execute((FILES / "partitions.sql").read_bytes())


def parts_of_events(engine: Engine) -> int:
    """Into how many parts the events are split."""
    with reading(engine) as found:
        parts = found.execute(text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass"))
        return int(parts.scalar_one())


def send(engine: Engine, number: int, seq: int) -> None:
    """A box's visit: the first is old."""
    at = OLD if seq == 1 else NOW
    payload = envelope([visit(seq, at=at)], box=f"box-{number}")
    Committer(engine, lambda: NOW).commit(deliver(payload, box=f"box-{number}"))
