"""The room that the exchange file and its log take: how much is used, and how to get along when there is no more.

Knows pages and bytes; knows nothing of what is in them.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from edge.errors import ExchangeFull
from edge.exchange.ballast import BALLAST_BYTES, Ballast
from edge.exchange.schema import connect, writing

__all__ = ["free_bytes", "keep_size", "opened", "restart_log", "spend", "used_bytes"]

_MOST_PAGES = 2**30


def opened(path: Path, ballast: Ballast) -> sqlite3.Connection:
    """Open the exchange, on a full disk also, where that costs the ballast; raises ExchangeError."""
    try:
        return connect(path)
    except ExchangeFull:
        if not ballast.give_up():
            raise
    connection = connect(path)
    _take_room(connection, BALLAST_BYTES * 3 // 8)
    return connection


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use; free pages inside the file are room."""
    return _pragma(connection, "page_count") * _pragma(connection, "page_size") - free_bytes(connection)


def free_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file's own pages that nothing uses now: room even on a full disk."""
    return _pragma(connection, "freelist_count") * _pragma(connection, "page_size")


def restart_log(connection: sqlite3.Connection) -> bool:
    """Move what the log holds into the file, so that the log is written over instead of growing; whether it will be."""
    with suppress(sqlite3.OperationalError):  # it needs room itself, or a reader is in its way: then it stays as it is
        return bool(connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0)
    return False


def spend(connection: sqlite3.Connection, ballast: Ballast) -> bool:
    """Give up the ballast, and let file and log have its room before others take it; whether there was one."""
    had_one = ballast.give_up()
    restart_log(connection)
    if had_one:
        _take_room(connection, BALLAST_BYTES * 3 // 8)
    return had_one


def _take_room(connection: sqlite3.Connection, size_bytes: int) -> None:
    """Let file and log grow by this much each and leave it free, so that nobody else can take it."""
    with suppress(ExchangeFull):  # others were quicker
        with writing(connection):
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('room', zeroblob(?))", (size_bytes,))
        restart_log(connection)
        with writing(connection):
            connection.execute("DELETE FROM meta WHERE key = 'room'")
    restart_log(connection)


def keep_size(connection: sqlite3.Connection, *, fixed: bool) -> None:
    """While fixed the file does not grow: what no free page takes is refused as ExchangeFull.

    Without it, the log could hold pages that a full disk never lets into the file, and nothing could be freed again.
    """
    pages = _pragma(connection, "page_count") if fixed else _MOST_PAGES
    connection.execute(f"PRAGMA max_page_count = {pages}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
