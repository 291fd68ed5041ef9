"""Days are added up to longer sums, and no figure changes: neither before nor after, nor when something comes late."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select

from cloud.ingest.commit import Committer
from cloud.store.engine import writing
from cloud.store.metrics import BUCKET_MS, DAY_SECONDS, HOUR_SECONDS, day_start
from cloud.store.tables import Rollup, RollupDue, RollupLong, RollupLongPeak, RollupPeak
from cloud.store.upsert import table_of
from cloud.upkeep.long_sums import add_up_days
from tests.support.api import Api, Clock
from tests.support.envelopes import (
    BOX,
    SETUP,
    VENUE,
    JsonObject,
    certificate,
    configuration,
    crossing,
    deliver,
    envelope,
    occupancy,
    rows_of,
    visit,
)

DAYS = 5
DAY_MS = DAY_SECONDS * 1000
_DUE = table_of(RollupDue)
_EPOCHS = {BOX: "a" * 16, "box-2": "b" * 16}


class Shop:
    """A venue with two boxes, of which the second counts by visits, over some days around a moment."""

    def __init__(self, engine: Engine, *, zone: str, around: datetime, hours: JsonObject | None) -> None:
        self.engine = engine
        self.start = around - timedelta(days=DAYS / 2)
        self.api = Api(engine, clock=Clock(now=self.start - timedelta(days=1)))
        self.api.make_venue(timezone=zone, opening_hours=hours, area_m2=80)
        self.api.make_venue("other-shop", timezone=zone)
        for box in _EPOCHS:
            self.api.make_box(box)
        self.api.clock.now = self.start + timedelta(days=DAYS)
        self.random = Random(7)
        self.seqs = dict.fromkeys(_EPOCHS, 0)

    def furnish(self) -> None:
        """What was set up, one line checked, and an entrance that comes later."""
        self.tell(BOX, "configuration", self.start, cameras=("cam-1", "cam-2"), entrance="door", setup=SETUP)
        self.tell(BOX, "certificate", self.start + timedelta(days=1))
        self.tell("box-2", "configuration", self.start, cameras=("cam-1",))
        self.tell("box-2", "configuration", self.start + timedelta(hours=70), config="d" * 32, entrance="gate")
        for _ in range(200):
            self.tell_anything()

    def tell_anything(self) -> None:
        """An item of either box, at any time."""
        box, kind = self.random.choice([*_EPOCHS]), self.random.choice(["visit", "occupancy", "occupancy", "crossing"])
        at = self.start + timedelta(minutes=self.random.randrange(DAYS * 1440))
        self.tell(box, kind, at)

    def tell(self, box: str, kind: str, at: datetime, **fields: Any) -> None:
        self.seqs[box] += 1
        makers: dict[str, Callable[..., JsonObject]] = {
            "certificate": certificate, "configuration": configuration, "crossing": crossing,
            "occupancy": occupancy, "visit": visit,
        }  # fmt: skip
        if kind == "crossing":
            fields = {"inward": self.random.randrange(9), "outward": self.random.randrange(9)}
        if kind == "visit":
            fields = {"dwell_seconds": self.random.randrange(900) + 0.5}
        item = makers[kind](self.seqs[box], at=at, **fields)
        payload = envelope([item], box=box, epoch=_EPOCHS[box], sent_at=None)
        Committer(self.engine, self.api.clock).commit(deliver(payload, box=box))

    def answers(self) -> Iterator[Any]:
        """All figures of all the days, of some, and of a part of a day."""
        hour = timedelta(hours=1)
        for start, end in ((0 * hour, DAYS * 24 * hour), (15 * hour, 77.25 * hour), (30 * hour, 40.5 * hour)):
            period = {"from_": (self.start + start).isoformat(), "to": (self.start + end).isoformat()}
            for path in ("summary", "series", "zones", "lines", "cameras/box-1/cam-1"):
                yield self.api.read(f"/venues/{VENUE}/{path}", **period)
            compared = {"venue": [VENUE, "other-shop"], "from": period["from_"], "to": period["to"]}
            yield self.api.request("GET", "/comparison", query=compared).json()["venues"]  # type: ignore[arg-type]

    def forget_long_sums(self) -> None:
        """Let every day be read from its 15 minutes."""
        sums, peaks = table_of(Rollup), table_of(RollupPeak)
        with writing(self.engine) as connection:
            days = {
                (row.venue, day_start(row.bucket_ms), row.box)
                for table in (sums, peaks)
                for row in connection.execute(select(table.c.venue, table.c.bucket_ms, table.c.box))
            }
            for table in (_DUE, table_of(RollupLong), table_of(RollupLongPeak)):
                connection.execute(delete(table))
            columns = ("venue", "day_ms", "box")
            connection.execute(insert(_DUE), [dict(zip(columns, day, strict=True)) for day in sorted(days)])


@pytest.mark.parametrize(
    ("zone", "around", "hours"),
    [
        pytest.param("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC), None, id="clocks go forward"),
        pytest.param("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), None, id="clocks go back"),
        pytest.param("Asia/Kathmandu", datetime(2026, 5, 5, 7, 30, tzinfo=UTC), None, id="hours begin at a quarter"),
        pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), None, id="half an hour back"),
        pytest.param(
            "America/New_York", datetime(2026, 6, 10, tzinfo=UTC),
            {"weekly": {day: [["09:10", "18:00"]] for day in ("mon", "tue", "wed", "fri")}}, id="opening hours",
        ),
    ],
)  # fmt: skip
def test_figures_are_the_same_however_they_are_read(
    engine: Engine, zone: str, around: datetime, hours: JsonObject | None
) -> None:
    shop = Shop(engine, zone=zone, around=around, hours=hours)
    shop.furnish()
    before = [*shop.answers()]
    assert sum(add_up_days(engine, now=shop.api.clock.now)) > DAYS
    assert [*shop.answers()] == before

    for _ in range(6):
        shop.tell_anything()
    late = [*shop.answers()]
    assert late != before
    list(add_up_days(engine, now=shop.api.clock.now))
    assert [*shop.answers()] == late
    shop.forget_long_sums()
    assert [*shop.answers()] == late


def test_long_sums_are_those_of_the_15_minutes(engine: Engine) -> None:
    shop = Shop(engine, zone="UTC", around=datetime(2026, 5, 5, tzinfo=UTC), hours=None)
    shop.furnish()
    list(add_up_days(engine, now=shop.api.clock.now))
    shop.tell_anything()
    list(add_up_days(engine, now=shop.api.clock.now))
    for model, long, together in ((Rollup, RollupLong, sum), (RollupPeak, RollupLongPeak, max)):
        rows = rows_of(engine, model, box=None)
        wanted: dict[tuple[object, ...], list[int]] = {}
        for row in rows:
            for length in (HOUR_SECONDS, DAY_SECONDS):
                names = {**row, "start_ms": row["bucket_ms"] // (length * 1000) * length * 1000, "length": length}
                wanted.setdefault(_key(names), []).append(row["value"])
        found = {
            _key({**row, "length": row["length_seconds"]}): row["value"] for row in rows_of(engine, long, box=None)
        }
        days = {key for key in wanted if key[1] == DAY_SECONDS and key[2] + DAY_MS <= _now_ms(shop)}  # type: ignore[operator]
        of_days = {key for key in found if key[1] == DAY_SECONDS and key[0] != "watched_within_ms"}
        assert of_days == days
        assert all(found[key] == together(wanted[key]) for key in found if key[0] != "watched_within_ms")


def test_what_a_camera_watched_beyond_15_minutes_is_capped(engine: Engine) -> None:
    shop = Shop(engine, zone="UTC", around=datetime(2026, 5, 5, tzinfo=UTC), hours=None)
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    for _ in range(16):
        shop.tell(BOX, "occupancy", at)
    list(add_up_days(engine, now=shop.api.clock.now))
    found = Counter(
        (row["length_seconds"], row["value"])
        for row in rows_of(engine, RollupLong)
        if row["metric"] == "watched_within_ms"
    )
    assert found == {(HOUR_SECONDS, BUCKET_MS): 1, (DAY_SECONDS, BUCKET_MS): 1}


def test_a_day_is_due_from_its_first_item_until_it_is_over_and_added_up(engine: Engine) -> None:
    shop = Shop(engine, zone="UTC", around=datetime(2026, 5, 5, 12, tzinfo=UTC), hours=None)
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    shop.tell(BOX, "visit", at)
    day_ms = int(at.replace(hour=0).timestamp()) * 1000
    due = [{"venue": VENUE, "day_ms": day_ms, "box": BOX}]
    assert rows_of(engine, RollupDue) == due
    assert list(add_up_days(engine, now=at.replace(hour=23, minute=59))) == []
    assert list(add_up_days(engine, now=at + timedelta(days=1))) == [1]
    assert rows_of(engine, RollupDue) == []
    shop.tell("box-2", "visit", at)
    assert [row["box"] for row in rows_of(engine, RollupDue, box=None)] == ["box-2"]


def _key(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["metric"], row["length"], row["start_ms"], row["venue"], row["scope"], row["box"], row["subject"],
        row.get("bin"),
    )  # fmt: skip


def _now_ms(shop: Shop) -> int:
    return int(shop.api.clock.now.timestamp() * 1000)
