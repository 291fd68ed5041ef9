"""What a day's items add up to is what its truth says, and any cloud can read them."""

import time
from collections import Counter
from datetime import date, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from edge.synthetic.days import LAYOUT, Day, ShopDays, envelopes
from protocol.configuration import config_hash
from protocol.envelope import read_envelope
from protocol.events import Configuration, Crossing, Item, Occupancy, Queue, Visit
from protocol.histograms import DURATION_BOUNDS_SECONDS, bin_of
from protocol.json_text import MAX_MESSAGE_BYTES
from protocol.modes import DISCLOSURE, Mode

Kind = TypeVar("Kind", bound=Item)
MONDAY = date(2026, 6, 1)


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


def test_envelopes_carry_every_item_once_and_can_be_read(monday: Day) -> None:
    payloads = list(envelopes(monday.items, box="box-1", epoch="a" * 16, most=500))
    assert all(len(payload) <= MAX_MESSAGE_BYTES for payload in payloads)
    read = [item for payload in payloads for item in read_envelope(payload).items]
    assert [item.item for item in read] == list(monday.items)


def test_thirty_days_take_seconds() -> None:
    shop = ShopDays(seed=1)
    began = time.process_time()
    items = sum(len(shop.day(MONDAY + timedelta(days=number)).items) for number in range(30))
    assert items > 100_000
    assert time.process_time() - began < 30
