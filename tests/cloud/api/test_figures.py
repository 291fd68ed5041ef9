import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue

from cloud.coverage import TELLING_MS
from tests.support.api import ON_SQLITE, Api
from tests.support.envelopes import JsonObject, camera_health, configuration, crossing, gap, item, occupancy, visit
from tests.support.happenings import happenings, layout, send

BUCKET = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Europe/Berlin", "2026-03-29", 23, id="the day on which clocks go forward"),
        pytest.param("Europe/Berlin", "2025-10-26", 25, id="the day on which clocks go back"),
        pytest.param("Asia/Kathmandu", "2026-05-01", 24, id="UTC+5:45"),
        pytest.param("Australia/Lord_Howe", "2026-04-05", 25, id="a change of half an hour"),
    ],
)
def test_the_numbers_equal_a_recount(api: Api, zone: str, day: str, hours: int) -> None:
    api.make_venue(timezone=zone)
    key = api.make_box()
    clock = ZoneInfo(zone)
    start = datetime.fromisoformat(day).replace(tzinfo=clock)
    end = (start + timedelta(days=1)).replace(tzinfo=clock)
    around = happenings(seed=7, start=start.astimezone(UTC) - BUCKET * 6, end=end.astimezone(UTC) + BUCKET * 6)
    send(api, key, [layout(0, at=start), *around.items()])

    def today(at: datetime) -> bool:
        return start.timestamp() <= at.timestamp() < end.timestamp()

    floor = [one for one in around.visits if today(one[0]) and one[1] == "floor"]
    counted = [one for one in floor if one[2] in {"entered", "appeared"}]
    minutes = [one for one in around.minutes if today(one[0])]
    summary = api.read("/venues/corner-shop/summary", from_=day, to=day)
    assert summary["visits"] == summary["visitors"] == len(counted)
    assert summary["counted_by"] == "visits"
    assert summary["dwell"]["visits"] == len(floor)
    assert summary["dwell"]["mean_seconds"] == pytest.approx(mean(one[3] for one in floor), abs=0.001)
    present = sum(one[2] for one in minutes)
    assert summary["occupancy"]["person_seconds"] == pytest.approx(present, abs=0.01)
    assert summary["occupancy"]["mean"] == pytest.approx(present / (60 * len(minutes)), abs=1e-4)
    assert summary["occupancy"]["peak"] == max(one[3] for one in minutes)
    # cam-2 is expected all day and never reports, so half of what was scheduled is all there could be
    assert summary["coverage"]["watched_seconds"] == 60 * len(minutes)
    length = (end.timestamp() - start.timestamp()) * 2
    assert summary["coverage"]["fraction"] == pytest.approx(60 * len(minutes) / length, abs=1e-6)
    assert summary["period"]["start"] == start.isoformat()

    table = api.read("/venues/corner-shop/series", from_=day, to=day)["parts"]
    by_hour = Counter(_hour(one[0], clock) for one in counted)
    assert len(table) == hours
    assert {str(row["start"]): row["visits"] for row in table if row["visits"]} == by_hour
    assert sum(row["coverage"]["watched_seconds"] for row in table) == 60 * len(minutes)
    assert sum(row["occupancy"]["person_seconds"] for row in table) == pytest.approx(present, abs=0.01)
    busiest = summary["peak_hour"]
    assert busiest["visitors"] == max(by_hour.values()) == by_hour[str(busiest["hour"])]

    zones = {str(row["zone"]): row for row in api.read("/venues/corner-shop/zones", from_=day, to=day)["zones"]}
    everyone = [one for one in around.visits if today(one[0])]
    assert zones["shelf"]["visits"] == len(everyone)
    assert zones["shelf"]["dwell"]["mean_seconds"] == pytest.approx(mean(v[3] / 2 for v in everyone), abs=0.001)
    assert zones["shelf"]["person_seconds"] == pytest.approx(present, abs=0.01)
    assert zones["never-entered"] | {"dwell": None} == {
        "box": "box-1", "zone": "never-entered", "scene": "floor", "kind": "queue",
        "visits": 0, "dwell": None, "person_seconds": 0, "peak": None,
    }  # fmt: skip

    (line,) = api.read("/venues/corner-shop/lines", from_=day, to=day)["lines"]
    assert (line["crossings_in"], line["crossings_out"]) == (
        sum(one[1] for one in around.crossings if today(one[0])),
        sum(one[2] for one in around.crossings if today(one[0])),
    )


def test_percentiles_lie_in_the_bin_of_the_true_ones(api: Api, device_key: str) -> None:
    dwells = sorted(random.Random(3).randrange(1, 2000) for _ in range(200))
    api.send(device_key, *(visit(number + 1, dwell_seconds=dwell) for number, dwell in enumerate(dwells)))
    dwell = api.read("/venues/corner-shop/summary")["dwell"]
    edges = [0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700]
    for name, fraction in (("p50_seconds", 0.5), ("p90_seconds", 0.9)):
        true = dwells[int(fraction * len(dwells)) - 1]
        low = max(edge for edge in edges if edge <= true)
        assert low <= dwell[name] <= edges[edges.index(low) + 1]


def test_entrance_lines_make_the_visitors_less_the_staff(api: Api, device_key: str) -> None:
    at = api.clock.now - timedelta(hours=2)
    staff = item(4, "staff", at=at, scene="floor", length_seconds=900, lines=[{"line": "door", "in": 3, "out": 1}])
    inner: JsonObject = {**crossing(5, at=at), "lines": [{"line": "inner-door", "in": 50, "out": 50}]}
    api.send(
        device_key,
        layout(1, at=at, entrance=True),
        visit(2, at=at),
        crossing(3, at=at, inward=11, outward=9),
        staff,
        inner,
    )
    summary = api.read("/venues/corner-shop/summary")
    assert (summary["visitors"], summary["counted_by"], summary["visits"]) == (8, "entrance-lines", 1)
    hours = api.read("/venues/corner-shop/series")["parts"]
    assert [row["visitors"] for row in hours if row["visitors"]] == [8]
    lines = {str(row["line"]): row for row in api.read("/venues/corner-shop/lines")["lines"]}
    assert {name: lines["door"][name] for name in ("kind", "crossings_in", "staff_in", "staff_out")} == {
        "kind": "entrance", "crossings_in": 11, "staff_in": 3, "staff_out": 1,
    }  # fmt: skip
    assert lines["inner-door"]["kind"] is None


def test_silence_is_not_emptiness(api: Api, device_key: str) -> None:
    """Open from 09:00 to 12:00 in Berlin: watched and empty until 10:00, blind until 11:00, closed from 12:00."""
    api.write("PATCH", "/venues/corner-shop", {"opening_hours": {"weekly": {"fri": [["09:00", "12:00"]]}}})
    nine = datetime(2026, 11, 20, 8, tzinfo=UTC)
    watched = [nine + timedelta(minutes=minute) for minute in (*range(60), *range(120, 180))]
    late = [nine + timedelta(minutes=minute) for minute in range(180, 190)]
    empty: JsonObject = {
        "camera": "cam-1", "watched_seconds": 60, "person_seconds": 0, "max_people": 0,
        "analysed_frames": 9, "dropped_frames": 0,
    }  # fmt: skip
    reports = [
        occupancy(seq + 2, at=at, cameras=[empty], zones=[], inside=0, drift=0)
        for seq, at in enumerate([*watched, *late])
    ]
    api.send(device_key, layout(1, at=nine, storage=False), *reports)
    api.clock.now = datetime(2026, 11, 20, 20, tzinfo=UTC)
    summary = api.read("/venues/corner-shop/summary")
    assert summary["coverage"] == {"watched_seconds": 7800, "scheduled_seconds": 10800, "fraction": 0.666667}
    assert summary["occupancy"] == {"mean": 0, "peak": 0, "person_seconds": 0, "inside": 0, "drift": 0}
    hours = {str(row["start"])[11:13]: row for row in api.read("/venues/corner-shop/series")["parts"]}
    assert {hour: row["coverage"]["fraction"] for hour, row in hours.items() if "08" <= hour <= "12"} == {
        "08": None, "09": 1, "10": 0, "11": 1, "12": None,
    }  # fmt: skip
    assert hours["09"]["occupancy"]["mean"] == 0
    assert hours["10"]["occupancy"]["mean"] is None


def test_the_future_is_not_scheduled_and_a_new_camera_not_before_its_first_report(api: Api, device_key: str) -> None:
    api.clock.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    at = api.clock.now - timedelta(minutes=30)
    api.send(
        device_key,
        layout(1, at=at, storage=False),
        *(occupancy(2 + n, at=at + timedelta(minutes=n)) for n in range(30)),
    )
    coverage = api.read("/venues/corner-shop/summary")["coverage"]
    assert coverage == {"watched_seconds": 1794.0, "scheduled_seconds": 1800.0, "fraction": 0.996667}


def test_a_camera_that_came_online_and_has_not_reported_yet_is_expected_since_then(api: Api, device_key: str) -> None:
    at = datetime(2026, 11, 20, 11, 34, tzinfo=UTC)
    api.send(device_key, layout(1, at=at, storage=False), camera_health(2, at=at, state="online"))
    for minutes, due in ((1, 0), (10, 600 - TELLING_MS / 1000)):
        api.clock.now = at + timedelta(minutes=minutes)
        coverage = api.read("/venues/corner-shop/summary")["coverage"]
        assert coverage["scheduled_seconds"] == due
        assert coverage["fraction"] == (0 if due else None)


@pytest.mark.parametrize("first", ["online", "starting"])
def test_a_camera_is_not_expected_before_it_first_came_online(first: str, api: Api, device_key: str) -> None:
    """Put up at 11:34, it has watched all it could by 11:38; where nobody said when, the whole 15 minutes were due."""
    api.clock.now = datetime(2026, 11, 20, 11, 38, 10, tzinfo=UTC)
    at = datetime(2026, 11, 20, 11, 34, tzinfo=UTC)
    api.send(
        device_key,
        layout(1, at=at, storage=False),
        camera_health(2, at=at, state=first),
        *(occupancy(3 + n, at=at + timedelta(minutes=n)) for n in range(4)),
    )
    coverage = api.read("/venues/corner-shop/summary")["coverage"]
    expected = (4 if first == "online" else 8) * 60
    assert coverage["scheduled_seconds"] == expected
    assert coverage["fraction"] == pytest.approx(4 * 59.8 / expected, abs=1e-6)


def test_an_outage_in_the_minutes_just_told_of_is_not_made_up_for_by_the_running_one(api: Api, device_key: str) -> None:
    at = datetime(2026, 11, 20, 11, 34, tzinfo=UTC)
    reports = [occupancy(3 + n, at=at + timedelta(minutes=n)) for n in (0, 3)]
    api.send(device_key, layout(1, at=at, storage=False), camera_health(2, at=at, state="online"), *reports)
    api.clock.now = at + timedelta(minutes=4, seconds=5)
    coverage = api.read("/venues/corner-shop/summary")["coverage"]
    assert coverage["fraction"] == pytest.approx(2 * 59.8 / 240, abs=1e-6)


@pytest.mark.parametrize("lines", [("door", None), (None, "door")], ids=["removed later", "drawn later"])
def test_an_entrance_line_changes_no_past(api: Api, device_key: str, lines: tuple[str | None, str | None]) -> None:
    days = [datetime(2026, 11, day, 10, tzinfo=UTC) for day in (10, 11)]
    ways = {"door": (50, "entrance-lines"), None: (3, "visits")}
    seqs = iter(range(1, 100))
    for day, line in zip(days, lines, strict=True):
        visits = [visit(next(seqs), at=day) for _ in range(3)]
        crossings = [crossing(next(seqs), at=day, inward=50)] if line else []
        config = configuration(next(seqs), at=day, config=("1" if line else "2") * 32, entrance=line)
        api.send(device_key, config, *visits, *crossings)

    def visitors(start: str, end: str) -> tuple[int, str]:
        summary = api.read("/venues/corner-shop/summary", from_=start, to=end)
        hourly = api.read("/venues/corner-shop/series", from_=start, to=end)
        assert hourly["counted_by"] == summary["counted_by"]
        assert sum(hour["visitors"] for hour in hourly["parts"]) == summary["visitors"]
        return summary["visitors"], summary["counted_by"]

    assert visitors("2026-11-10", "2026-11-10") == ways[lines[0]]
    assert visitors("2026-11-12", "2026-11-13") == (0, ways[lines[1]][1])
    assert visitors("2026-11-11T10:00:00Z", "2026-11-11T10:15:00Z") == ways[lines[1]]
    assert visitors("2026-11-10", "2026-11-11") == (53, "mixed")


def test_a_line_drawn_within_a_bucket_counts_from_the_next(api: Api, device_key: str) -> None:
    start = datetime(2026, 11, 10, 10, tzinfo=UTC)
    drawn = configuration(2, at=start + timedelta(minutes=10), config="2" * 32, entrance="door")
    api.send(device_key, configuration(1, at=start), drawn)
    for seq, minute in enumerate((5, 11, 20), 3):
        api.send(device_key, visit(seq, at=start + timedelta(minutes=minute)))
    for seq, minute in ((6, 11), (7, 20)):
        api.send(device_key, crossing(seq, at=start + timedelta(minutes=minute), inward=50))
    period = {"from_": "2026-11-10T10:00:00Z", "to": "2026-11-10T10:30:00Z"}
    summary = api.read("/venues/corner-shop/summary", **period)
    assert (summary["visitors"], summary["counted_by"]) == (2 + 50, "mixed")


def test_where_no_scene_counts_nobody_is_counted(api: Api, device_key: str) -> None:
    api.send(device_key, visit(1), occupancy(2))
    summary = api.read("/venues/corner-shop/summary")
    assert (summary["visitors"], summary["visits"], summary["occupancy"]["peak"]) == (1, 1, 3)
    api.send(device_key, configuration(3, counting=False))
    summary = api.read("/venues/corner-shop/summary")
    assert (summary["visitors"], summary["visits"], summary["occupancy"]["peak"]) == (0, 0, None)
    hours = api.read("/venues/corner-shop/series")["parts"]
    assert {(hour["visitors"], hour["visits"], hour["occupancy"]["peak"]) for hour in hours} == {(0, 0, None)}


def test_in_less_out_is_shown_with_how_far_it_was_off(api: Api, device_key: str) -> None:
    for seq, (hour, inside, drift) in enumerate(((8, 4, -1), (9, 7, 3), (9, 5, 0)), 1):
        at = datetime(2026, 11, 20, hour, seq, tzinfo=UTC)
        api.send(device_key, occupancy(seq, at=at, inside=inside, drift=drift))
    summary = api.read("/venues/corner-shop/summary")["occupancy"]
    assert (summary["inside"], summary["drift"]) == (7, 4)
    hours = [hour["occupancy"] for hour in api.read("/venues/corner-shop/series")["parts"]]
    assert [(one["inside"], one["drift"]) for one in hours[8:11]] == [(None, 0), (4, 1), (7, 3)]


def test_a_corrected_time_zone_corrects_the_past(api: Api, device_key: str) -> None:
    api.send(device_key, visit(1, at=datetime(2026, 11, 19, 20, tzinfo=UTC)))
    assert api.read("/venues/corner-shop/summary", from_="2026-11-20", to="2026-11-20")["visits"] == 0
    api.write("PATCH", "/venues/corner-shop", {"timezone": "Asia/Kathmandu"})
    summary = api.read("/venues/corner-shop/summary", from_="2026-11-20", to="2026-11-20")
    assert (summary["visits"], summary["peak_hour"]["hour"]) == (1, "2026-11-20T01:00:00+05:45")


def test_what_is_missing_is_said(api: Api, device_key: str) -> None:
    flow = item(1, "flow", scene="floor", length_seconds=900, paths=[{"zones": ["a", "b"], "count": 6}], undisclosed=4)
    lost: list[JsonValue] = [{"type": "visit", "count": 3}, {"type": "tile", "count": 2}]
    gaps = [
        gap(10, 16, **{"from": "2026-11-20T08:00:00Z", "to": "2026-11-20T09:00:00Z"}, lost_by_type=lost),
        gap(20, 29, **{"from": "2026-11-18T08:00:00Z", "to": "2026-11-18T09:00:00Z"}),
        gap(30, 39, reason="merged", **{"from": "2026-11-20T08:00:00Z", "to": "2026-11-20T09:00:00Z"}),
        gap(40, 40, reason="expired", lost_by_type=[{"type": "visit", "count": 1}]),
    ]
    api.send(device_key, flow, gaps=gaps)
    summary = api.read("/venues/corner-shop/summary")
    assert summary["gaps"] == {
        "declared": 2,
        "lost_items": 6,
        "lost_by_type": {"tile": 2, "visit": 4},
        "lost_by_reason": {"dropped": 5, "expired": 1},
        "without_time": 1,
    }
    assert summary["undisclosed"] == {"flow": 4, "attention": 0, "demographics": 0}


def test_an_empty_venue_has_no_numbers_and_no_errors(api: Api) -> None:
    api.make_venue()
    summary = api.read("/venues/corner-shop/summary")
    assert summary["dwell"] == {"visits": 0, "mean_seconds": None, "p50_seconds": None, "p90_seconds": None}
    assert summary["occupancy"] == {"mean": None, "peak": None, "person_seconds": 0, "inside": None, "drift": 0}
    assert summary["coverage"] == {"watched_seconds": 0, "scheduled_seconds": 0, "fraction": None}
    assert summary["peak_hour"] is None
    assert len(api.read("/venues/corner-shop/series")["parts"]) == 24


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        pytest.param({}, "2026-11-20T00:00:00+01:00", "2026-11-21T00:00:00+01:00", id="today"),
        pytest.param(
            {"from_": "2026-11-18"}, "2026-11-18T00:00:00+01:00", "2026-11-21T00:00:00+01:00", id="until today"
        ),
        pytest.param({"to": "2026-11-18"}, "2026-11-18T00:00:00+01:00", "2026-11-19T00:00:00+01:00", id="one day"),
        pytest.param(
            {"from_": "2026-11-20T08:07:59Z", "to": "2026-11-20T09:59:00Z"},
            "2026-11-20T09:00:00+01:00",
            "2026-11-20T10:45:00+01:00",
            id="floored to 15 minutes",
        ),
        pytest.param(
            {"from_": "2026-11-20T08:07:00+02:00", "to": "2026-11-20T08:08:00+02:00"},
            "2026-11-20T07:00:00+01:00",
            "2026-11-20T07:15:00+01:00",
            id="never empty",
        ),
    ],
)
def test_each_answer_says_which_period_it_used(api: Api, query: dict[str, str], start: str, end: str) -> None:
    api.make_venue()
    for path in ("summary", "series", "zones", "lines"):
        used = api.read(f"/venues/corner-shop/{path}", **query)["period"]
        assert used == {"start": start, "end": end, "timezone": "Europe/Berlin"}


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param({"from_": "yesterday"}, "`from` must be a day like", id="words"),
        pytest.param({"from_": "2026-11-20T08:00:00"}, "`from` must be a day like", id="a moment without zone"),
        pytest.param({"to": "2026-02-30"}, "`to` must be a day like", id="no such day"),
        pytest.param({"from_": "2026-11-20", "to": "2026-11-18"}, "`from` must be before `to`", id="backwards"),
        pytest.param({"from_": "1970-01-01", "to": "1970-01-02"}, "between the years 2000 and 2199", id="long ago"),
        pytest.param({"from_": "2020-01-01", "to": "2026-01-01"}, "at most 92 days at a time", id="too long"),
        pytest.param({"from_": "9999-12-31", "to": "9999-12-31"}, "must", id="the end of time"),
    ],
)
def test_a_period_that_is_none_is_refused(api: Api, query: dict[str, str], says: str) -> None:
    api.make_venue()
    response = api.get("/venues/corner-shop/series", **query)
    assert response.status_code == 422
    assert says in response.json()["detail"]


def _hour(at: datetime, clock: ZoneInfo) -> str:
    """The hour of the clock on the wall, by its own obvious way."""
    text = at.astimezone(clock).isoformat()
    return f"{text[:14]}00:00{text[19:]}"
