"""A real PostgreSQL server of one's own: a free port, a temporary folder, and a fresh database for each test."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.support.debian import postgres_programs
from tests.support.ports import free_port

__all__ = ["PostgresServer"]

_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresServer:
    """A server on 127.0.0.1 that trusts whoever asks; its data goes when it is closed.

    With `durable`, it keeps its promises over a `kill`; without, it is fast. Root may not run it, so then an
    unprivileged user of the system does, who must be able to reach `folder` where one is given.
    """

    def __init__(
        self, *, durable: bool = False, settings: dict[str, str | int] | None = None, folder: Path | None = None
    ) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._settings = [*(() if durable else _NOT_DURABLE), *(f"{k}={v}" for k, v in (settings or {}).items())]
        self._folder = folder or Path(tempfile.mkdtemp(prefix="footfall-postgres-"))
        self._owner = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        try:
            self._create_cluster()
            self.start()
        except BaseException:  # whatever went wrong, the folder must not stay behind
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The database `postgres`, as SQLAlchemy writes it."""
        return self.url_of("postgres")

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process whose children serve the connections."""
        if self._process is None:
            raise RuntimeError("it does not run")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the server has said, over all its starts."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def url_of(self, database: str) -> str:
        """A database of this server, as SQLAlchemy writes it."""
        return f"postgresql+psycopg://footfall@{self.host}:{self.port}/{database}"

    def create_database(self) -> str:
        """The name of a new, empty database."""
        name = f"footfall_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and with it whoever is still connected."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def dump(self, name: str, to: Path) -> None:
        """Back a database up while it is in use."""
        self._run("pg_dump", "--format=custom", f"--file={to}", name)

    def restore(self, name: str, dump: Path) -> None:
        """Make a database anew from its back-up; whoever is still connected is cut off."""
        self.drop_database(name)
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._run("pg_restore", f"--dbname={name}", str(dump))

    def start(self) -> None:
        """Start it and wait until it answers a query."""
        if self.is_running:
            return
        options = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self._folder}"]
        arguments = [argument for option in [*options, *self._settings] for argument in ("-c", option)]
        self._process = self._spawn("postgres", "-D", str(self._data), *arguments)
        deadline = time.monotonic() + 30
        while not self._answers():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"PostgreSQL did not start on port {self.port}:\n{self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it politely: sessions are cut, the state is saved."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, without saving: PostgreSQL's own name for this is immediate shutdown."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """End it and remove all that it wrote."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log_path(self) -> Path:
        return self._folder / "postgres.log"

    def _create_cluster(self) -> None:
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
        arguments = ["--username=footfall", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        if self._spawn("initdb", "-D", str(self._data), *arguments).wait(timeout=60):
            raise RuntimeError(f"initdb failed:\n{self.log}")

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [_programs() / program, *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                user=self._owner,
                group=self._owner and pwd.getpwnam(self._owner).pw_gid,
                extra_groups=self._owner and [],
            )

    def _run(self, program: str, *arguments: str) -> None:
        address = ("--host", self.host, "--port", str(self.port), "--username", "footfall")
        subprocess.run([_programs() / program, *address, *arguments], check=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def _answers(self) -> bool:
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        address = f"host={self.host} port={self.port} user=footfall dbname=postgres connect_timeout=5"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)


def _programs() -> Path:
    folder = postgres_programs()
    if folder is None:
        raise FileNotFoundError("PostgreSQL's server is not installed: apt-get install postgresql")
    return folder


def _unprivileged_user() -> str | None:
    """Who runs the server: nobody else, or, for root, a user that may do little."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
