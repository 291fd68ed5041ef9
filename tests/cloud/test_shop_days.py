"""Thirty days of a made-up shop, from its box's payloads to what the cloud says: every figure is the true one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.ingest.commit import Committer
from cloud.ingest.intake import Delivery
from cloud.periods import read_period
from cloud.store.engine import reading
from cloud.store.metrics import Metric, Scope
from cloud.store.moments import to_ms
from cloud.sums import sums
from edge.synthetic.days import Day, ShopDays, envelopes
from edge.synthetic.life import UNHURRIED
from protocol.histograms import bin_of
from protocol.tiles import TILE_SIDE, Tile
from tests.support.api import Api, Clock
from tests.support.envelopes import BOX, EPOCH, VENUE, deliver

ZONE = ZoneInfo("America/St_Johns")
"""It lies half an hour beside others, and its clocks go forward on the eighth of these days."""
DATES = [date(2026, 3, 1) + timedelta(days=number) for number in range(30)]
PERIOD = {"from": str(DATES[0]), "to": str(DATES[-1])}
ROUNDED = 0.002
"""How far off sums of seconds may be, which are rounded in each item."""
PATH = f"/venues/{VENUE}"


@pytest.fixture(scope="module")
def days() -> list[Day]:
    impatient = replace(UNHURRIED, patience_seconds=(5.0, 60.0))
    shop = ShopDays(seed=1, venue=VENUE, visitors_a_day=60, timezone=ZONE, habits=impatient, hours=range(9, 21))
    return [shop.day(on) for on in DATES]


@pytest.fixture(scope="module")
def deliveries(days: Sequence[Day]) -> list[tuple[Delivery, ...]]:
    """What comes in on each day."""
    return [deliver(*envelopes(day.items, box=BOX, epoch=EPOCH)) for day in days]


@pytest.fixture
def api(engine: Engine, deliveries: Sequence[Sequence[Delivery]]) -> Api:
    """The API of a cloud that has taken all of them in."""
    api = Api(engine, clock=Clock(now=datetime(2026, 2, 1, tzinfo=UTC)))
    api.make_venue(timezone=ZONE.key)
    api.make_box()
    api.clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    for day in deliveries:
        (acknowledged,) = Committer(engine, api.clock).commit(day)
        assert not acknowledged.ack.rejected
    return api


def test_every_figure_of_thirty_days_is_the_true_one(api: Api, days: Sequence[Day]) -> None:
    truths = [day.truth for day in days]
    visits, dwell_seconds = sum(truth.visits for truth in truths), sum(truth.dwell_seconds for truth in truths)
    assert visits > 1000

    summary = api.read(f"{PATH}/summary", **PERIOD)
    assert summary["visitors"] == summary["visits"] == summary["dwell"]["visits"] == visits
    assert summary["dwell"]["mean_seconds"] * visits == pytest.approx(dwell_seconds, rel=ROUNDED)
    assert summary["occupancy"]["person_seconds"] == pytest.approx(dwell_seconds, rel=ROUNDED)

    hours = api.read(f"{PATH}/series", **PERIOD)["parts"]
    true_hours = {
        (on, hour): count
        for on, truth in zip(DATES, truths, strict=True)
        for hour, count in enumerate(truth.visits_by_hour)
    }
    assert by_hour(hours, "visits") == by_hour(hours, "visitors") == Counter(true_hours)

    (door,) = api.read(f"{PATH}/lines", **PERIOD)["lines"]
    assert door["crossings_in"] == sum(truth.walked_in for truth in truths)
    assert door["crossings_out"] == sum(truth.walked_out for truth in truths)

    zones = api.read(f"{PATH}/zones", **PERIOD)["zones"]
    assert {zone["zone"] for zone in zones} == set(truths[0].zone_seconds)
    for zone in zones:
        true_seconds = sum(truth.zone_seconds[zone["zone"]] for truth in truths)
        assert zone["person_seconds"] == pytest.approx(true_seconds, rel=ROUNDED)
        assert zone["dwell"]["mean_seconds"] * zone["dwell"]["visits"] == pytest.approx(true_seconds, rel=ROUNDED)

    heat = api.read(f"{PATH}/heatmap", **PERIOD)
    assert heat["total"] == pytest.approx(dwell_seconds, rel=ROUNDED)
    assert warmth_of(heat) == true_warmth(days)

    queue, waits = queue_of(api), [wait for truth in truths for wait in truth.waits]
    assert queue[Metric.QUEUE_SERVED, 0] == sum(truth.served for truth in truths)
    assert queue[Metric.QUEUE_ABANDONED, 0] == sum(truth.abandoned for truth in truths) > 10
    assert queue[Metric.QUEUE_LENGTH_MILLI, 0] * 60 / 1000 == pytest.approx(sum(waits), rel=ROUNDED)
    for number, count in Counter(map(bin_of, waits)).items():
        assert queue[Metric.QUEUE_WAITS, number] == count


def by_hour(hours: Sequence[Mapping[str, Any]], figure: str) -> Counter[tuple[date, int]]:
    """A figure of each hour of the venue's clock."""
    counts: Counter[tuple[date, int]] = Counter()
    for hour in hours:
        begins = datetime.fromisoformat(hour["start"])
        counts[begins.date(), begins.hour] += hour[figure]
    return counts


def warmth_of(heat: Mapping[str, Any]) -> Counter[tuple[int, int]]:
    """Tenths of a person-second by cell."""
    rows = enumerate(heat["cells"], start=heat["y"])
    return Counter({(x, y): round(10 * seconds) for y, row in rows for x, seconds in enumerate(row, start=heat["x"])})


def true_warmth(days: Sequence[Day]) -> Counter[tuple[int, int]]:
    """The same from the tiles as the box told of them."""
    warmth: Counter[tuple[int, int]] = Counter()
    for tile in (item for day in days for item in day.items if isinstance(item, Tile)):
        for cell, tenths in zip(tile.cells, tile.values, strict=True):
            y, x = divmod(cell, TILE_SIDE)
            warmth[tile.tx * TILE_SIDE + x, tile.ty * TILE_SIDE + y] += tenths
    return warmth


def queue_of(api: Api) -> dict[tuple[Metric, int], int]:
    """What the cloud has summed of the queue, by metric and bin."""
    metrics = (Metric.QUEUE_SERVED, Metric.QUEUE_ABANDONED, Metric.QUEUE_LENGTH_MILLI, Metric.QUEUE_WAITS)
    period = read_period(PERIOD["from"], PERIOD["to"], zone=ZONE, now_ms=to_ms(api.clock.now))
    with reading(api.engine) as connection, Session(connection) as session:
        found = sums(session, venue=VENUE, scope=Scope.ZONE, metrics=metrics, period=period)
    return {(one.metric, one.bin): one.value for one in found}
