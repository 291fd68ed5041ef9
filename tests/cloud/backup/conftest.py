"""Databases, and targets to keep them in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cloud.backup.target import Target
from cloud.store.engine import open_engine
from tests.support.s3_server import S3Server


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database beside `engine`, without tables."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    else:
        engine = open_engine(request.getfixturevalue("postgres_database"))
    yield engine
    engine.dispose()


@pytest.fixture
def source(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """A database to be kept, where it does not matter of which kind."""
    shutil.copy(migrated_file, tmp_path / "source.sqlite")
    engine = open_engine(f"sqlite:///{tmp_path / 'source.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 server, shared by all tests."""
    with S3Server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Target:
    """A folder that is not there yet."""
    return Target(f"file://{tmp_path}/archives")


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A folder, and a bucket's prefix of this test's own."""
    if request.param == "folder":
        found: Target = request.getfixturevalue("folder")
        return found
    server: S3Server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Target(f"{server.url}/{request.node.name.translate(str.maketrans('[]', '--'))}")
