"""Writing many rows at once, over rows that may be there already, in the words of either database.

SQLite takes the rows one by one, which costs it little; PostgreSQL takes them as one array a column, so that a batch
is one statement. All rows of a call name the same columns. Rows go in the order given: callers sort by key, so that
two workers never wait for each other in a circle.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import cast

import psycopg
from psycopg import sql
from sqlalchemy import ARRAY, Connection, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

__all__ = [
    "Row",
    "add_to",
    "append_rows",
    "insert_into",
    "insert_missing",
    "insert_rows",
    "raise_to",
    "replace",
    "table_of",
]

Row = Mapping[str, object]
_Insert = postgresql.Insert | sqlite.Insert
_Conflict = Callable[[_Insert, Table, tuple[str, ...]], _Insert]


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a table class."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def insert_rows(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert rows whose keys are new."""
    _write(connection, table_of(model), rows, _refuse)


def insert_into(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """The same into a table as the database itself has it, which may be of an older schema."""
    _write(connection, table, rows, _refuse)


def append_rows(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert many rows whose keys are new, and which name every column: by COPY where there is one."""
    if rows and connection.dialect.name == "postgresql":
        _copy(connection, table_of(model).name, rows)
    else:
        insert_rows(connection, model, rows)


def insert_missing(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert the rows whose keys are new, and leave the others as they are."""
    _write(connection, table_of(model), rows, _keep)


def replace(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert rows, or replace those of the same key in the columns named."""
    _write(connection, table_of(model), rows, _replace)


def add_to(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert rows, or add their `value` to what is there."""
    _write(connection, table_of(model), rows, _add)


def raise_to(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert rows, or raise what is there to their `value` where that is greater."""
    _write(connection, table_of(model), rows, _raise)


def _write(connection: Connection, table: Table, rows: Sequence[Row], conflict: _Conflict) -> None:
    if not rows:
        return
    columns = tuple(rows[0])
    statement = _statement(connection.dialect.name, table, columns, conflict)
    if connection.dialect.name == "postgresql":
        connection.execute(statement, {column: [row[column] for row in rows] for column in columns})
    else:
        connection.execute(statement, rows)


def _copy(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    columns = tuple(rows[0])
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


@lru_cache
def _statement(dialect: str, table: Table, columns: tuple[str, ...], conflict: _Conflict) -> _Insert:
    if dialect != "postgresql":
        return conflict(sqlite.insert(table).values({column: bindparam(column) for column in columns}), table, columns)
    arrays = [func.unnest(bindparam(column, type_=ARRAY(table.c[column].type))) for column in columns]
    return conflict(postgresql.insert(table).from_select(columns, select(*arrays)), table, columns)


def _refuse(insert: _Insert, _table: Table, _columns: tuple[str, ...]) -> _Insert:
    return insert


def _keep(insert: _Insert, _table: Table, _columns: tuple[str, ...]) -> _Insert:
    return insert.on_conflict_do_nothing()


def _replace(insert: _Insert, table: Table, columns: tuple[str, ...]) -> _Insert:
    keys = table.primary_key.columns.keys()
    values = {column: insert.excluded[column] for column in columns if column not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=values)


def _add(insert: _Insert, table: Table, _columns: tuple[str, ...]) -> _Insert:
    total = table.c.value + insert.excluded.value
    return insert.on_conflict_do_update(index_elements=table.primary_key.columns.keys(), set_={"value": total})


def _raise(insert: _Insert, table: Table, _columns: tuple[str, ...]) -> _Insert:
    return insert.on_conflict_do_update(
        index_elements=table.primary_key.columns.keys(),
        set_={"value": insert.excluded.value},
        where=insert.excluded.value > table.c.value,
    )
