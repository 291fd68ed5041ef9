from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlmodel import SQLModel

from cloud.errors import StoreError
from cloud.store import tables
from cloud.store.engine import open_engine, reading, writing
from cloud.store.identity import read_identity
from cloud.store.schema import alembic_config, check_schema, migrate


@pytest.fixture
def migrated_engine(empty_engine: Engine) -> Engine:
    """A database of this test's own, with all tables."""
    migrate(empty_engine)
    return empty_engine


def test_migrations_make_exactly_the_tables_described(migrated_engine: Engine) -> None:
    assert tables.__all__
    with reading(migrated_engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        found = inspect(connection)
        for name, table in SQLModel.metadata.tables.items():
            assert found.get_pk_constraint(name)["constrained_columns"] == table.primary_key.columns.keys()
            nullable = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert nullable == {column.name: column.nullable for column in table.columns}


def test_migrating_down_and_up_again(migrated_engine: Engine) -> None:
    with writing(migrated_engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    with reading(migrated_engine) as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    migrate(migrated_engine)
    check_schema(migrated_engine)


def test_migrating_twice_keeps_the_identity(migrated_engine: Engine) -> None:
    with reading(migrated_engine) as connection:
        before = read_identity(connection)
    migrate(migrated_engine)
    with reading(migrated_engine) as connection:
        assert read_identity(connection) == before


def test_an_empty_database_is_refused_with_what_to_run(empty_engine: Engine) -> None:
    with pytest.raises(StoreError, match="is empty: run `footfall cloud migrate`"):
        check_schema(empty_engine)


def test_a_newer_schema_is_refused(migrated_engine: Engine) -> None:
    with writing(migrated_engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999, which is newer than this program"):
        check_schema(migrated_engine)
    with pytest.raises(StoreError, match="newer than this program"):
        migrate(migrated_engine)


def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE venue (name TEXT)"))
    with pytest.raises(StoreError, match="venue"):
        migrate(engine)
    with reading(engine) as connection:
        assert set(inspect(connection).get_table_names()) == {"venue"}
    engine.dispose()
