"""The exchange file: its tables, and how it is opened.

One SQLite file in WAL mode with synchronous=FULL is all that vision and uplink share. Vision alone appends; uplink
claims and settles. Both may open it as different users of one group, so files are created 0660.

    boot      what is known of each boot's UTC          epoch   a writer's run: its counter, what was sent and settled
    item      numbered items, where they stand, and     gap     declared holes, sent until settled
              which others each is the sum of
    part      drafts that wait for UTC                  history what was deleted after it was settled
    tile_part increments of buckets still open          checkpoint  open visits        live, inbox  present state

What waits in `part`, `tile_part` and `checkpoint` over a commit has its name already, in the early epoch of the run
that began it: whoever makes an item of it, that run, the next, or one on a copy of this file, gives it that name.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from edge.errors import ExchangeBusy, ExchangeError, ExchangeFull

__all__ = ["FILE_NAME", "LOG_BYTES", "State", "connect", "get_meta", "reading", "set_meta", "writing"]

FILE_NAME = "exchange.sqlite"
_VERSION = 3
_BUSY_SECONDS = 30.0
_BUSY_STEP_SECONDS = 0.02
LOG_BYTES = 4 * 2**20
"""What the log is kept to: so much of it is moved into the file, and then it is begun anew.

While somebody reads for long it cannot be begun anew and grows on; it is cut back to this once they have read.
"""

_PAGE_BYTES = 4096
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}


class State(IntEnum):
    """Where an item stands. Settled ones are kept until time or the byte budget needs their room."""

    WAITING = 0
    CLAIMED = 1
    SETTLED = 2
    REJECTED = 3
    QUARANTINED = 4


_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE boot (
    boot TEXT PRIMARY KEY, ordinal INTEGER NOT NULL UNIQUE, hardware_offset_ms INTEGER,
    last_ms INTEGER NOT NULL, offset_ms INTEGER, source TEXT, uncertainty_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE epoch (
    epoch TEXT PRIMARY KEY, ordinal INTEGER NOT NULL UNIQUE, boot TEXT NOT NULL,
    next_seq INTEGER NOT NULL DEFAULT 1, sent_seq INTEGER NOT NULL DEFAULT 0, through INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE item (
    id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
    venue TEXT NOT NULL, config TEXT NOT NULL, mode TEXT NOT NULL, at_ms INTEGER, body TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, retry_ms INTEGER NOT NULL DEFAULT 0,
    settled_ms INTEGER, instead_of TEXT, UNIQUE (epoch, seq)
);
CREATE INDEX item_waiting ON item (id) WHERE state = 0;
CREATE INDEX item_waiting_type ON item (type, id) WHERE state = 0;
CREATE INDEX item_claimed ON item (retry_ms) WHERE state = 1;
CREATE INDEX item_settled ON item (settled_ms) WHERE state >= 2;
CREATE INDEX item_configuration ON item (config, type) WHERE type = 'configuration';
CREATE TABLE gap (
    epoch TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, reason TEXT NOT NULL,
    start_ms INTEGER, end_ms INTEGER, lost TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (epoch, from_seq, to_seq, reason)
) WITHOUT ROWID;
CREATE INDEX gap_open ON gap (epoch, from_seq) WHERE settled = 0;
CREATE TABLE history (
    epoch TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
    start_ms INTEGER, end_ms INTEGER, counts TEXT NOT NULL, PRIMARY KEY (epoch, from_seq)
) WITHOUT ROWID;
CREATE TABLE part (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL,
    venue TEXT NOT NULL, config TEXT NOT NULL, mode TEXT NOT NULL, body TEXT NOT NULL, epoch TEXT, seq INTEGER
);
CREATE TABLE tile_part (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL,
    venue TEXT NOT NULL, config TEXT NOT NULL, mode TEXT NOT NULL,
    space TEXT NOT NULL, camera TEXT NOT NULL, layer TEXT NOT NULL, tx INTEGER NOT NULL, ty INTEGER NOT NULL,
    cells TEXT NOT NULL, epoch TEXT, seq INTEGER
);
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, scene TEXT NOT NULL,
    venue TEXT NOT NULL, config TEXT NOT NULL, mode TEXT NOT NULL, body TEXT NOT NULL,
    number INTEGER, epoch TEXT, seq INTEGER
);
CREATE TABLE live (subject TEXT PRIMARY KEY, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL, body TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE inbox (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""

_FROM_1 = (
    *(
        f"ALTER TABLE {table} ADD COLUMN {column}"
        for table in ("part", "tile_part", "checkpoint")
        for column in ("epoch TEXT", "seq INTEGER")
    ),
    "ALTER TABLE checkpoint ADD COLUMN number INTEGER",
)
"""What a file of format 1 lacks; what waits in it has no name yet, and gets one when it is placed."""
_FROM_2 = (
    "ALTER TABLE item ADD COLUMN instead_of TEXT",
    "CREATE INDEX gap_open ON gap (epoch, from_seq) WHERE settled = 0",
)
"""What a file of format 2 lacks; what was merged in it is declared by gaps of their own."""
_CHANGES = {1: _FROM_1, 2: _FROM_2}


def connect(path: Path) -> sqlite3.Connection:
    """Open the exchange, making it where there is none; raises ExchangeError naming the file and what is wrong."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o660))
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _translated(path, error) from error
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _translated(path, error) from error
    except ExchangeError:
        connection.close()
        raise
    return connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One durable transaction.

    Raises ExchangeFull when there is no room, ExchangeBusy when another holds the lock for long, ExchangeError for the
    rest.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:  # whatever ends the block, the transaction must not stay open
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise _translated(_path_of(connection), error) from error


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One consistent look; raises ExchangeError."""
    try:
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:  # SQLite ends it by itself after some errors
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _translated(_path_of(connection), error) from error


def get_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """A setting of the file itself."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Set a setting of the file itself."""
    connection.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))


def _prepare(connection: sqlite3.Connection) -> None:
    _turn_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // _PAGE_BYTES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    with writing(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        path = _path_of(connection)
        if version > _VERSION:
            raise ExchangeError(f"{path} was written by a newer Footfall (format {version}, this one knows {_VERSION})")
        if version == 0:
            if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                raise ExchangeError(f"{path} is a database of another program; choose another exchange folder")
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
        for known in range(version or _VERSION, _VERSION):
            for statement in _CHANGES[known]:
                connection.execute(statement)
        if version < _VERSION:
            connection.execute(f"PRAGMA user_version = {_VERSION}")


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Two processes that make a fresh file together meet here, where SQLite does not wait by itself."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_STEP_SECONDS)
        else:
            return


def _path_of(connection: sqlite3.Connection) -> Path:
    return Path(str(connection.execute("PRAGMA database_list").fetchone()[2]))


def _translated(path: Path, error: Exception) -> ExchangeError:
    code = getattr(error, "sqlite_errorcode", None)
    if code in _NO_ROOM:
        return ExchangeFull(f"exchange {path}: no room on the disk ({error}); free some space")
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
        return ExchangeBusy(f"exchange {path}: another process has held it for {_BUSY_SECONDS:.0f} s ({error})")
    if code == sqlite3.SQLITE_NOTADB or (code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT):
        return ExchangeError(f"exchange {path}: not an exchange file or damaged ({error}); move it away and restart")
    if code in {None, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return ExchangeError(f"exchange {path}: {error}; the folder must exist and be writable for group and user")
    return ExchangeError(f"exchange {path}: {error}")
