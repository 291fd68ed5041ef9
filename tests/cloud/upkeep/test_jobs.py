"""When a job is due, how its run is written down, and that only one process does it."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, make_url

from cloud.errors import Conflict, StoreError
from cloud.ingest.commit import Committer
from cloud.store.engine import open_engine, writing
from cloud.store.moments import to_ms
from cloud.store.schema import migrate
from cloud.store.tables import Event
from cloud.upkeep import Job, JobName, LastRun, UpkeepWatch, jobs_of, last_runs, run_job, vacuum
from cloud.upkeep.jobs import is_due
from cloud.upkeep.vacuum import give_room_back
from tests.support.api import Clock
from tests.support.envelopes import NOW, deliver, enrol, envelope, rows_of, visit

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def hours_ago(hours: float) -> datetime:
    return NOON - timedelta(hours=hours)


def run_at(started: datetime, *, succeeded: datetime | None) -> LastRun:
    return LastRun(started_ms=to_ms(started), succeeded_ms=to_ms(succeeded) if succeeded else None, gone=0, trouble="")


@pytest.mark.parametrize(
    ("last", "due"),
    [
        pytest.param(None, True, id="never done"),
        pytest.param(run_at(hours_ago(9), succeeded=hours_ago(9)), False, id="done today"),
        pytest.param(run_at(hours_ago(11), succeeded=hours_ago(11)), True, id="done before today's hour"),
        pytest.param(run_at(hours_ago(2), succeeded=None), True, id="failed two hours ago"),
        pytest.param(run_at(hours_ago(0.8), succeeded=None), False, id="tried within the hour"),
        pytest.param(run_at(hours_ago(2), succeeded=hours_ago(24)), True, id="failed since"),
        pytest.param(run_at(hours_ago(-9000), succeeded=hours_ago(-9000)), True, id="done under a clock ahead"),
        pytest.param(run_at(hours_ago(-9000), succeeded=None), True, id="failed under a clock ahead"),
        pytest.param(run_at(hours_ago(0.8), succeeded=hours_ago(-9000)), False, id="tried since the clock is right"),
        pytest.param(run_at(hours_ago(9), succeeded=hours_ago(-9000)), True, id="failed since the clock is right"),
    ],
)  # fmt: skip
def test_a_job_is_due_once_a_day_and_an_hour_after_a_failure(last: LastRun | None, *, due: bool) -> None:
    assert is_due(last, now=NOON, hour=2) is due


def test_before_its_hour_a_job_of_yesterday_is_not_due() -> None:
    last = run_at(hours_ago(20), succeeded=hours_ago(20))
    assert not is_due(last, now=NOON, hour=15)
    assert is_due(last, now=NOON + timedelta(hours=3), hour=15)


def job(*steps: int | Exception, name: JobName = JobName.RETENTION) -> Job:
    """A job that takes so much away, step by step, or fails."""

    def work(_engine: Engine, _now: datetime) -> Iterator[int]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    return Job(name=name, unit="rows", steps=work)


def test_a_run_is_written_down(engine: Engine) -> None:
    assert run_job(engine, job(3, 4), now=NOON) == 7
    noon_ms = to_ms(NOON)
    assert last_runs(engine) == {"retention": LastRun(started_ms=noon_ms, succeeded_ms=noon_ms, gone=7, trouble="")}


def test_a_failure_is_written_down_and_the_success_before_stays(engine: Engine) -> None:
    run_job(engine, job(1), now=NOON)
    later = NOON + timedelta(days=1)
    with pytest.raises(StoreError, match="the disk is full"):
        run_job(engine, job(5, StoreError("the disk is full")), now=later)
    found = last_runs(engine)["retention"]
    assert (found.started_ms, found.succeeded_ms) == (to_ms(later), to_ms(NOON))
    assert (found.gone, found.trouble) == (5, "the disk is full")


def test_a_run_that_is_broken_off_has_not_succeeded(engine: Engine) -> None:
    assert run_job(engine, job(2, 2, 2), now=NOON, may_go_on=lambda: False) == 2
    found = last_runs(engine)["retention"]
    assert (found.succeeded_ms, found.gone, found.trouble) == (None, 2, "broken off")


def test_only_one_process_does_what_is_due(engine: Engine) -> None:
    clock, done = Clock(), []

    def watch(name: str) -> UpkeepWatch:
        def work(_engine: Engine, _now: datetime) -> Iterator[int]:
            done.append(name)
            yield 1

        return UpkeepWatch(engine, [Job(name=JobName.VACUUM, unit="pages", steps=work)], clock=clock, hour=2)

    first, second = watch("first"), watch("second")
    for _ in range(3):
        first.work()
        second.work()
    assert done == ["first"]
    clock.now += timedelta(days=1)
    second.work()
    first.work()
    assert done == ["first", "second"]


def test_a_loop_that_is_stopped_lets_another_in_at_once(engine: Engine) -> None:
    clock, stop = Clock(), threading.Event()
    stop.set()
    first = UpkeepWatch(engine, [], clock=clock, hour=2)
    first.work()
    first.run(stop)
    second = UpkeepWatch(engine, [job(1)], clock=clock, hour=2)
    second.work()
    assert "retention" in last_runs(engine)


def test_retention_knows_when_it_was_last_done(engine: Engine) -> None:
    enrol(engine)
    days = (395, 380, 30, 10, 0)
    items = [visit(seq, at=NOW - timedelta(days=ago)) for seq, ago in enumerate(days, 1)]
    Committer(engine, lambda: NOW).commit(deliver(envelope(items)))
    (retention,) = (job for job in jobs_of(retention_months=13) if job.name is JobName.RETENTION)
    with pytest.raises(Conflict):
        run_job(engine, retention, now=NOW + timedelta(days=3))
    run_job(engine, retention, now=NOW - timedelta(days=20))
    assert run_job(engine, retention, now=NOW + timedelta(days=3)) == 1


def test_all_jobs_run_beside_the_ingest(engine: Engine) -> None:
    enrol(engine)
    old = NOW - timedelta(days=500)
    Committer(engine, lambda: old).commit(deliver(envelope([visit(seq, at=old) for seq in range(1, 51)])))
    Committer(engine, lambda: NOW).commit(deliver(envelope([visit(51)])))
    watch = UpkeepWatch(engine, jobs_of(retention_months=13, clock_is_right=True), clock=Clock(), hour=2)
    worker = threading.Thread(target=watch.work)
    worker.start()
    for seq in range(52, 71):
        Committer(engine, lambda: NOW).commit(deliver(envelope([visit(seq)])))
    worker.join()
    assert len(rows_of(engine, Event)) == 20
    found = last_runs(engine)
    assert {name: run.trouble for name, run in found.items()} == dict.fromkeys(JobName, "")
    assert found["retention"].gone == 50


def test_an_sqlite_file_grows_smaller(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(engine)
    enrol(engine)
    for start in range(1, 8_001, 400):
        items = [visit(seq, at=NOW) for seq in range(start, start + 400)]
        for part in range(0, 400, 100):
            Committer(engine, lambda: NOW).commit(deliver(envelope(items[part : part + 100])))
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM event")
    path = Path(str(make_url(str(engine.url)).database))
    list(give_room_back(engine))
    full = path.stat().st_size
    assert sum(give_room_back(engine)) == 0
    with sqlite3.connect(path) as connection:
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    assert free == 0
    assert full < 1_000_000
    assert not path.with_name("footfall.sqlite-wal").stat().st_size
    engine.dispose()


def test_a_file_that_stays_locked_is_told_as_any_other_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first statement that asks for the lock, which SQLAlchemy does not see."""
    monkeypatch.setattr(vacuum, "PAUSE_SECONDS", 0.0)
    path = tmp_path / "footfall.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 0"))
    migrate(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE room (filled BLOB)")
        connection.exec_driver_sql("INSERT INTO room VALUES (zeroblob(1000000))")
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM room")
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it locked"):
            list(give_room_back(engine))
        another.execute("ROLLBACK")
    assert sum(give_room_back(engine)) > 200
    engine.dispose()


@pytest.mark.parametrize(("times", "is_waited_for"), [(1, True), (3, True), (vacuum.TRIES, False)])
def test_what_another_locks_is_waited_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, is_waited_for: bool
) -> None:
    monkeypatch.setattr(vacuum, "PAUSE_SECONDS", 0.0)
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(engine)
    tries: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _refuse(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement == "PRAGMA optimize" and len(tries) < times:
            tries.append(statement)
            locked = sqlite3.OperationalError("database is locked")
            locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise StoreError("another program holds it locked") from locked

    with nullcontext() if is_waited_for else pytest.raises(StoreError, match="locked"):
        list(give_room_back(engine))
    assert len(tries) == times
    engine.dispose()
