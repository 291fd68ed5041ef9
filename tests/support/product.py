"""A whole Footfall on one machine: broker, cloud and box as real processes around one camera."""

import itertools
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from sqlalchemy import text

from cloud.store.engine import open_engine, reading
from edge.exchange import again
from protocol.wire import JsonObject
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port, is_listening
from tests.support.processes import Command, footfall, until

__all__ = ["BOX", "VENUE", "Box", "Camera", "Cloud", "Issued"]

VENUE = "harbour-shop"
BOX = "harbour-box"
ADMIN_KEY = "an-admin-key-for-tests-only-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera as a box is told of it; `settings` are further keys of its TOML table."""

    id: str
    url: str
    settings: Mapping[str, str | int | float | list[int]] = field(default_factory=dict)

    def to_toml(self) -> str:
        """Its table. JSON's strings, numbers and lists are TOML's too."""
        values = {"id": self.id, "url": self.url, **self.settings}
        return "\n".join(["[[camera]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An item that the exchange has numbered."""

    epoch: str
    seq: int
    body: str


class Reachable(Protocol):
    """A broker, or what stands before it."""

    host: str
    port: int


class Cloud:
    """Ingest and API over one database."""

    def __init__(self, folder: Path, *, database_url: str, broker: Reachable) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database_url = database_url
        self.port = free_port()
        self.admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
        self._environment = {
            "FOOTFALL_CLOUD_DATA_DIR": str(folder),
            "FOOTFALL_CLOUD_ADMIN_KEY": ADMIN_KEY,
            "FOOTFALL_CLOUD_DATABASE__URL": database_url,
            "FOOTFALL_CLOUD_BROKER__HOST": broker.host,
            "FOOTFALL_CLOUD_BROKER__PORT": str(broker.port),
            "FOOTFALL_CLOUD_LISTEN__PORT": str(self.port),
        }
        self.ingest = self.command("cloud", "ingest", log=folder / "ingest.log")
        self.api = self.command("cloud", "serve", "--no-ingest", log=folder / "api.log")
        self._migrate = self.command("cloud", "migrate", log=folder / "migrate.log")
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", headers=self.admin, timeout=30.0)

    def __enter__(self) -> Self:
        self._migrate.start()
        assert self._migrate.wait(60) == 0, self._migrate.log
        self.ingest.start()
        self.serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self.ingest.kill()
        self.api.kill()

    def serve(self) -> None:
        """Start the API, and wait until it listens."""
        self.api.start()
        until(lambda: is_listening(self.port), seconds=30, what=f"the API to listen; it said: {self.api.log}")

    def command(self, *words: str | Path, log: Path) -> Command:
        """A command of this cloud."""
        return Command(footfall(*words), log=log, environment=self._environment)

    def program(self, program: list[str | Path], *, log: Path) -> Command:
        """Another program with this cloud's settings."""
        return Command(program, log=log, environment=self._environment)

    def get(self, path: str, **parameters: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, object]) -> Any:
        """The JSON of a POST with the admin key that must succeed."""
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query of the database says now."""
        engine = open_engine(self.database_url)
        try:
            with reading(engine) as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def contents(self) -> dict[tuple[str, int], JsonObject]:
        """Every item that it keeps as an event, by (epoch, seq)."""
        rows = self.rows("SELECT epoch, seq, body FROM event")
        return {(epoch, seq): json.loads(body) for epoch, seq, body in rows}

    def enrol(self, box: str = BOX, venue: str = VENUE) -> None:
        """A venue that is always open, and a box in it."""
        self.post("/venues", {"venue": venue, "name": "Harbour shop", "timezone": "UTC", "kind": "shop"})
        self.post("/boxes", {"box": box, "venue": venue})


class Box:
    """Vision and uplink over one exchange."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: Mosquitto,
        cameras: list[Camera],
        model: str | Path,
        mode: str,
        trust: str = "ntp",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._seeds = itertools.count(1)
        self.exchange = folder / "exchange"
        self.configuration = folder / "edge.toml"
        lines = [
            f'[box]\nid = "{BOX}"\nvenue = "{VENUE}"\nmode = "{mode}"',
            f"[exchange]\nfolder = {json.dumps(str(self.exchange))}",
            f'[clock]\ntrust = "{trust}"',
            f'[broker]\nhost = "{broker.host}"\nport = {broker.port}',
            f"[detector]\nmodel = {json.dumps(str(model))}\nthreads = 1",
            *(camera.to_toml() for camera in cameras),
        ]
        self.configuration.write_text("\n\n".join(lines) + "\n")
        self.vision = Command(footfall("edge", "vision", "--config", self.configuration), log=folder / "vision.log")
        self.uplink = Command(footfall("edge", "uplink", "--config", self.configuration), log=folder / "uplink.log")

    def __enter__(self) -> Self:
        self.uplink.start()
        self.vision.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vision.kill()
        self.uplink.kill()

    @contextmanager
    def look(self, *, writable: bool = False) -> Iterator[sqlite3.Connection]:
        """The exchange, to read; or to damage, each statement at once."""
        mode = "rw" if writable else "ro"
        address = f"file:{self.exchange / 'exchange.sqlite'}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    def issued(self) -> list[Issued]:
        """Every item that the exchange holds."""
        with self.look() as connection:
            rows = connection.execute("SELECT epoch, seq, body FROM item ORDER BY id").fetchall()
        return [Issued(epoch=epoch, seq=seq, body=body) for epoch, seq, body in rows]

    def contents(self) -> dict[tuple[str, int], JsonObject]:
        """The same by (epoch, seq), to be compared with the cloud's."""
        return {(item.epoch, item.seq): json.loads(item.body) for item in self.issued()}

    def fill(self, items: int) -> None:
        """Let a stand-in for vision append items in an epoch of its own, while vision does not run."""
        seed = str(next(self._seeds))
        appender = Command(
            [sys.executable, "-m", "tests.support.appender", self.exchange, str(items), seed, VENUE],
            log=self.configuration.with_name("appender.log"),
        )
        appender.start()
        assert appender.wait(120) == 0, appender.log

    def waiting(self) -> int:
        """Items that the cloud has not settled, those too that a new store of it may lack."""
        with self.look() as connection:
            open_ones = connection.execute("SELECT count(*) FROM item WHERE state < 2").fetchone()[0]
            return int(open_ones) + again.left(connection)

    def has_no_open_bucket(self) -> bool:
        """Whether every tile has become an item."""
        with self.look() as connection:
            return int(connection.execute("SELECT count(*) FROM tile_part").fetchone()[0]) == 0

    def drained(self, seconds: float) -> None:
        """Wait until everything is settled."""
        until(lambda: self.waiting() == 0, seconds=seconds, what="the exchange to drain")
