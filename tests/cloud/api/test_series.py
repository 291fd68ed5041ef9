from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue

from cloud.periods import Step
from cloud.upkeep.long_sums import add_up_days
from tests.support.api import Api
from tests.support.envelopes import gap
from tests.support.happenings import World, happenings, layout, send

PATH = "/venues/corner-shop"
FIGURES = ("visitors", "interval", "visits", "occupancy", "coverage")


def first_of(day: date, step: Step) -> date:
    """The first day of the part in which a day lies."""
    match step:
        case Step.WEEK:
            return day - timedelta(days=day.weekday())
        case Step.MONTH:
            return day.replace(day=1)
        case _:
            return day


def told(api: Api, *, zone: str, first: date, days: int, entrance: bool = False) -> World:
    """A seeded world over some days of a venue, sent as its box would."""
    api.make_venue(timezone=zone, capacity=10)
    key = api.make_box()
    start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    world = happenings(seed=11, start=start, end=start + timedelta(days=days))
    thinned = World(visits=world.visits, crossings=world.crossings, minutes=world.minutes[:: days * 4])
    api.clock.now = start + timedelta(days=days + 40)
    send(api, key, [layout(0, at=start, entrance=entrance), *thinned.items()])
    return thinned


def parts_of(api: Api, step: Step, first: date, last: date) -> list[Mapping[str, Any]]:
    found = api.read(f"{PATH}/series", from_=first.isoformat(), to=last.isoformat(), bucket=step)
    assert found["bucket"] == step
    parts: list[Mapping[str, Any]] = found["parts"]
    return parts


@pytest.mark.parametrize("is_added_up", [False, True], ids=["from 15 minutes", "from hours and days"])
@pytest.mark.parametrize(
    ("zone", "first"),
    [
        pytest.param("UTC", date(2026, 2, 20), id="UTC"),
        pytest.param("Europe/Berlin", date(2026, 3, 20), id="clocks go forward"),
        pytest.param("Pacific/Tongatapu", date(2026, 2, 20), id="UTC+13"),
        pytest.param("Asia/Kathmandu", date(2026, 2, 20), id="UTC+5:45"),
    ],
)
def test_each_part_is_what_the_summary_of_it_says(api: Api, zone: str, first: date, is_added_up: bool) -> None:
    last = first + timedelta(days=19)
    world = told(api, zone=zone, first=first, days=20)
    if is_added_up:
        assert sum(add_up_days(api.engine, now=api.clock.now))
    clock = ZoneInfo(zone)
    counted = [at for at, scene, began, _ in world.visits if scene == "floor" and began != "resumed"]
    for step in (Step.DAY, Step.WEEK, Step.MONTH):
        parts = parts_of(api, step, first, last)
        recount = Counter(first_of(at.astimezone(clock).date(), step) for at in counted)
        assert Counter({date.fromisoformat(part["start"][:10]): part["visits"] for part in parts}) == recount
        starts = [date.fromisoformat(part["start"][:10]) for part in parts]
        for part, start, following in zip(parts, starts, [*starts[1:], last + timedelta(days=1)], strict=True):
            alone = {"from_": max(start, first).isoformat(), "to": (following - timedelta(days=1)).isoformat()}
            summary = api.read(f"{PATH}/summary", **alone)
            assert {name: part[name] for name in FIGURES} == {name: summary[name] for name in FIGURES}
            assert part["mean_dwell_seconds"] == summary["dwell"]["mean_seconds"]
            inside, peak = summary["occupancy"]["inside"], summary["occupancy"]["peak"]
            assert part["fullness"] == pytest.approx((peak if inside is None else inside) / 10)


def test_a_series_counts_by_the_entrance_and_says_who_stood_where(api: Api) -> None:
    world = told(api, zone="Europe/Berlin", first=date(2026, 3, 20), days=3, entrance=True)
    parts = parts_of(api, Step.DAY, date(2026, 3, 20), date(2026, 3, 22))
    recount = Counter[str]()
    for at, inward, _ in world.crossings:
        recount[at.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()] += inward
    assert Counter({part["start"][:10]: part["visitors"] for part in parts}) == recount


def test_hours_are_limited_and_longer_parts_are_not(api: Api) -> None:
    api.make_venue()
    year = {"from_": "2025-01-01", "to": "2025-12-31"}
    assert api.get(f"{PATH}/series", **year).status_code == 422
    assert len(api.read(f"{PATH}/series", **year, bucket="day")["parts"]) == 365
    assert len(api.read(f"{PATH}/series", **year, bucket="week")["parts"]) == 53
    assert len(api.read(f"{PATH}/series", **year, bucket="month")["parts"]) == 12
    refused = api.get(f"{PATH}/series", bucket="fortnight")
    assert refused.status_code == 422
    assert "'hour', 'day', 'week' or 'month'" in refused.text


def test_the_week_is_the_mean_of_the_hours_that_were_open_and_watched(api: Api) -> None:
    first, days = date(2026, 3, 20), 20
    world = told(api, zone="Europe/Berlin", first=first, days=days)
    hours = parts_of(api, Step.HOUR, first, first + timedelta(days=days - 1))
    fully = [hour for hour in hours if (hour["coverage"]["fraction"] or 0) >= 0.5]
    found = api.read(f"{PATH}/patterns", from_=first.isoformat(), to=(first + timedelta(days=days - 1)).isoformat())
    assert world.visits
    assert len(found["matrix"]) == len({_place(hour["start"]) for hour in fully})
    for cell in found["matrix"]:
        of_cell = [hour["visitors"] for hour in fully if _place(hour["start"]) == (cell["weekday"], cell["hour"])]
        assert cell["hours"] == len(of_cell)
        assert cell["visitors"] == pytest.approx(sum(of_cell) / len(of_cell), abs=0.001)


def test_the_busiest_hours_and_the_quietest_are_named(api: Api) -> None:
    api.make_venue(timezone="UTC")
    key = api.make_box()
    start = datetime(2026, 3, 2, tzinfo=UTC)
    minutes = [(start + timedelta(minutes=minute), 60.0, 0.0, 0) for minute in range(24 * 60)]
    visits = [
        (start + timedelta(hours=hour, minutes=5), "floor", "entered", 60.0)
        for hour in range(24)
        for _ in range(hour % 6)
    ]
    api.clock.now = start + timedelta(days=2)
    send(api, key, [layout(0, at=start, storage=False), *World(visits=visits, crossings=[], minutes=minutes).items()])
    found = api.read(f"{PATH}/patterns", from_="2026-03-02", to="2026-03-02")
    assert [(one["hour"], one["visitors"]) for one in found["busiest"]] == [(5, 5.0), (11, 5.0), (17, 5.0)]
    assert [(one["hour"], one["visitors"]) for one in found["quietest"]] == [(0, 0.0), (6, 0.0), (12, 0.0)]
    assert {cell["weekday"] for cell in found["matrix"]} == {1}
    assert len(found["matrix"]) == 24


def test_the_running_hour_and_hours_that_the_period_cuts_say_nothing(api: Api) -> None:
    api.make_venue(timezone="UTC")
    key = api.make_box()
    start = datetime(2026, 3, 2, tzinfo=UTC)
    minutes = [(start + timedelta(minutes=minute), 60.0, 0.0, 0) for minute in range(10 * 60 + 8)]
    visits = [(at, "floor", "entered", 60.0) for at, *_ in minutes]
    api.clock.now = start + timedelta(hours=10, minutes=8)
    send(api, key, [layout(0, at=start, storage=False), *World(visits=visits, crossings=[], minutes=minutes).items()])
    assert {(cell["hour"], cell["visitors"]) for cell in api.read(f"{PATH}/patterns")["matrix"]} == {
        (hour, 60.0) for hour in range(10)
    }
    cut = api.read(f"{PATH}/patterns", from_="2026-03-02T05:45:00Z", to="2026-03-02T08:15:00Z")["matrix"]
    assert [(cell["hour"], cell["visitors"]) for cell in cut] == [(6, 60.0), (7, 60.0)]


def test_a_venue_without_anything_has_no_week(api: Api) -> None:
    api.make_venue()
    found = api.read(f"{PATH}/patterns")
    assert (found["matrix"], found["busiest"], found["quietest"]) == ([], [], [])


def _place(start: str) -> tuple[int, int]:
    moment = datetime.fromisoformat(start)
    return moment.isoweekday(), moment.hour


def test_a_period_is_compared_with_the_days_before_it(api: Api) -> None:
    told(api, zone="Europe/Berlin", first=date(2026, 3, 20), days=20)
    found = api.read(f"{PATH}/change", from_="2026-03-30", to="2026-04-05")
    now = api.read(f"{PATH}/summary", from_="2026-03-30", to="2026-04-05")
    before = api.read(f"{PATH}/summary", from_="2026-03-23", to="2026-03-29")
    assert found["against"]["start"] == "2026-03-23T00:00:00+01:00", (
        "seven days of the clock, of which one had 23 hours"
    )
    assert found["against"]["end"] == found["period"]["start"] == "2026-03-30T00:00:00+02:00"
    visitors = found["visitors"]
    assert (visitors["now"], visitors["before"]) == (now["visitors"], before["visitors"])
    assert visitors["difference"] == now["visitors"] - before["visitors"]
    assert visitors["relative"] == pytest.approx(now["visitors"] / before["visitors"] - 1, abs=1e-4)
    assert (found["interval"], found["interval_before"]) == (now["interval"], before["interval"])
    assert found["mean_people"]["now"] == now["occupancy"]["mean"]
    named = api.read(
        f"{PATH}/change", from_="2026-03-30", to="2026-04-05", against_from="2026-03-20", against_to="2026-03-22"
    )
    assert named["against"]["start"] == "2026-03-20T00:00:00+01:00"


def test_today_is_compared_with_as_much_of_yesterday(api: Api) -> None:
    told(api, zone="UTC", first=date(2026, 3, 20), days=20)
    api.clock.now = datetime(2026, 3, 25, 10, 7, tzinfo=UTC)
    found = api.read(f"{PATH}/change")
    assert (found["period"]["end"], found["against"]["end"]) == (
        "2026-03-25T10:00:00+00:00",
        "2026-03-24T10:00:00+00:00",
    )


def test_this_week_so_far_is_compared_with_as_much_of_another_that_is_named(api: Api) -> None:
    told(api, zone="Europe/Berlin", first=date(2026, 3, 16), days=20)
    api.clock.now = datetime(2026, 4, 1, 10, 7, tzinfo=UTC)
    this, last = {"from_": "2026-03-30", "to": "2026-04-05"}, {"against_from": "2026-03-23", "against_to": "2026-03-29"}
    found = api.read(f"{PATH}/change", **this, **last)
    assert found["period"]["end"] == "2026-04-01T12:00:00+02:00"
    assert found["against"]["end"] == "2026-03-25T12:00:00+01:00"


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        pytest.param(datetime(2026, 3, 29, 10, 7, tzinfo=UTC), "2026-03-28T12:00:00+01:00", id="a day of 23 hours"),
        pytest.param(datetime(2026, 10, 25, 11, 7, tzinfo=UTC), "2026-10-24T12:00:00+02:00", id="a day of 25 hours"),
    ],
)
def test_today_so_far_is_as_much_of_yesterday_by_the_clock(api: Api, now: datetime, ends: str) -> None:
    api.make_venue(timezone="Europe/Berlin")
    api.clock.now = now
    assert api.read(f"{PATH}/change")["against"]["end"] == ends


def test_as_many_days_are_found_where_a_midnight_does_not_exist(api: Api) -> None:
    api.make_venue(timezone="America/Santiago")
    api.clock.now = datetime(2026, 10, 1, tzinfo=UTC)
    found = api.read(f"{PATH}/change", from_="2026-09-06", to="2026-09-12")
    assert found["against"]["start"] == "2026-08-30T00:00:00-04:00"


def test_a_quarter_in_which_clocks_go_back_is_not_too_long(api: Api) -> None:
    api.make_venue(timezone="Europe/Berlin")
    hours = api.read(f"{PATH}/series", from_="2026-08-01", to="2026-10-31")["parts"]
    assert len(hours) == 92 * 24 + 1


def test_a_day_in_which_nothing_was_in_force_may_have_had_anybody(api: Api) -> None:
    told(api, zone="UTC", first=date(2026, 3, 20), days=3)
    api.clock.now = datetime(2026, 4, 20, tzinfo=UTC)
    api.write("PUT", "/boxes/box-1/venue", {"venue": api.make_venue("elsewhere", timezone="UTC")["venue"]})
    api.clock.now = datetime(2026, 4, 24, tzinfo=UTC)
    for part in parts_of(api, Step.DAY, date(2026, 4, 19), date(2026, 4, 23)):
        day = part["start"][:10]
        assert part["interval"] == api.read(f"{PATH}/summary", from_=day, to=day)["interval"]


def test_a_change_is_clear_where_the_intervals_lie_apart(api: Api) -> None:
    api.make_venue(timezone="UTC")
    key = api.make_box()
    start = datetime(2026, 3, 2, tzinfo=UTC)
    minutes = [(start + timedelta(minutes=minute), 60.0, 0.0, 0) for minute in range(2 * 24 * 60)]
    visits = [
        (start + timedelta(days=day, minutes=minute), "floor", "entered", 60.0)
        for day, count in ((0, 100), (1, 900))
        for minute in range(count)
    ]
    api.clock.now = start + timedelta(days=3)
    send(api, key, [layout(0, at=start, storage=False), *World(visits=visits, crossings=[], minutes=minutes).items()])
    assert api.read(f"{PATH}/change", from_="2026-03-03", to="2026-03-03")["is_clear"]
    same = {"from_": "2026-03-03", "to": "2026-03-03", "against_from": "2026-03-03", "against_to": "2026-03-03"}
    found = api.read(f"{PATH}/change", **same)
    assert (found["is_clear"], found["visitors"]["difference"]) == (False, 0)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"against_from": "2026-03-01"}, "`against_from` and `against_to` go together"),
        ({"against_from": "2026-03-02", "against_to": "2026-03-01"}, "`against_from` must be before `against_to`"),
        ({"against_from": "soon", "against_to": "2026-03-01"}, "`against_from` must be a day"),
    ],
)
def test_the_other_period_is_read_as_strictly(api: Api, query: dict[str, str], said: str) -> None:
    api.make_venue()
    response = api.get(f"{PATH}/change", **query)
    assert response.status_code == 422
    assert said in response.text


def test_weeks_grow_by_what_they_count(api: Api) -> None:
    told(api, zone="Europe/Berlin", first=date(2026, 3, 9), days=28)
    api.clock.now = datetime(2026, 4, 8, 12, tzinfo=UTC)
    found = api.read(f"{PATH}/trend", weeks=4)
    weeks = found["weeks"]
    assert [week["start"][:10] for week in weeks] == ["2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30"]
    parts = parts_of(api, Step.WEEK, date(2026, 3, 9), date(2026, 4, 5))
    assert [week["visitors"] for week in weeks] == [part["visitors"] for part in parts]
    assert weeks[0]["growth"] is None
    for week, before in zip(weeks[1:], weeks, strict=False):
        assert week["growth"] == pytest.approx(week["visitors"] / before["visitors"] - 1, abs=1e-4)
    assert (1 + found["growth"]) ** 3 == pytest.approx(weeks[-1]["visitors"] / weeks[0]["visitors"], rel=1e-3)


def test_quality_is_what_was_watched_and_what_was_delivered(api: Api) -> None:
    told(api, zone="UTC", first=date(2026, 3, 20), days=2)
    summary = api.read(f"{PATH}/summary", from_="2026-03-20", to="2026-03-21")
    quality = summary["quality"]
    assert quality["watched"] == summary["coverage"]["fraction"]
    assert quality["delivered"] == 1.0
    assert quality["score"] == pytest.approx(100 * quality["watched"], abs=0.05)


def test_what_a_gap_lost_lies_evenly_over_the_time_that_it_names(api: Api) -> None:
    told(api, zone="UTC", first=date(2026, 3, 20), days=4)
    api.clock.now = datetime(2026, 3, 20, tzinfo=UTC)
    key = api.make_box("box-2")
    api.clock.now = datetime(2026, 4, 20, tzinfo=UTC)
    when = {"from": "2026-03-20T00:00:00Z", "to": "2026-03-24T00:00:00Z"}
    lost: list[JsonValue] = [{"type": "visit", "count": 400}]
    api.send(key, box="box-2", gaps=[gap(1, 400, lost_by_type=lost, **when), gap(500, 900, lost_by_type=lost)])

    def came(first: str, last: str, *, of: int) -> float:
        delivered: float = api.read(f"{PATH}/summary", from_=first, to=last)["quality"]["delivered"]
        assert 0 < delivered < 1
        return of * delivered / (1 - delivered)

    days = [f"2026-03-{day}" for day in range(20, 24)]
    whole = came(days[0], days[-1], of=400)
    assert sum(came(day, day, of=100) for day in days) == pytest.approx(whole, rel=0.01)
    after = api.read(f"{PATH}/summary", from_="2026-03-25", to="2026-03-25")
    assert (after["quality"]["delivered"], after["gaps"]["without_time"]) == (1.0, 1)
