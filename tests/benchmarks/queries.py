"""How fast the cloud answers with ten million events behind it: seven shops over a year, in SQLite and in PostgreSQL.

A week of each shop, 600 visitors a day, goes through the ingest and is added up to hours and days as by the upkeep; the
other 51 are copies of its rows, shifted in time. Then each kind of question is asked of a shop and a period that a seed
chooses: one, seven, 28 or 91 days, as many of each. An answer is timed from the request to its last byte, through the
whole cloud, set as `footfall cloud serve` sets it, but for the network. `p95_ms` is over all kinds together and should
be under 50, `worst_p95_ms` of the slowest kind; `year` is of periods of 52 weeks. A CSV export streams and stands by
itself: all visits of 91 days.

Beside it stands a bare query: how long the database alone needs to add up the visits and the watched time of the same
shops and periods, in one statement by its own driver.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import Column, ColumnElement, Engine, Table, func, insert, select, text

from cloud.garbage import collect_seldom
from cloud.ingest.commit import Committer
from cloud.settings import Settings
from cloud.store import tables
from cloud.store.engine import open_engine, outside_transactions, reading, writing
from cloud.store.moments import to_ms
from cloud.store.schema import migrate
from cloud.store.upsert import table_of
from cloud.upkeep.long_sums import add_up_days
from cloud.web import create_site
from edge.synthetic.days import ShopDays, envelopes
from edge.synthetic.layout import SPACE
from tests.support.api import ADMIN_KEY, SITE, Clock
from tests.support.envelopes import deliver, enrol
from tests.support.postgres import PostgresServer

__all__ = ["main"]

SHOPS = tuple(f"shop-{number}" for number in range(1, 8))
WEEKS = 52
FIRST_DAY = date(2025, 12, 1)
FIRST_MOMENT = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
WEEK = timedelta(days=7)
WEEK_MS = 7 * 86_400_000
SEQS_A_WEEK = 1_000_000
ASKED = 30
"""How often each kind of question is asked of each length of period."""
DAYS = (1, 7, 28, 91)
YEAR = 364
EXPORTED_DAYS = 91
COPIED = (
    tables.Event, tables.Rollup, tables.RollupPeak, tables.RollupLong, tables.RollupLongPeak, tables.Tile,
)  # fmt: skip
TIMES = frozenset({"at_ms", "received_ms", "bucket_ms", "start_ms"})

_BARE = (
    "SELECT metric, box, subject, bin, sum(value) FROM rollup WHERE venue = {0} AND metric IN ('visits', 'watched_ms') "
    "AND scope IN ('scene', 'camera') AND bucket_ms >= {0} AND bucket_ms < {0} GROUP BY metric, box, subject, bin"
)

Query = dict[str, str | int | list[str]]
Json = int | float
Driver = sqlite3.Connection | psycopg.Connection[tuple[object, ...]]
Connect = Callable[[], AbstractContextManager[Driver]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A kind of request, of which venue and period are left open; `{venue}` in a query stands for it too."""

    name: str
    path: str
    query: Query
    longest_days: int = 366
    has_period: bool = True


_API = "/api/v1"
_VENUE = f"{_API}/venues/{{venue}}"
_HEAT: Query = {"space": SPACE, "layer": "presence"}
QUESTIONS = (
    Question(name="summary", path=f"{_VENUE}/summary", query={}),
    Question(name="hours", path=f"{_VENUE}/series", query={}, longest_days=92),
    Question(name="days", path=f"{_VENUE}/series", query={"bucket": "day"}),
    Question(name="weeks", path=f"{_VENUE}/series", query={"bucket": "week"}),
    Question(name="patterns", path=f"{_VENUE}/patterns", query={}, longest_days=92),
    Question(name="change", path=f"{_VENUE}/change", query={}, longest_days=92),
    Question(name="trend of 12 weeks", path=f"{_VENUE}/trend", query={}, has_period=False, longest_days=1),
    Question(name="zones", path=f"{_VENUE}/zones", query={}),
    Question(name="lines", path=f"{_VENUE}/lines", query={}),
    Question(name="heat map as JSON", path=f"{_VENUE}/heatmap", query=_HEAT),
    Question(name="heat map as PNG", path=f"{_VENUE}/heatmap", query={**_HEAT, "format": "png"}),
    Question(name="tile of a heat map", path=f"{_VENUE}/heatmap/{SPACE}/presence/0/0/-1.png", query={}),
    Question(name="cameras", path=f"{_VENUE}/cameras", query={}, has_period=False, longest_days=1),
    Question(name="boxes", path=f"{_API}/boxes", query={}, has_period=False, longest_days=1),
    Question(name="100 visits", path=f"{_VENUE}/events", query={"type": "visit", "limit": 100}),
    Question(name="100 events", path=f"{_VENUE}/events", query={"limit": 100}),
    Question(name="3 venues compared", path=f"{_API}/comparison", query={"venue": [*SHOPS[:3]]}),
    Question(name="7 venues compared", path=f"{_API}/comparison", query={"venue": [*SHOPS]}),
    Question(name="page of all venues", path="/", query={}, has_period=False, longest_days=1),
    Question(name="page of a venue", path="/venues/{venue}", query={}, has_period=False, longest_days=1),
)


def main() -> None:
    """Fill, ask, and end with one line of figures."""
    weeks = int(sys.argv[1]) if sys.argv[1:] else WEEKS
    with tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as folder, PostgresServer() as server:
        file = Path(folder) / "footfall.sqlite"
        sqlite = measured(f"sqlite:///{file}", weeks, lambda: closing(sqlite3.connect(file)), "?")
        file.unlink()
        url = server.url_of(server.create_database())
        postgres = measured(url, weeks, lambda: psycopg.connect(url.replace("+psycopg", "")), "%s")
    print(json.dumps({name: {"SQLite": sqlite[name], "PostgreSQL": postgres[name]} for name in sqlite}))


def measured(url: str, weeks: int, connect: Callable[[], AbstractContextManager[Driver]], mark: str) -> dict[str, Json]:
    """The figures of one database."""
    engine = open_engine(url)
    migrate(engine)
    fill(engine, weeks)
    clock = Clock(now=FIRST_MOMENT + weeks * WEEK)
    app = create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), engine, clock=clock)
    collect_seldom()
    days = [length for length in DAYS if length <= weeks * 7]
    answers = {question.name: [*ask_often(app, question, days=days, weeks=weeks)] for question in QUESTIONS}
    year = {
        question.name: [*ask_often(app, question, days=[min(YEAR, weeks * 7)], weeks=weeks)]
        for question in QUESTIONS
        if question.longest_days >= YEAR
    }
    with connect() as connection:
        bare = [bare_ms(connection, mark, *chosen) for chosen in choices(days=days * ASKED, weeks=weeks)]
    export_seconds, export_bytes = export(app, days=min(EXPORTED_DAYS, weeks * 7))
    total = count_of(engine)
    engine.dispose()
    by_kind = {name: p95(times) for name, times in answers.items()}
    figures: dict[str, Json] = {
        "events": total,
        "p95_ms": p95(chain(*answers.values())),
        "worst_p95_ms": max(by_kind.values()),
        "bare_p95_ms": p95(bare),
        "year_p95_ms": p95(chain(*year.values())),
        "export_seconds": round(export_seconds, 1),
        "export_mb_per_second": round(export_bytes / 1e6 / export_seconds, 1),
        **{f"{name}, p95_ms": value for name, value in by_kind.items()},
        **{f"{name}, a year, p95_ms": p95(times) for name, times in year.items()},
    }
    print(url.partition(":")[0], figures, flush=True)
    return figures


def fill(engine: Engine, weeks: int) -> None:
    """Put so many weeks of each shop into an empty database."""
    take_in_week(engine, SHOPS)
    assert sum(add_up_days(engine, now=FIRST_MOMENT + WEEK)) == 7 * len(SHOPS)
    for model in COPIED:
        copy_weeks(engine, table_of(model), weeks)
    with outside_transactions(engine) as connection:
        connection.execute(text("ANALYZE"))


def take_in_week(engine: Engine, shops: Sequence[str]) -> int:
    """Let a week of each shop, which has one camera, go through the ingest; how many items they told."""
    told = 0
    for number, shop in enumerate(shops, start=1):
        enrol(engine, box=f"box-{number}", venue=shop)
        days = ShopDays(seed=number, venue=shop)
        for day in range(7):
            items = days.day(FIRST_DAY + timedelta(days=day)).items
            payloads = envelopes(items, box=f"box-{number}", epoch=f"{number:016x}")
            Committer(engine, lambda: FIRST_MOMENT + WEEK).commit(deliver(*payloads, box=f"box-{number}"))
            told += len(items)
    return told


def copy_weeks(engine: Engine, table: Table, weeks: int) -> None:
    """Copy a table's rows of the first week into each of the others."""
    moment = next(table.c[name] for name in ("at_ms", "bucket_ms", "start_ms") if name in table.c)
    for week in range(1, weeks):
        shifted = [_shifted(one, week).label(one.name) for one in table.c]
        of_first = select(*shifted).where(moment < to_ms(FIRST_MOMENT + WEEK))
        with writing(engine) as connection:
            connection.execute(insert(table).from_select([one.name for one in table.c], of_first))


def _shifted(one: Column[Any], week: int) -> ColumnElement[Any]:
    if one.name in TIMES:
        return one + week * WEEK_MS
    return one + week * SEQS_A_WEEK if one.name == "seq" else one


def ask_often(app: FastAPI, question: Question, *, days: Sequence[int], weeks: int) -> Iterator[float]:
    """How many milliseconds each answer took, after one that warms up."""
    asked = [length for length in days if length <= question.longest_days] * ASKED
    for number, (shop, start, end) in enumerate(choices(days=[asked[0], *asked], weeks=weeks)):
        period: Query = {"from": start.isoformat(), "to": end.isoformat()} if question.has_period else {}
        began = time.perf_counter()
        answer = asyncio.run(get(app, question.path.format(venue=shop), {**question.query, **period}))
        seconds = time.perf_counter() - began
        assert answer.status_code == HTTPStatus.OK, answer.text
        if number:
            yield seconds * 1000


async def get(app: FastAPI, path: str, query: Query) -> httpx.Response:
    """An answer of the API or of the pages to the machine's owner."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        return await client.get(path, params=query, headers={"Authorization": f"Bearer {ADMIN_KEY}"})


def export(app: FastAPI, *, days: int) -> tuple[float, int]:
    """How many seconds all visits of a period take as CSV, and how many bytes they are."""
    query: Query = {"type": "visit", "format": "csv", "from": FIRST_MOMENT.isoformat()}
    query |= {"to": (FIRST_MOMENT + timedelta(days=days)).isoformat()}
    began = time.perf_counter()
    answer = asyncio.run(get(app, _VENUE.format(venue=SHOPS[0]) + "/events", query))
    seconds = time.perf_counter() - began
    assert answer.status_code == HTTPStatus.OK, answer.text
    return seconds, len(answer.content)


def choices(*, days: Sequence[int], weeks: int) -> Iterator[tuple[str, datetime, datetime]]:
    """A shop and a period of each length, the same ones each time."""
    random = Random("shops and periods")
    for length in days:
        start = FIRST_MOMENT + timedelta(days=random.randint(0, weeks * 7 - length))
        yield random.choice(SHOPS), start, start + timedelta(days=length)


def bare_ms(connection: Driver, mark: str, shop: str, start: datetime, end: datetime) -> float:
    """How many milliseconds the database alone takes."""
    began = time.perf_counter()
    connection.execute(_BARE.format(mark), (shop, to_ms(start), to_ms(end))).fetchall()
    return (time.perf_counter() - began) * 1000


def p95(times: Iterable[float]) -> float:
    """The 95th percentile."""
    return round(quantiles(times, n=20, method="inclusive")[-1], 1)


def count_of(engine: Engine) -> int:
    """How many events there are."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table_of(tables.Event))).scalar_one())


if __name__ == "__main__":
    main()
