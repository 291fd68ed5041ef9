"""What a box costs the cloud: processor time, and room in the database, in a load like that of many boxes.

`footfall fleet simulate` lets 40 boxes with four cameras each live 30 times as fast as in life, around noon in shops
with 600 visitors a camera and day, so that broker, ingest and database have the load of 1,200 boxes. Everything is on
this machine, the simulation too; both databases are durable.

Busy is how many processors each kept busy meanwhile; the memory is the ingest's at the end. What a box costs in a day
is made of the processor time of an item and of how many items such a box tells in a day; room is what a week of it
makes the database grow by, indexes and all, before anything is compressed or forgotten.
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from cloud.store.engine import open_engine, reading
from cloud.store.schema import migrate
from tests.benchmarks.queries import SHOPS, take_in_week
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import PostgresServer
from tests.support.processes import Command, footfall, until
from tests.support.product import ADMIN_KEY, Cloud

__all__ = ["main"]

BOXES, CAMERAS, SPEED, SECONDS = 40, 4, 30, 120
WEEKS_SHOPS = SHOPS[:4]
_BEGUN = re.compile(r"(\d+) of \1 boxes connected")


def main() -> None:
    """Measure with both databases, for so many seconds; end with one line of figures."""
    seconds = int(sys.argv[1]) if sys.argv[1:] else SECONDS
    with tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as name, PostgresServer(durable=True) as server:
        folder = Path(name)
        urls: dict[str, Callable[[str], str]] = {
            "SQLite": lambda part: f"sqlite:///{folder / part}.sqlite",
            "PostgreSQL": lambda _: server.url_of(server.create_database()),
        }
        servers = {"SQLite": None, "PostgreSQL": server.pid}
        weeks = {database: Week.taken_in(url("week")) for database, url in urls.items()}
        loads = {
            database: Load.carried(folder / database, url("load"), seconds=seconds, server=servers[database])
            for database, url in urls.items()
        }
    figures = {
        "boxes_at_a_time": BOXES * SPEED,
        "items_a_box_and_day": round(weeks["SQLite"].items_a_box_and_day),
        "busy": {database: load.busy for database, load in loads.items()},
        "a_box_and_day": {database: load.cost(weeks[database]) for database, load in loads.items()},
    }
    print(json.dumps(figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week of shops with one camera each: what they told, and the room that it took."""

    items: int
    grown_bytes: int

    @classmethod
    def taken_in(cls, url: str) -> "Week":
        """A week in a database of its own."""
        engine = open_engine(url)
        migrate(engine)
        before = _size_of(engine)
        items = take_in_week(engine, WEEKS_SHOPS)
        grown = _size_of(engine) - before
        engine.dispose()
        return cls(items=items, grown_bytes=grown)

    @property
    def items_a_box_and_day(self) -> float:
        return self.items / len(WEEKS_SHOPS) / 7 * CAMERAS

    @property
    def mib_a_box_and_day(self) -> float:
        return self.grown_bytes / len(WEEKS_SHOPS) / 7 * CAMERAS / 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the fleet told, in how many seconds, and how many processor seconds that cost whom."""

    items: int
    seconds: float
    spent: Mapping[str, float]
    ingest_mib: float

    @classmethod
    def carried(cls, folder: Path, url: str, *, seconds: int, server: int | None) -> "Load":
        """Let a fleet live for so long; `server` is the process of the database, where it has one."""
        with Mosquitto() as broker, Cloud(folder / "cloud", database_url=url, broker=broker) as cloud:
            watched = {"broker": broker.pid, "ingest": cloud.ingest.pid}
            if server is not None:
                watched["database"] = server
            words = ["--boxes", str(BOXES), "--cameras", str(CAMERAS), "--speed", str(SPEED)]
            words += ["--seconds", str(seconds), "--broker", f"{broker.host}:{broker.port}"]
            fleet = Command(
                footfall("fleet", "simulate", *words, "--cloud", f"http://127.0.0.1:{cloud.port}"),
                log=folder / "fleet.log",
                environment={"FOOTFALL_FLEET_KEY": ADMIN_KEY},
            )
            with fleet:
                until(lambda: _BEGUN.search(fleet.log), seconds=120, what="all boxes to connect")
                before = {name: _spent(pid) for name, pid in watched.items()}
                items_before = _items_of(cloud)
                code = fleet.wait(seconds + 120)
                spent = {name: _spent(pid) - before[name] for name, pid in watched.items()}
                assert code == 0, fleet.log
            items = _items_of(cloud)
            resident = psutil.Process(cloud.ingest.pid).memory_info().rss
        print(f"{url.partition(':')[0]}: {fleet.log.splitlines()[-1].strip()}", flush=True)
        return cls(
            items=items - items_before, seconds=float(seconds), spent=spent, ingest_mib=round(resident / 2**20, 1)
        )

    @property
    def busy(self) -> dict[str, float]:
        """How many processors each kept busy, and the ingest's memory."""
        shares = {f"{name}_processors": round(spent / self.seconds, 3) for name, spent in self.spent.items()}
        return {**shares, "items_per_s": round(self.items / self.seconds), "ingest_MiB": self.ingest_mib}

    def cost(self, week: Week) -> dict[str, float]:
        """What a box with four cameras costs in a day."""
        per_item = {name: spent / self.items for name, spent in self.spent.items()}
        seconds = {f"{name}_cpu_s": round(each * week.items_a_box_and_day, 2) for name, each in per_item.items()}
        return {**seconds, "room_MiB": round(week.mib_a_box_and_day, 2)}


def _spent(pid: int) -> float:
    """Processor seconds of a process and its children, ended ones included."""
    process = psutil.Process(pid)
    each = [process, *process.children(recursive=True)]
    times = [one.cpu_times() for one in each]
    return sum(one.user + one.system for one in times) + times[0].children_user + times[0].children_system


def _items_of(cloud: Cloud) -> int:
    return int(cloud.rows("SELECT count(*) FROM event")[0][0])


def _size_of(engine: Engine) -> int:
    """Bytes of a database, its log left out."""
    query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    if engine.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
    with reading(engine) as connection:
        return int(connection.execute(text(query)).scalar_one())


if __name__ == "__main__":
    main()
