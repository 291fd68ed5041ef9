"""What a day's items add up to is what its truth says, and any cloud can read them."""

import math
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from edge.synthetic.days import Day, ShopDays, envelopes
from edge.synthetic.layout import CELL_M, LAYOUT, SPACE
from edge.synthetic.plan import QUEUE_X, TILL_Y
from protocol.configuration import config_hash
from protocol.envelope import read_envelope
from protocol.events import Configuration, Crossing, Item, Occupancy, Queue, Visit
from protocol.histograms import DURATION_BOUNDS_SECONDS, bin_of
from protocol.json_text import MAX_MESSAGE_BYTES
from protocol.modes import DISCLOSURE, Mode
from protocol.tiles import TILE_SIDE, Layer, Tile

Kind = TypeVar("Kind", bound=Item)
MONDAY = date(2026, 6, 1)
ROUNDED = timedelta(seconds=11)


@pytest.fixture(scope="module")
def monday() -> Day:
    return ShopDays(seed=1).day(MONDAY)


def items_of(day: Day, kind: type[Kind]) -> list[Kind]:
    return [item for item in day.items if isinstance(item, kind)]


def test_the_same_seed_gives_the_same_items(monday: Day) -> None:
    assert ShopDays(seed=1).day(MONDAY) == monday
    assert ShopDays(seed=2).day(MONDAY).truth != monday.truth


def test_visits_add_up(monday: Day) -> None:
    visits, truth = items_of(monday, Visit), monday.truth
    assert len(visits) == truth.visits > 400
    assert sum(visit.dwell_seconds for visit in visits) == pytest.approx(truth.dwell_seconds, abs=0.05 * len(visits))
    hours = Counter(visit.at.hour for visit in visits if visit.at is not None)
    assert [hours[hour] for hour in range(24)] == list(truth.visits_by_hour)
    for zone, seconds in truth.zone_seconds.items():
        told = [one.seconds for visit in visits for one in visit.zones if one.zone == zone]
        assert sum(told) == pytest.approx(seconds, abs=0.05 * len(told) + 0.01)


def test_crossings_add_up_and_leave_the_shop_empty(monday: Day) -> None:
    lines = [line for crossing in items_of(monday, Crossing) for line in crossing.lines]
    assert sum(line.inward for line in lines) == monday.truth.walked_in == monday.truth.visits
    assert sum(line.outward for line in lines) == monday.truth.walked_out == monday.truth.visits
    assert items_of(monday, Occupancy)[-1].inside == 0


def test_each_minute_tells_who_was_there(monday: Day) -> None:
    minutes = items_of(monday, Occupancy)
    assert len(minutes) == 1440
    assert sum(one.cameras[0].person_seconds for one in minutes) == pytest.approx(monday.truth.dwell_seconds, rel=0.001)
    for name, seconds in monday.truth.zone_seconds.items():
        told = sum(zone.person_seconds for one in minutes for zone in one.zones if zone.zone == name)
        assert told == pytest.approx(seconds, rel=0.002)
    for one in minutes:
        assert one.cameras[0].person_seconds <= 60 * one.cameras[0].max_people + 0.1
        assert one.inside is not None
        assert one.inside <= one.cameras[0].max_people


def test_queues_add_up(monday: Day) -> None:
    queues = [queue for item in items_of(monday, Queue) for queue in item.queues]
    truth = monday.truth
    assert len(queues) == 1440
    assert sum(queue.served for queue in queues) == truth.served > 100
    assert sum(queue.abandoned for queue in queues) == truth.abandoned
    assert sum(queue.mean_length for queue in queues) * 60 == pytest.approx(sum(truth.waits), rel=0.01)
    counts = Counter(bin_of(wait) for wait in truth.waits)
    for number in range(len(DURATION_BOUNDS_SECONDS) + 1):
        assert sum(queue.waits[number] for queue in queues) == counts[number]


def test_heat_adds_up_and_lies_in_the_shop(monday: Day) -> None:
    tiles = items_of(monday, Tile)
    seconds = sum(sum(tile.values) for tile in tiles) / 10
    assert seconds == pytest.approx(monday.truth.dwell_seconds, abs=0.05 * len(tiles) + 0.001 * monday.truth.visits)
    watched = sum(one.cameras[0].person_seconds for one in items_of(monday, Occupancy))
    assert seconds == pytest.approx(watched, rel=0.0001)
    assert len(tiles) == len({(tile.at, tile.tx, tile.ty) for tile in tiles})
    for tile in tiles:
        assert tile.at is not None
        assert (tile.layer, tile.space, tile.at.timestamp() % 900) == (Layer.PRESENCE, SPACE, 0)
        x = [(tile.tx * TILE_SIDE + cell % TILE_SIDE) * CELL_M for cell in tile.cells]
        y = [(tile.ty * TILE_SIDE + cell // TILE_SIDE) * CELL_M for cell in tile.cells]
        assert 0 <= min(x) <= max(x) < 10
        assert 0.5 <= min(y) <= max(y) < 8


def test_where_it_is_warm_people_stood(monday: Day) -> None:
    tiles = items_of(monday, Tile)
    at_till = math.floor(TILL_Y / CELL_M) * TILE_SIDE + math.floor(QUEUE_X / CELL_M)
    served = sum(
        value for tile in tiles for cell, value in zip(tile.cells, tile.values, strict=True) if cell == at_till
    )
    assert served / 10 == pytest.approx(monday.truth.zone_seconds["till"], rel=0.1)


def test_there_are_rush_hours(monday: Day) -> None:
    hours = monday.truth.visits_by_hour
    assert sum(hours[:9]) == sum(hours[20:]) == 0
    assert min(hours[12], hours[17]) > 1.3 * max(hours[10], hours[14])


def test_days_follow_one_another_as_one_box_would_tell_them() -> None:
    shop = ShopDays(seed=3, visitors_a_day=50)
    items = [item for number in range(3) for item in shop.day(MONDAY + timedelta(days=number)).items]
    assert [item.seq for item in items] == list(range(1, len(items) + 1))
    assert isinstance(items[0], Configuration)
    assert sum(isinstance(item, Configuration) for item in items) == 1
    assert {item.config for item in items} == {config_hash(LAYOUT)}
    step = DISCLOSURE[Mode.STATISTICS].time_step_seconds
    assert all(item.at is not None and item.at.timestamp() % step == 0 for item in items)


def test_a_day_begins_at_midnight_of_the_shops_own_time() -> None:
    day = ShopDays(seed=1, visitors_a_day=50, timezone=ZoneInfo("Asia/Kathmandu")).day(MONDAY)
    began = min(item.at for item in day.items if item.at is not None)
    assert began.isoformat() == "2026-05-31T18:15:00+00:00"


@pytest.mark.parametrize(
    ("on", "hours"),
    [
        pytest.param(date(2026, 3, 29), 23, id="clocks go forward"),
        pytest.param(date(2026, 10, 25), 25, id="clocks go back"),
    ],
)
def test_a_day_ends_at_the_next_midnight_also_where_clocks_change(on: date, hours: int) -> None:
    day = ShopDays(seed=1, visitors_a_day=50, timezone=ZoneInfo("Europe/Berlin")).day(on)
    minutes = [one.at for one in items_of(day, Occupancy) if one.at is not None]
    assert len(set(minutes)) == len(minutes) == hours * 60
    assert (max(minutes) + timedelta(minutes=1)).astimezone(ZoneInfo("Europe/Berlin")).hour == 0
    came = Counter(visit.at.astimezone(ZoneInfo("Europe/Berlin")).hour for visit in items_of(day, Visit) if visit.at)
    assert [came[hour] for hour in range(24)] == list(day.truth.visits_by_hour)
    assert min(came) == 9


def test_a_box_that_is_switched_off_at_night_tells_of_no_minute_of_it() -> None:
    always, by_day = (
        ShopDays(seed=1, visitors_a_day=50, hours=hours).day(MONDAY) for hours in (range(24), range(9, 21))
    )
    assert {one.at.hour for one in by_day.items if one.at is not None} == set(range(9, 21))
    assert len(items_of(by_day, Occupancy)) == 12 * 60
    assert sum(one.cameras[0].person_seconds for one in items_of(by_day, Occupancy)) == pytest.approx(
        always.truth.dwell_seconds, rel=0.001
    )
    assert by_day.truth == always.truth


def test_until_a_moment_only_what_is_over_by_then_was_told(monday: Day) -> None:
    noon = datetime(2026, 6, 1, 12, 7, 30, tzinfo=UTC)
    told = monday.until(noon)
    later = monday.items[len(told) :]
    assert told == monday.items[: len(told)]
    assert sum(isinstance(one, Occupancy) for one in told) == 12 * 60 + 7
    assert max(one.at for one in told if isinstance(one, Tile) and one.at) == noon.replace(minute=45, hour=11, second=0)
    assert max(left_at(one) for one in told if isinstance(one, Visit)) <= noon
    assert min(left_at(one) for one in later if isinstance(one, Visit)) > noon - ROUNDED


def left_at(visit: Visit) -> datetime:
    """When somebody left, up to `ROUNDED` too early."""
    assert visit.at is not None
    return visit.at + timedelta(seconds=visit.dwell_seconds)


def test_envelopes_carry_every_item_once_and_can_be_read(monday: Day) -> None:
    payloads = list(envelopes(monday.items, box="box-1", epoch="a" * 16, most=500))
    assert all(len(payload) <= MAX_MESSAGE_BYTES for payload in payloads)
    read = [item for payload in payloads for item in read_envelope(payload).items]
    assert [item.item for item in read] == list(monday.items)


def test_a_day_takes_less_than_a_second() -> None:
    shop = ShopDays(seed=1)
    began = time.process_time()
    items = sum(len(shop.day(MONDAY + timedelta(days=number)).items) for number in range(5))
    assert items > 15_000
    assert time.process_time() - began < 5
