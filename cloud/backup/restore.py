"""Makes a database of an archive, in one transaction: it is there with every row, or is as it was before.

The tables are made as they were when the archive was, filled, and then brought up to this program's schema. At last the
database gets an identity of its own, upon which each box sends again all that it still holds. It sorts after the
archive, which so is older than the database that was made of it, whatever the clocks say.
"""

from datetime import datetime

from sqlalchemy import Connection, Engine, Table, inspect, select

from cloud.backup.archive import Manifest, TableParts
from cloud.backup.reading import read_part
from cloud.backup.rows import rows_of
from cloud.backup.target import Target
from cloud.backup.verification import wrong_tables
from cloud.errors import BackupError
from cloud.store.engine import store_name, writing
from cloud.store.identity import replace_identity
from cloud.store.schema import VERSION_TABLE, is_known, own_tables, revision_of, upgrade
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
    wrong = wrong_tables(manifest)
    if wrong:
        raise BackupError(f"Back-up {manifest.id}: {wrong}")
    with writing(engine) as connection:
        former = _clear(connection, name=store_name(engine), replace=replace)
        upgrade(connection, manifest.schema_revision)
        kept = {parts.table: parts for parts in manifest.tables}
        for table in own_tables(connection).sorted_tables:
            if table.name in kept:
                _load(connection, target, table, kept[table.name])
        upgrade(connection)
        replace_identity(connection, after=[*former, manifest.id], now=now)


def _clear(connection: Connection, *, name: str, replace: bool) -> list[str]:
    """Take this program's tables away, and no others; the identity of the database that they were, if any."""
    revision = revision_of(connection)
    if revision is None and inspect(connection).get_table_names():
        raise BackupError(f"Database {name} holds tables of another program: restore into one of its own")
    if revision is not None and not is_known(revision):
        raise BackupError(
            f"Database {name} has schema {revision}, which is another program's or a newer Footfall's: "
            "restore into one of its own"
        )
    tables = own_tables(connection)
    if not replace and any(_has_rows(connection, table) for table in tables.sorted_tables):
        raise BackupError(f"Database {name} is not empty: --replace throws away what it holds")
    store = table_of(StoreIdentity)
    former = [str(found) for found in connection.execute(select(store.c.store)).scalars()] if revision else []
    tables.drop_all(connection)
    return former


def _has_rows(connection: Connection, table: Table) -> bool:
    is_data = table.name not in MADE_BY_ITSELF | {VERSION_TABLE}
    return is_data and connection.execute(select(table).limit(1)).first() is not None


def _load(connection: Connection, target: Target, table: Table, parts: TableParts) -> None:
    for part in parts.parts:
        rows = [dict(zip(parts.columns, row, strict=True)) for row in rows_of(read_part(target, part))]
        if len(rows) != part.rows:
            raise BackupError(f"Back-up target {target.url}: {part.path} has {len(rows)} rows instead of {part.rows}")
        for start in range(0, len(rows), ROWS_AT_ONCE):
            insert_into(connection, table, rows[start : start + ROWS_AT_ONCE])
