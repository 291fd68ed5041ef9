"""Opens the database and runs transactions on it; what goes wrong there leaves as a StoreError that people can read.

SQLite runs in WAL with full synchronisation, so that a commit survives the power. A transaction that will write says
so (`writing`), because SQLite can only then wait its turn: one that reads first and writes later cannot.
Knows both databases' habits and nothing of the tables.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from cloud.errors import StoreError

__all__ = [
    "MOST_CONNECTIONS",
    "open_engine",
    "outside_transactions",
    "reading",
    "snapshot",
    "store_name",
    "writing",
    "writing_later",
]

KEPT_CONNECTIONS, MOST_CONNECTIONS = 5, 15
"""Of one process to its database; whoever needs one more waits for it."""
BUSY_TIMEOUT_MS = 15_000
CONNECT_TIMEOUT_SECONDS = 10
_POOL = {"pool_size": KEPT_CONNECTIONS, "max_overflow": MOST_CONNECTIONS - KEPT_CONNECTIONS}
_WRITES = "footfall_writes"
_NO_TRANSACTION = "footfall_no_transaction"
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
_REASONS = (
    ("unable to open database file", "it cannot be opened: check that its folder exists and may be written to"),
    ("file is not a database", "the file is not an SQLite database"),
    ("database disk image is malformed", "the file is damaged: restore a backup"),
    ("readonly database", "it is read-only: check the file's and the folder's owner and rights"),
    ("read-only transaction", "it is read-only"),
    ("disk is full", "the disk is full"),
    ("no space left on device", "the disk is full"),
    ("disk i/o error", "the disk reports an error"),
    ("database is locked", "another program holds it locked"),
    ("no such table", "it lacks a table: run `footfall cloud migrate`"),
    ("no such column", "it lacks a column: run `footfall cloud migrate`"),
    ("undefinedtable", "it lacks a table: run `footfall cloud migrate`"),
    ("undefinedcolumn", "it lacks a column: run `footfall cloud migrate`"),
    ("password authentication failed", "user or password are wrong"),
    ("connection refused", "the server does not answer: is it running?"),
)
_OF_DRIVERS = (
    psycopg.InterfaceError,
    psycopg.OperationalError,
    psycopg.InternalError,
    psycopg.ProgrammingError,
    sqlite3.DatabaseError,
)
_READ_ONLY_SQLSTATE = "25006"


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/NAME`; it connects when first used."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    return _open_postgres(parsed)


def store_name(engine: Engine) -> str:
    """The database's address as it may be shown: without its password."""
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing."""
    with _other_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """As `reading`, and all that is read in it is of one moment, however long it takes.

    On SQLite the log grows meanwhile by what others write; on PostgreSQL what they delete keeps its room.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with reading(engine.execution_options(**options) if engine.dialect.name == "postgresql" else engine) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back when an error leaves the block."""
    with _other_errors(engine), _for_writing(engine).begin() as connection:
        yield connection


@contextmanager
def writing_later(engine: Engine) -> Iterator[Session]:
    """A session that is as `writing` from its first statement on; until then it holds no connection and no lock."""
    with _other_errors(engine), Session(_for_writing(engine)) as session, session.begin():
        yield session


@contextmanager
def outside_transactions(engine: Engine) -> Iterator[Connection]:
    """For statements that no transaction may hold, such as VACUUM: each commits by itself."""
    alone: dict[str, object] = {_NO_TRANSACTION: True}
    if engine.dialect.name == "postgresql":
        alone["isolation_level"] = "AUTOCOMMIT"
    with _other_errors(engine), engine.execution_options(**alone).connect() as connection:
        yield connection


def _for_writing(engine: Engine) -> Engine:
    return engine.execution_options(**{_WRITES: True})


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            "The database's address cannot be read; write sqlite:///FILE or postgresql+psycopg://…"
        ) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise StoreError(
            f"Database {parsed.drivername} is not supported; write sqlite:///FILE or postgresql+psycopg://…"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError("The database needs a file; write sqlite:///FILE")
    return parsed


def _open_sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}, **_POOL)
    name = url.render_as_string()

    @event.listens_for(engine, "do_connect")
    def _make(*_: object) -> None:
        # It holds hashes of passwords and keys. SQLite gives what it lays beside a file the rights of the file.
        # One that is there is not opened here: closing it would take the locks of all this process's connections to it,
        # and another process that closes the file would take itself for the last, and remove the log under them.
        with suppress(OSError):  # it is there; or whatever is wrong with the place, SQLite says it
            path = os.path.realpath(str(url.database))
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # sqlite3 would otherwise begin transactions by itself, late and without the lock
        connection.isolation_level = None
        try:
            if _is_new(connection):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(_sentence(name, error)) from error

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(_NO_TRANSACTION, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES, False) else "BEGIN")

    _translate_errors(engine, name)
    return engine


def _is_new(connection: DBAPIConnection) -> bool:
    """Whether nothing has been written yet: to any other file, how it is vacuumed would be written again."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages) == 0


def _open_postgres(url: URL) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS}, **_POOL)

    @event.listens_for(engine, "connect")
    def _prepare(connection: psycopg.Connection[tuple[object, ...]], _record: ConnectionPoolEntry) -> None:
        # arrays as text are escaped in Python, which takes as long as all the rest of a commit
        connection.adapters.register_dumper(list, ListBinaryDumper)

    _translate_errors(engine, url.render_as_string(hide_password=True))
    return engine


def _translate_errors(engine: Engine, name: str) -> None:
    """Let every error of the database itself leave as StoreError; those of the data stay what they are."""

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        wrapped, original = context.sqlalchemy_exception, context.original_exception
        if isinstance(wrapped, IntegrityError | DataError) and not _is_read_only(original):
            return
        if isinstance(wrapped, DBAPIError):
            raise StoreError(_sentence(name, original)) from original


@contextmanager
def _other_errors(engine: Engine) -> Iterator[None]:
    """Do the same for what SQLAlchemy does not tell of: a pool that is empty, psycopg's COPY, and sqlite3's scripts."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreError(f"Database {store_name(engine)}: all connections are in use") from error
    except _OF_DRIVERS as error:
        raise StoreError(_sentence(store_name(engine), error)) from error


def _is_read_only(error: BaseException) -> bool:
    return getattr(error, "sqlstate", None) == _READ_ONLY_SQLSTATE


def _sentence(name: str, error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}".lower()
    for sign, reason in _REASONS:
        if sign in said:
            return f"Database {name}: {reason}"
    first_line = str(error).strip().partition("\n")[0]
    return f"Database {name}: {first_line or type(error).__name__}"
