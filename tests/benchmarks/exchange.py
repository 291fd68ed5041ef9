"""How fast the exchange takes items and gives them away, beside SQLite alone with the same bytes and settings.

Appending is durable: each batch is one transaction that is on the disk when it returns; times bare SQLite is how many
times as long it takes as keeping the very same rows without our bookkeeping. Draining is claiming, packing and settling
100,000 waiting items without a network.
"""

import json
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from edge.exchange.batch import Batch
from edge.exchange.schema import FILE_NAME
from edge.uplink.delivery import Delivery
from tests.support.exchange import ORIGIN, Exchange, configuration, crossing, opened, report, visit
from tests.support.ideal_cloud import IdealCloud

__all__ = ["main"]

WAITING = 100_000
ITEMS = {1: 1_000, 60: 12_000, 500: 30_000}
"""How many items are appended, by the size of the batch."""

Row = tuple[str, int, str, str, str, str, int, str]


def main() -> None:
    """Measure, and end with one line of figures."""
    appending = {f"batches of {size}": appended(size, count) for size, count in ITEMS.items()}
    print(json.dumps({"append": appending, "drain": {f"{WAITING:,} items": drained()}}))


def appended(size: int, count: int) -> dict[str, float]:
    """Items a second in batches of one size, and how many times as long they take as bare SQLite needs."""
    folder = Path(tempfile.mkdtemp(prefix="footfall-benchmark-"))
    try:
        exchange = Exchange(folder=folder)
        with opened(exchange) as writer:
            began = time.perf_counter()
            for start in range(0, count, size):
                writer.commit(batch(start, size))
            seconds = time.perf_counter() - began
            log_bytes = (folder / f"{FILE_NAME}-wal").stat().st_size
        floor = bare_seconds(folder, size)
    finally:
        shutil.rmtree(folder)
    print(f"batches of {size}: {count / seconds:,.0f} items/s; bare SQLite {count / floor:,.0f} items/s")
    return {
        "times_bare_SQLite": round(seconds / floor, 2),
        "items_per_second": round(count / seconds),
        "log_MiB": round(log_bytes / 2**20, 2),
    }


def batch(start: int, size: int) -> Batch:
    """What a busy minute is made of: mostly visits, some reports."""
    makers = (visit, visit, visit, report, crossing)
    return Batch(
        origin=ORIGIN, drafts=[makers[number % 5](at=float(number % 900)) for number in range(start, start + size)]
    )


def bare_seconds(folder: Path, size: int) -> float:
    """How long bare SQLite takes to keep the very rows of this exchange, in as many transactions."""
    columns = "epoch, seq, type, venue, config, mode, at_ms, body"
    with closing(sqlite3.connect(folder / FILE_NAME)) as kept:
        rows: list[Row] = kept.execute(f"SELECT {columns} FROM item ORDER BY id").fetchall()  # noqa: S608
        table, *indexes = (
            sql for (sql,) in kept.execute("SELECT sql FROM sqlite_schema WHERE tbl_name = 'item' AND sql IS NOT NULL")
        )
    with closing(sqlite3.connect(folder / "bare.sqlite", isolation_level=None)) as bare:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        for statement in (table, *indexes):
            bare.execute(statement)
        began = time.perf_counter()
        for start in range(0, len(rows), size):
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany(
                f"INSERT INTO item ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                rows[start : start + size],
            )
            bare.execute("COMMIT")
        return time.perf_counter() - began


def drained() -> dict[str, float]:
    """How long it takes to claim, pack and settle what a long outage left."""
    folder = Path(tempfile.mkdtemp(prefix="footfall-benchmark-"))
    try:
        exchange, cloud = Exchange(folder=folder), IdealCloud()
        with opened(exchange) as writer, exchange.outbox() as outbox:
            writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
            for start in range(0, WAITING - 1, 500):
                writer.commit(batch(start, min(500, WAITING - 1 - start)))
            delivery = Delivery(outbox, box="box-1")
            delivery.connected()
            seconds, envelopes, answering = 0.0, 0, 0.0
            began = time.perf_counter()
            while due := delivery.due(exchange.now):
                for outgoing in due:
                    delivery.sent(outgoing, exchange.now)
                    asked = time.perf_counter()
                    answer = cloud.take(outgoing.payload)
                    answering += time.perf_counter() - asked
                    delivery.acknowledge(answer, exchange.now)
                    envelopes += 1
            seconds = time.perf_counter() - began - answering
            assert len(cloud.items) == WAITING
            log_bytes = (folder / f"{FILE_NAME}-wal").stat().st_size
    finally:
        shutil.rmtree(folder)
    print(f"drained {WAITING:,} items in {seconds:.1f} s with {envelopes} envelopes")
    return {
        "seconds": round(seconds, 2),
        "items_per_second": round(WAITING / seconds),
        "log_MiB": round(log_bytes / 2**20, 2),
    }


if __name__ == "__main__":
    main()
