"""Brings a database to the schema of this program, and refuses to work on any other.

A migration is one transaction. Knows Alembic; the steps themselves stand in `migrations/versions`.
"""

from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect
from sqlmodel import SQLModel

from cloud.errors import StoreError
from cloud.store.engine import reading, store_name, writing
from cloud.store.identity import create_identity
from cloud.store.moments import utc_now

__all__ = [
    "VERSION_TABLE",
    "alembic_config",
    "check_schema",
    "has_tables",
    "is_known",
    "migrate",
    "own_tables",
    "revision_of",
    "tables_of",
    "upgrade",
]

VERSION_TABLE = "alembic_version"
"""Alembic's own, which says the revision."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> str:
    """Bring the database up to this program's schema and make its identity; the revision it has now."""
    _refuse_newer(engine)
    with writing(engine) as connection:
        upgrade(connection)
        create_identity(connection, utc_now())
    return _head()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring a database up to a revision or to this program's schema, in a transaction of the caller's."""
    command.upgrade(alembic_config(connection), revision)


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema that a database has; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Whether this program can bring a schema of this revision up to its own."""
    return revision in _known_revisions()


@lru_cache
def tables_of(revision: str) -> frozenset[str]:
    """The names of the tables that a schema of a revision has, found by making it in memory."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection, revision)
            return frozenset(inspect(connection).get_table_names()) - {VERSION_TABLE}
    finally:
        engine.dispose()


def own_tables(connection: Connection) -> MetaData:
    """This program's tables as the database has them; those of others in it are left out, and so are partitions."""
    names = {*SQLModel.metadata.tables, VERSION_TABLE} & set(inspect(connection).get_table_names())
    found = MetaData()
    found.reflect(connection, only=sorted(names))
    return found


def check_schema(engine: Engine) -> None:
    """Raise StoreError, saying what to do, unless the database has this program's schema."""
    found = _refuse_newer(engine)
    if found is None:
        raise StoreError(f"Database {store_name(engine)} is empty: run `footfall cloud migrate`")
    if found != _head():
        raise StoreError(
            f"Database {store_name(engine)} has the older schema {found}; this program needs {_head()}: "
            "run `footfall cloud migrate`"
        )


def has_tables(engine: Engine) -> bool:
    """Whether there is anything in the database, of this program or of another."""
    with reading(engine) as connection:
        return bool(inspect(connection).get_table_names())


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for running the steps on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(engine: Engine) -> str | None:
    found = _revision(engine)
    if found is not None and not is_known(found):
        raise StoreError(
            f"Database {store_name(engine)} has schema {found}, which is newer than this program: "
            "install the version that made it, or a later one"
        )
    return found


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        return revision_of(connection)


def _known_revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _head() -> str:
    return _scripts().get_current_head() or ""


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))
