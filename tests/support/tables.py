"""What a whole database holds, to be compared with another's; and rows for every table there is."""

import json
import zlib
from collections.abc import Sequence

from sqlalchemy import BigInteger, Boolean, Engine, Float, Integer, LargeBinary, Table, select
from sqlmodel import SQLModel

from cloud.backup.dump import tables_kept
from cloud.store.engine import reading, writing
from cloud.store.tables import StoreIdentity
from cloud.store.upsert import insert_into, table_of

__all__ = ["Contents", "contents", "fill_every_table"]

Contents = dict[str, list[str]]
"""The rows of each table as JSON, sorted as text, so that no database's own order matters."""


def contents(engine: Engine, *, with_identity: bool = False) -> Contents:
    """All rows of all tables that an archive holds; the identity only where asked for."""
    left_out = set() if with_identity else {table_of(StoreIdentity).name}
    with reading(engine) as connection:
        return {
            table.name: sorted(json.dumps(list(row), default=bytes.hex) for row in connection.execute(select(table)))
            for table in tables_kept()
            if table.name not in left_out
        }


def fill_every_table(engine: Engine, *, rows: int = 3) -> None:
    """Some rows in every table, with a value in every column that says which one it is."""
    with writing(engine) as connection:
        for table in SQLModel.metadata.sorted_tables:
            if table.name != table_of(StoreIdentity).name:
                insert_into(connection, table, [_row(table, number) for number in range(1, rows + 1)])


def _row(table: Table, number: int) -> dict[str, object]:
    return {column.name: _value(table, column.name, number) for column in table.columns}


def _value(table: Table, name: str, number: int) -> object:
    column = table.c[name]
    for key in column.foreign_keys:
        return _value(key.column.table, key.column.name, number)
    if column.nullable and number == 2:
        return None
    seed = zlib.crc32(f"{table.name}.{name}".encode()) % 10_000 + number
    kinds: Sequence[tuple[type, object]] = (
        (Boolean, number % 2 == 0),
        (BigInteger, 2**40 + seed),
        (Integer, seed),
        (Float, seed + 0.1),
        (LargeBinary, b"\x00\xff" + str(seed).encode()),
    )
    return next((value for kind, value in kinds if isinstance(column.type, kind)), f"{name} „{seed}“ \\ \n ' \"")
