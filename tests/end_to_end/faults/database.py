"""The cloud's database as whoever keeps its server sees it: backed up while in use, put back, full, or killed."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg

from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.small_disk import SmallDisk

__all__ = ["Database", "PostgresDatabase", "SqliteDatabase", "opened_database"]

DISK_BYTES = 192 * 2**20
SMALL_LOG: dict[str, str | int] = {"min_wal_size": "32MB", "max_wal_size": "48MB"}


class Database(Protocol):
    """A database that the world's cloud may have."""

    @property
    def url(self) -> str:
        """Its address as the cloud's settings name it."""

    def back_up(self) -> None:
        """Keep what it holds now, if it works; else what was kept before stays."""

    def restore(self) -> None:
        """Become what was last kept; nobody may be connected."""

    def fill(self) -> None:
        """Let somebody else's file take all the room that its disk has."""

    def kill(self) -> None:
        """Kill its server, where it has one."""

    def recover(self) -> None:
        """Work again, with all that was committed."""


class _OnSmallDisk:
    """What may happen to the disk under a database."""

    def __init__(self, disk: SmallDisk) -> None:
        self._disk = disk
        self._is_full = False

    def fill(self) -> None:
        self._disk.brim()
        self._is_full = True

    def _relieve(self) -> None:
        if self._is_full:
            self._disk.relieve()
        self._is_full = False


class SqliteDatabase(_OnSmallDisk):
    """A file on a small disk of its own."""

    def __init__(self, disk: SmallDisk, backup: Path) -> None:
        super().__init__(disk)
        self._backup = backup
        self._path = disk.folder / "footfall.sqlite"
        self.url = f"sqlite:///{self._path}"

    def back_up(self) -> None:
        with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(self._backup)) as kept:
            source.backup(kept)

    def restore(self) -> None:
        self.recover()
        for file in self._path.parent.glob(f"{self._path.name}*"):
            file.unlink()
        shutil.copy(self._backup, self._path)

    def kill(self) -> None:
        """There is no server."""

    def recover(self) -> None:
        self._relieve()


class PostgresDatabase(_OnSmallDisk):
    """A database of a server of its own, on a small disk."""

    def __init__(self, server: PostgresServer, disk: SmallDisk, backup: Path) -> None:
        super().__init__(disk)
        self._server, self._backup = server, backup
        self._name = server.create_database()
        self.url = server.url_of(self._name)

    def back_up(self) -> None:
        if self._server.is_running and not self._is_full:
            self._server.dump(self._name, self._backup)

    def restore(self) -> None:
        self.recover()
        self._server.restore(self._name, self._backup)

    def kill(self) -> None:
        self._server.kill()

    def recover(self) -> None:
        """A server that found no room for its log has ended by itself, or is about to."""
        self._relieve()
        until(self._works, seconds=60, what="PostgreSQL to work again")

    def _works(self) -> bool:
        self._server.start()
        with suppress(psycopg.OperationalError), psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TEMP TABLE works (one INTEGER)")
            return True
        return False


@contextmanager
def opened_database(kind: str, folder: Path) -> Iterator[Database]:
    """A new, empty database: `sqlite` or `postgresql`."""
    with ExitStack() as stack:
        if kind == "sqlite":
            disk = stack.enter_context(SmallDisk(folder / "database", size_bytes=DISK_BYTES))
            yield SqliteDatabase(disk, folder / "backup.sqlite")
            return
        # Its user may not enter the folder of the world.
        outside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footfall-faults-postgres-")))
        outside.chmod(0o755)
        disk = stack.enter_context(SmallDisk(outside / "disk", size_bytes=DISK_BYTES))
        server = PostgresServer(durable=True, settings=SMALL_LOG, folder=disk.folder)
        yield PostgresDatabase(stack.enter_context(server), disk, folder / "backup.dump")
