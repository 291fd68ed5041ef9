import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, QueuePool, text

from cloud.errors import StoreError
from cloud.store.engine import open_engine, reading, store_name, writing, writing_later
from cloud.store.schema import check_schema, migrate
from tests.support.ports import free_port


def test_sqlite_survives_the_power(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    with reading(engine) as connection:
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]
    engine.dispose()


def test_an_error_rolls_everything_back(empty_engine: Engine) -> None:
    with writing(empty_engine) as connection:
        connection.execute(text("CREATE TABLE note (word TEXT)"))
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(empty_engine)
    with reading(empty_engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM note")).scalar() == 0


def _write_and_fail(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO note VALUES ('lost')"))
        raise ZeroDivisionError


def test_a_later_writer_holds_nothing_until_it_begins(empty_engine: Engine) -> None:
    pool = empty_engine.pool
    assert isinstance(pool, QueuePool)
    with writing_later(empty_engine) as session:
        assert pool.checkedout() == 0
        with writing(empty_engine) as connection:
            connection.execute(text("CREATE TABLE note (word TEXT)"))
        session.connection().execute(text("INSERT INTO note VALUES ('kept')"))
        assert pool.checkedout() == 1
    with pytest.raises(ZeroDivisionError):
        _write_later_and_fail(empty_engine)
    assert pool.checkedout() == 0
    with reading(empty_engine) as connection:
        assert connection.execute(text("SELECT word FROM note")).scalars().all() == ["kept"]


def _write_later_and_fail(engine: Engine) -> None:
    with writing_later(engine) as session:
        session.connection().execute(text("INSERT INTO note VALUES ('lost')"))
        raise ZeroDivisionError


def test_writers_that_read_first_wait_for_each_other(empty_engine: Engine) -> None:
    with writing(empty_engine) as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count() -> None:
        for _ in range(20):
            with writing(empty_engine) as connection:
                value = connection.execute(text("SELECT value FROM counter FOR UPDATE" if postgres else _READ)).scalar()
                connection.execute(text("UPDATE counter SET value = :value"), {"value": (value or 0) + 1})

    postgres = empty_engine.dialect.name == "postgresql"
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(empty_engine) as connection:
        assert connection.execute(text(_READ)).scalar() == 80


_READ = "SELECT value FROM counter"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("nonsense", "cannot be read", id="no address"),
        pytest.param("mysql://host/name", "mysql is not supported", id="another database"),
        pytest.param("sqlite://", "needs a file", id="SQLite in memory"),
    ],
)
def test_addresses_that_cannot_work(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        open_engine(url)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'absent' / 'footfall.sqlite'}")
    with pytest.raises(StoreError, match=r"absent/footfall\.sqlite: it cannot be opened"):
        check_schema(engine)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database\n" * 200)
    engine = open_engine(f"sqlite:///{tmp_path / 'notes.txt'}")
    with pytest.raises(StoreError, match=r"notes\.txt: the file is not an SQLite database"):
        check_schema(engine)
    engine.dispose()


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    engine = open_engine(f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/footfall")
    with pytest.raises(StoreError, match="the server does not answer") as raised:
        check_schema(engine)
    assert "secret" not in str(raised.value)
    assert "secret" not in store_name(engine)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE filler (word TEXT)"))
        # the pages that the file may have are the only disk that a test can fill without a file system of its own
        connection.execute(text(f"PRAGMA max_page_count = {connection.execute(text('PRAGMA page_count')).scalar()}"))
        with pytest.raises(StoreError, match="the disk is full"):
            connection.execute(text("INSERT INTO filler VALUES (:word)"), {"word": "x" * 1_000_000})
    engine.dispose()


def test_a_missing_table_says_what_to_run(empty_engine: Engine) -> None:
    with reading(empty_engine) as connection, pytest.raises(StoreError, match="footfall cloud migrate"):
        connection.execute(text("SELECT * FROM venue"))


def test_opening_a_database_writes_nothing_into_it(tmp_path: Path) -> None:
    """So that it opens on a full disk too, and while somebody else writes."""
    path = tmp_path / "footfall.sqlite"
    first = open_engine(f"sqlite:///{path}")
    migrate(first)
    with writing(first) as connection:
        connection.execute(text("UPDATE store SET created_ms = 0"))
        second = open_engine(f"sqlite:///{path}")
        with reading(second) as other:
            assert other.execute(text("PRAGMA auto_vacuum")).scalar() == 2
        second.dispose()
    first.dispose()


def test_a_database_that_is_made_here_is_its_owners_alone(tmp_path: Path) -> None:
    """And what SQLite lays beside it; a file that is there already keeps its rights."""
    before = os.umask(0o022)
    try:
        for name in ("new", "old"):
            path = tmp_path / name
            if name == "old":
                path.touch(0o640)
            engine = open_engine(f"sqlite:///{path}")
            with writing(engine) as connection:
                connection.execute(text("CREATE TABLE a (b TEXT)"))
                modes = {found.name: found.stat().st_mode & 0o777 for found in tmp_path.glob(f"{name}*")}
            expected = 0o600 if name == "new" else 0o640
            assert modes == {name: expected, f"{name}-wal": expected, f"{name}-shm": expected}
            engine.dispose()
    finally:
        os.umask(before)


def test_connections_of_one_process_do_not_take_each_others_locks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'footfall.sqlite'}"
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE kept (one INTEGER)"))
    with reading(engine), reading(engine):
        pass  # a second connection was made beside the first, and both are kept
    assert _counted_elsewhere(tmp_path / "footfall.sqlite") == 0
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    found = _counted_elsewhere(tmp_path / "footfall.sqlite")
    engine.dispose()
    assert found == 1


def _counted_elsewhere(path: Path) -> int:
    """What another process finds, which closes the file thereafter."""
    program = (
        "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]);"
        " print(file.execute('SELECT count(*) FROM kept').fetchone()[0]); file.close()"
    )
    said = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
    return int(said.stdout)
