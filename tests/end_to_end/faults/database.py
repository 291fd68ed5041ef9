"""The cloud's database as whoever keeps its server sees it: backed up while in use, put back, full, or killed."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from tests.support.postgres import PostgresServer
from tests.support.small_disk import SmallDisk

__all__ = ["Database", "PostgresDatabase", "SqliteDatabase", "opened_database"]

DISK_BYTES = 192 * 2**20


class Database(Protocol):
    """A database that the world's cloud may have."""

    @property
    def url(self) -> str:
        """Its address as the cloud's settings name it."""

    def back_up(self) -> None:
        """Keep what it holds now."""

    def restore(self) -> None:
        """Become what was last kept; nobody may be connected."""

    def fail(self) -> None:
        """Refuse all work: a full disk, or a server that was killed."""

    def recover(self) -> None:
        """Work again, with all that was committed."""


class SqliteDatabase:
    """A file on a small disk of its own."""

    def __init__(self, disk: SmallDisk, backup: Path) -> None:
        self._disk, self._backup = disk, backup
        self._path = disk.folder / "footfall.sqlite"
        self.url = f"sqlite:///{self._path}"
        self._is_full = False

    def back_up(self) -> None:
        with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(self._backup)) as kept:
            source.backup(kept)

    def restore(self) -> None:
        self.recover()
        for file in self._path.parent.glob(f"{self._path.name}*"):
            file.unlink()
        shutil.copy(self._backup, self._path)

    def fail(self) -> None:
        self._disk.brim()
        self._is_full = True

    def recover(self) -> None:
        if self._is_full:
            self._disk.relieve()
        self._is_full = False


class PostgresDatabase:
    """A database of a server of its own."""

    def __init__(self, server: PostgresServer, backup: Path) -> None:
        self._server, self._backup = server, backup
        self._name = server.create_database()
        self.url = server.url_of(self._name)

    def back_up(self) -> None:
        self.recover()
        self._server.dump(self._name, self._backup)

    def restore(self) -> None:
        self.recover()
        self._server.restore(self._name, self._backup)

    def fail(self) -> None:
        self._server.kill()

    def recover(self) -> None:
        self._server.start()


@contextmanager
def opened_database(kind: str, folder: Path) -> Iterator[Database]:
    """A new, empty database: `sqlite` or `postgresql`."""
    with ExitStack() as stack:
        if kind == "sqlite":
            disk = stack.enter_context(SmallDisk(folder / "database", size_bytes=DISK_BYTES))
            yield SqliteDatabase(disk, folder / "backup.sqlite")
        else:
            yield PostgresDatabase(stack.enter_context(PostgresServer(durable=True)), folder / "backup.dump")
