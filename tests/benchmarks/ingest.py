"""How fast the cloud takes in what boxes send: from MQTT payloads to the commit, roll-ups, tiles and receipts included.

Each of four boxes sends three days of a shop with 600 visitors a day, in envelopes as full as those after an outage.
Workers read the payloads and commit them by twenties, each worker the boxes that a shared subscription might give it;
the broker is left out. SQLite has one worker, PostgreSQL one and two; both are durable: a commit is on the disk.

Beside it stands the time of keeping the very rows of the table `event` alone, in as many transactions: `executemany`
into SQLite, `COPY` by as many connections into PostgreSQL. The raw ratio is ours over that.
"""

import json
import math
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import chain, zip_longest
from multiprocessing import get_context
from pathlib import Path

import psycopg

from cloud.garbage import collect_seldom
from cloud.ingest.commit import Committer
from cloud.ingest.intake import EnvelopeDelivery, intake
from cloud.store.engine import open_engine
from cloud.store.schema import migrate
from cloud.store.tables import Event
from edge.synthetic.days import ShopDays, envelopes
from tests.support.envelopes import enrol, rows_of, topic
from tests.support.postgres import PostgresServer

__all__ = ["main"]

BOXES = ("box-1", "box-2", "box-3", "box-4")
TOGETHER = 20
_DAYS, _LATER = [date(2026, 3, day) for day in (2, 3, 4)], datetime(2026, 4, 1, tzinfo=UTC)

Message = tuple[str, bytes]
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some work of one process, between two moments of the machine's clock."""

    began: float
    ended: float
    items: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Items a second, and how many times as long they took as their bare rows."""

    items_per_second: float
    raw_ratio: float


def main() -> None:
    """Measure, and end with one line of figures."""
    days = [list(messages_of(number, box)) for number, box in enumerate(BOXES, start=1)]
    with (
        tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as folder,
        PostgresServer(durable=True) as server,
        ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool,
    ):
        new_database = partial(_new_database, server)
        new_file = partial(_new_file, Path(folder))
        speeds = {
            "SQLite": speed(new_file, bare_sqlite, [interleaved(days)], pool),
            "PostgreSQL, 1 worker": speed(new_database, bare_postgres, [interleaved(days)], pool),
            "PostgreSQL, 2 workers": speed(
                new_database, bare_postgres, [interleaved(days[0::2]), interleaved(days[1::2])], pool
            ),
        }
    figures = {
        "raw_ratio": {name: round(one.raw_ratio, 1) for name, one in speeds.items()},
        "sqlite_events_per_s": round(speeds["SQLite"].items_per_second),
        "postgres_rows_per_s": round(speeds["PostgreSQL, 2 workers"].items_per_second),
        "postgres_rows_per_s_of_one_worker": round(speeds["PostgreSQL, 1 worker"].items_per_second),
    }
    print(json.dumps(figures))


def messages_of(seed: int, box: str) -> Iterator[Message]:
    """Days of a shop of its own, as its box sends them after an outage."""
    venue = f"shop-of-{box}"
    shop = ShopDays(seed=seed, venue=venue)
    items = [item for day in _DAYS for item in shop.day(day).items]
    for payload in envelopes(items, box=box, epoch=f"{seed:016x}"):
        yield topic(box=box, venue=venue), payload


def interleaved(days: Sequence[Sequence[Message]]) -> list[Message]:
    """The messages of several boxes that send at once."""
    return [message for together in zip_longest(*days) for message in together if message is not None]


def speed(
    new_database: Callable[[], str],
    bare: Callable[[str, Sequence[Row], int], Stretch],
    shares: Sequence[Sequence[Message]],
    pool: Executor,
) -> Speed:
    """How fast workers take in their shares, and the same rows alone."""
    url = new_database()
    engine = open_engine(url)
    migrate(engine)
    for box in BOXES:
        enrol(engine, box=box, venue=f"shop-of-{box}")
    list(pool.map(warm_up, range(len(shares))))
    stretches = list(pool.map(take, [url] * len(shares), shares))
    items = sum(one.items for one in stretches)
    rows = [[tuple(row.values()) for row in rows_of(engine, Event, box=box)] for box in BOXES]
    engine.dispose()
    assert items == sum(map(len, rows))
    bare_url = new_database()
    empty = open_engine(bare_url)
    migrate(empty)
    empty.dispose()
    parts = [list(chain(*rows[number :: len(shares)])) for number in range(len(shares))]
    sizes = [math.ceil(len(part) * TOGETHER / len(share)) for part, share in zip(parts, shares, strict=True)]
    floor = list(pool.map(bare, [bare_url] * len(parts), parts, sizes))
    seconds, bare_seconds = wall_seconds(stretches), wall_seconds(floor)
    print(f"{url.partition(':')[0]}, {len(shares)} workers: {items / seconds:,.0f} items/s, ", end="")
    print(f"bare rows {items / bare_seconds:,.0f}/s", flush=True)
    return Speed(items_per_second=items / seconds, raw_ratio=seconds / bare_seconds)


def take(url: str, messages: Sequence[Message]) -> Stretch:
    """A worker's part, as `footfall cloud ingest` does it, without a broker."""
    collect_seldom()
    engine = open_engine(url)
    committer = Committer(engine, lambda: _LATER)
    items, began = 0, time.perf_counter()
    for start in range(0, len(messages), TOGETHER):
        deliveries = [intake(*message) for message in messages[start : start + TOGETHER]]
        items += sum(len(one.envelope.items) for one in deliveries if isinstance(one, EnvelopeDelivery))
        committer.commit(deliveries)
    stretch = Stretch(began=began, ended=time.perf_counter(), items=items)
    engine.dispose()
    return stretch


def bare_sqlite(url: str, rows: Sequence[Row], together: int) -> Stretch:
    """The rows alone, as many in a transaction as the worker had."""
    marks = ", ".join("?" * len(rows[0]))
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        began = time.perf_counter()
        for start in range(0, len(rows), together):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO event VALUES ({marks})", rows[start : start + together])  # noqa: S608
            connection.execute("COMMIT")
        return Stretch(began=began, ended=time.perf_counter())


def bare_postgres(url: str, rows: Sequence[Row], together: int) -> Stretch:
    """The same by COPY."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        began = time.perf_counter()
        for start in range(0, len(rows), together):
            with connection.cursor() as cursor, cursor.copy("COPY event FROM STDIN") as copy:
                for row in rows[start : start + together]:
                    copy.write_row(row)
            connection.commit()
        return Stretch(began=began, ended=time.perf_counter())


def wall_seconds(stretches: Sequence[Stretch]) -> float:
    """From the first beginning to the last end."""
    return max(one.ended for one in stretches) - min(one.began for one in stretches)


def warm_up(_number: int) -> None:
    """Have a process of the pool import what it needs, while the other one does so too."""
    time.sleep(0.5)


def _new_database(server: PostgresServer) -> str:
    return server.url_of(server.create_database())


def _new_file(folder: Path) -> str:
    number = len(list(folder.glob("*.sqlite")))
    return f"sqlite:///{folder / f'{number}.sqlite'}"


if __name__ == "__main__":
    main()
