"""The cloud's database: every test that asks for `engine` runs on SQLite and on PostgreSQL.

Migrating takes longer than most tests, so it is done once for each kind: SQLite's file is copied, and PostgreSQL's
database is emptied before each test. A test that changes the schema itself asks for `empty_engine`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from cloud.store.engine import open_engine, writing
from cloud.store.identity import create_identity
from cloud.store.moments import utc_now
from cloud.store.schema import migrate
from tests.support.postgres import PostgresServer

DATABASES = [pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.needs_postgres)]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "footfall.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> str:
    """A PostgreSQL database with all tables, shared by all tests."""
    url = postgres_server.url_of(postgres_server.create_database())
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with all tables and no data."""
    if request.param == "sqlite":
        path = tmp_path / "footfall.sqlite"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        engine = open_engine(f"sqlite:///{path}")
    else:
        engine = open_engine(request.getfixturevalue("migrated_database"))
        _empty(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=DATABASES)
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database of this test's own, without tables."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    else:
        engine = open_engine(request.getfixturevalue("postgres_database"))
    yield engine
    engine.dispose()


def _empty(engine: Engine) -> None:
    """Without the order that foreign keys ask for; TRUNCATE of so many tables takes twenty times as long."""
    emptied = "; ".join(f'DELETE FROM "{name}"' for name in SQLModel.metadata.tables)  # noqa: S608  names of our own
    with writing(engine) as connection:
        connection.execute(text(f"SET LOCAL session_replication_role = replica; {emptied}"))
        connection.execute(text("SET LOCAL session_replication_role = origin"))
        create_identity(connection, utc_now())
