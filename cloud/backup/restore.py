"""Makes a database of an archive, in one transaction: it is there with every row, or is as it was before.

The tables are made as they were when the archive was, filled, and then brought up to this program's schema. At last the
database gets an identity of its own, upon which each box sends again all that it still holds.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, Engine, MetaData, Table, select
from sqlmodel import SQLModel

from cloud.backup.archive import Manifest, TableParts
from cloud.backup.reading import read_part
from cloud.backup.rows import rows_of
from cloud.backup.target import Target
from cloud.errors import BackupError
from cloud.store.engine import store_name, writing
from cloud.store.identity import replace_identity
from cloud.store.schema import is_known, revision_of, upgrade
from cloud.store.tables import StoreIdentity
from cloud.store.upsert import insert_into, table_of

__all__ = ["restore"]

ROWS_AT_ONCE = 2_000
MADE_BY_ITSELF = frozenset({"job", "lease", "one_time_link", "store"})
"""Tables that a database without any data may have rows in."""


def restore(engine: Engine, target: Target, manifest: Manifest, *, now: datetime, replace: bool = False) -> None:
    """Fill a database, which must be empty unless it is to be replaced, from an archive."""
    if not is_known(manifest.schema_revision):
        raise BackupError(
            f"Back-up {manifest.id} has schema {manifest.schema_revision}, which is newer than this program: "
            "install the version that made it, or a later one"
        )
    with writing(engine) as connection:
        former = _clear(connection, name=store_name(engine), replace=replace)
        upgrade(connection, manifest.schema_revision)
        for table, parts in _in_order(connection, manifest):
            _load(connection, target, table, parts)
        upgrade(connection)
        replace_identity(connection, after=former, now=now)


def _clear(connection: Connection, *, name: str, replace: bool) -> list[str]:
    """Take all tables away; the identity of the database that they were, if any."""
    tables = MetaData()
    tables.reflect(connection)
    if tables.tables and revision_of(connection) is None:
        raise BackupError(f"Database {name} holds tables of another program: restore into one of its own")
    if not replace and any(_has_rows(connection, table) for table in tables.sorted_tables):
        raise BackupError(f"Database {name} is not empty: --replace throws away what it holds")
    store = table_of(StoreIdentity)
    former = [str(found) for found in connection.execute(select(store.c.store)).scalars()] if tables.tables else []
    tables.drop_all(connection)
    return former


def _has_rows(connection: Connection, table: Table) -> bool:
    is_data = table.name in SQLModel.metadata.tables and table.name not in MADE_BY_ITSELF
    return is_data and connection.execute(select(table).limit(1)).first() is not None


def _in_order(connection: Connection, manifest: Manifest) -> list[tuple[Table, TableParts]]:
    """The tables to fill, each after those that it refers to; raises BackupError where one does not exist."""
    tables = MetaData()
    tables.reflect(connection)
    kept: Mapping[str, TableParts] = {parts.table: parts for parts in manifest.tables}
    unknown = sorted(kept.keys() - tables.tables.keys())
    if unknown:
        raise BackupError(
            f"Back-up {manifest.id} has a table {unknown[0]}, which schema {manifest.schema_revision} lacks"
        )
    return [(table, kept[table.name]) for table in tables.sorted_tables if table.name in kept]


def _load(connection: Connection, target: Target, table: Table, parts: TableParts) -> None:
    for part in parts.parts:
        rows = [dict(zip(parts.columns, row, strict=True)) for row in rows_of(read_part(target, part))]
        if len(rows) != part.rows:
            raise BackupError(f"Back-up target {target.url}: {part.path} has {len(rows)} rows instead of {part.rows}")
        for start in range(0, len(rows), ROWS_AT_ONCE):
            insert_into(connection, table, rows[start : start + ROWS_AT_ONCE])
