"""A copy of an exchange, of one moment, and putting it back: both by SQLite's own back-up, page by page.

Vision and uplink may go on while the copy is made. While it is put back vision must not run; uplink may, and what it
then sends again the cloud has received before. A restored exchange begins a new epoch at once, so that the cloud never
takes it for a second box that goes on where the first one is.
"""

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from edge import clock
from edge.errors import ExchangeError
from edge.exchange.lock import take_lock
from edge.exchange.schema import FILE_NAME, connect
from edge.exchange.writer import ThisBoot, Writer

__all__ = ["copy_exchange", "put_exchange_back"]


def copy_exchange(folder: Path, copy: Path) -> int:
    """Make one file of the exchange in `folder`; how many items it holds. Raises ExchangeError."""
    path = folder / FILE_NAME
    if not path.exists():
        raise ExchangeError(f"exchange {path}: there is none yet; vision makes it when it first runs")
    with closing(connect(path)) as source, closing(sqlite3.connect(copy)) as made:
        _copy(source, made, told=copy)
        made.execute("PRAGMA journal_mode = DELETE")  # so that the one file is all
        return _items(made)


def put_exchange_back(copy: Path, folder: Path, *, replace: bool) -> int:
    """Let the exchange in `folder` be what the copy is; how many items it holds.

    Raises ExchangeError where the copy is damaged, where vision runs, or where the exchange holds items and is not to
    be replaced; then it is as it was.
    """
    lock = take_lock(folder)
    try:
        with closing(connect(copy)) as source, closing(connect(folder / FILE_NAME)) as exchange:
            _require_sound(source, copy)
            if _items(exchange) and not replace:
                raise ExchangeError(f"exchange {folder}: it holds items; --replace throws them away")
            _copy(source, exchange, told=folder)
    finally:
        os.close(lock)
    _begin_epoch(folder)
    with closing(connect(folder / FILE_NAME)) as exchange:
        return _items(exchange)


def _copy(source: sqlite3.Connection, made: sqlite3.Connection, *, told: Path) -> None:
    try:
        source.backup(made)
    except sqlite3.Error as error:
        raise ExchangeError(f"exchange: {told} cannot be written: {error}") from error


def _require_sound(source: sqlite3.Connection, copy: Path) -> None:
    try:
        (said,) = source.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise ExchangeError(f"exchange {copy.name} of the back-up is damaged: {' '.join(said.split())}")


def _items(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM item").fetchone()[0])


def _begin_epoch(folder: Path) -> None:
    this_boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=clock.hardware_offset_ms())
    with Writer(folder, this_boot=this_boot, epoch=secrets.token_hex(8), monotonic=clock.monotonic):
        pass
