"""Giving room back and telling the planner what the tables hold, in the words of either database.

SQLite gives free pages back to the disk some at a time, between the commits of others; then the log is emptied.
PostgreSQL vacuums and analyses a table at a time, while everybody goes on.
"""

import sqlite3
from collections.abc import Iterator
from typing import cast

from sqlalchemy import Connection, Engine, text
from sqlmodel import SQLModel

from cloud.store.engine import outside_transactions

__all__ = ["give_room_back"]

PAGES_AT_ONCE = 2_000
"""8 MiB of pages of 4 KiB: some tens of milliseconds during which nobody else writes."""


def give_room_back(engine: Engine) -> Iterator[int]:
    """Vacuum; the pages given back, by step (none where the database keeps them to itself)."""
    with outside_transactions(engine) as connection:
        if connection.dialect.name == "sqlite":
            yield from _shrink_file(connection)
        else:
            yield from _vacuum_tables(connection)


def _shrink_file(connection: Connection) -> Iterator[int]:
    before = _free_pages(connection)
    while before:
        # each page is a row without columns: sqlite3 only steps through them all when told that this is a script
        _sqlite(connection).executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        left = _free_pages(connection)
        if left >= before:
            break
        yield before - left
        before = left
    connection.execute(text("PRAGMA optimize"))
    connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _sqlite(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _free_pages(connection: Connection) -> int:
    return int(connection.execute(text("PRAGMA freelist_count")).scalar_one())


def _vacuum_tables(connection: Connection) -> Iterator[int]:
    for name in sorted(SQLModel.metadata.tables):
        connection.execute(text(f'VACUUM (ANALYZE) "{name}"'))
        yield 0
