"""Giving room back and telling the planner what the tables hold, in the words of either database.

SQLite gives free pages back to the disk some at a time, between the commits of others; then the log is emptied.
PostgreSQL vacuums and analyses a table at a time, while everybody goes on.
"""

import sqlite3
import time
from collections.abc import Iterator
from typing import cast

from sqlalchemy import Connection, Engine, text
from sqlmodel import SQLModel

from cloud.errors import StoreError
from cloud.store.engine import outside_transactions

__all__ = ["give_room_back"]

PAGES_AT_ONCE = 2_000
"""8 MiB of pages of 4 KiB: some tens of milliseconds during which nobody else writes."""
TRIES, PAUSE_SECONDS = 10, 0.5
"""SQLite refuses some of these statements at once where another writes, instead of waiting as for any other lock."""


def give_room_back(engine: Engine) -> Iterator[int]:
    """Vacuum; the pages given back, by step (none where the database keeps them to itself)."""
    for left in reversed(range(TRIES)):
        try:
            with outside_transactions(engine) as connection:
                yield from (_shrink_file if connection.dialect.name == "sqlite" else _vacuum_tables)(connection)
        except StoreError as error:
            if not (left and _is_locked(error.__cause__)):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _is_locked(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


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
