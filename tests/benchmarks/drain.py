"""How long a box that was cut off needs to catch up, and how late what happens meanwhile comes.

100,000 items wait in a real exchange: visits, reports, crossings and tiles. A real uplink sends them by a mosquitto
with Debian's settings to a real ingest, all on this machine, while ten new items a second are appended. Caught up is
the box when everything that had waited is acknowledged, which should be within a minute.

Live delays are from an item's commit to the moment at which its acknowledgement is in the exchange, to a tenth of a
second. Commit milliseconds are what appending a second's items takes beside uplink, off the frame loop; log MiB is the
most that SQLite's log grew to.
"""

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from edge import clock
from edge.anonymity import Origin, draft
from edge.clock import Trust
from edge.exchange.batch import Batch
from edge.exchange.schema import FILE_NAME, State
from edge.exchange.writer import ThisBoot, Writer
from protocol.events import Visit
from protocol.modes import Mode
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.product import VENUE, Box, Camera, Cloud

__all__ = ["main"]

WAITING = 100_000
LIVE_A_SECOND = 10
LIVE_EPOCH = "1" * 16
LIMIT_SECONDS = 600.0
_LOOK_SECONDS = 0.1
_NOWHERE = Camera(id="square", url="rtsp://127.0.0.1:9/never-opened")


def main() -> None:
    """Measure into both databases, and end with one line of figures."""
    with tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as name, PostgresServer(durable=True) as server:
        folder = Path(name)
        sqlite = drained(folder / "sqlite", f"sqlite:///{folder / 'footfall.sqlite'}")
        postgres = drained(folder / "postgres", server.url_of(server.create_database()))
    print(json.dumps({"drain": {"SQLite": sqlite, "PostgreSQL": postgres}}))


@dataclass(slots=True)
class Observed:
    """What was seen while the exchange drained; seconds, and bytes of SQLite's log."""

    commits: list[float] = field(default_factory=list)
    delays: dict[int, float] = field(default_factory=dict)
    """By the seq of the new item."""

    most_log_bytes: int = 0


def drained(folder: Path, url: str) -> dict[str, float]:
    """How one box catches up with a cloud on one database."""
    observed = Observed()
    with Mosquitto() as broker, Cloud(folder / "cloud", database_url=url, broker=broker) as cloud:
        cloud.enrol()
        box = Box(folder / "box", broker=broker, cameras=[_NOWHERE], model="never-loaded", mode="live")
        box.fill(WAITING)
        with box.look() as exchange, appending(box.exchange) as writer, box.uplink:
            until(lambda: "Connected to broker" in box.uplink.log, seconds=30, what="uplink to connect")
            seconds = observe(exchange, writer, box.exchange / f"{FILE_NAME}-wal", observed)
        assert box.uplink.log.count("Connected to broker") == 1, box.uplink.log
        took_in = cloud.rows("SELECT count(*) FROM event")[0][0]
    print(f"{url.partition(':')[0]}: {seconds:.1f} s; {took_in:,} events at the cloud", flush=True)
    return {
        "seconds": round(seconds, 1),
        "items_per_second": round(WAITING / seconds),
        "live_p50_s": round(quantiles(observed.delays.values(), n=20, method="inclusive")[9], 1),
        "live_p95_s": round(quantiles(observed.delays.values(), n=20, method="inclusive")[18], 1),
        "live_most_s": round(max(observed.delays.values()), 1),
        "commit_p95_ms": round(quantiles(observed.commits, n=20, method="inclusive")[18] * 1000, 1),
        "commit_most_ms": round(max(observed.commits) * 1000, 1),
        "log_MiB": round(observed.most_log_bytes / 2**20, 1),
    }


@contextmanager
def appending(folder: Path) -> Iterator[Writer]:
    """A writer in an epoch of its own, as vision has it."""
    boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=None)
    with Writer(folder, this_boot=boot, epoch=LIVE_EPOCH, monotonic=clock.monotonic) as writer:
        fix = clock.system_fix(Trust.ALWAYS)
        assert fix is not None
        writer.offer_fix(fix)
        yield writer


def observe(exchange: sqlite3.Connection, writer: Writer, log: Path, observed: Observed) -> float:
    """Append each second until all that had waited, and then all that was appended, is acknowledged."""
    began = appended_at = time.monotonic()
    caught_up: float | None = None
    committed: list[float] = []
    while caught_up is None or len(observed.delays) < len(committed):
        now = time.monotonic()
        assert now < began + LIMIT_SECONDS, f"after {LIMIT_SECONDS:.0f} s the exchange had not drained"
        if caught_up is None and now >= appended_at:
            appended_at += 1.0
            append(writer)
            committed += [time.monotonic()] * LIVE_A_SECOND
            observed.commits.append(time.monotonic() - now)
        time.sleep(_LOOK_SECONDS)
        observed.most_log_bytes = max(observed.most_log_bytes, log.stat().st_size)
        for seq in settled_live(exchange):
            observed.delays.setdefault(seq, time.monotonic() - committed[seq - 1])
        if caught_up is None and not waiting_of_old(exchange):
            caught_up = time.monotonic() - began
    return caught_up


def append(writer: Writer) -> None:
    """A second's items."""
    origin = Origin(venue=VENUE, config="0" * 32, mode=Mode.LIVE)
    now = clock.monotonic()
    drafts = [
        draft(
            Visit,
            at=now,
            scene="square",
            dwell_seconds=42.0,
            began="entered",
            ended="left",
            frames_seen=400,
            mean_confidence=0.7,
        )
        for _ in range(LIVE_A_SECOND)
    ]
    writer.commit(Batch(origin=origin, drafts=drafts))


def settled_live(exchange: sqlite3.Connection) -> list[int]:
    """Seqs of new items that the cloud has acknowledged; of each epoch they begin with 1."""
    query = "SELECT seq FROM item WHERE epoch = ? AND state = ?"
    rows = exchange.execute(query, (LIVE_EPOCH, State.SETTLED)).fetchall()
    return [int(seq) for (seq,) in rows]


def waiting_of_old(exchange: sqlite3.Connection) -> bool:
    """Whether any item of before is not acknowledged."""
    query = "SELECT 1 FROM item WHERE epoch <> ? AND state IN (?, ?) LIMIT 1"
    return exchange.execute(query, (LIVE_EPOCH, State.WAITING, State.CLAIMED)).fetchone() is not None


if __name__ == "__main__":
    main()
