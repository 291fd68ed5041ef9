from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api import ON_SQLITE, Api
from tests.support.envelopes import NOW, occupancy, visit

STATION = "station-shop"


@pytest.fixture
def station_key(api: Api, device_key: str) -> str:
    """The device key of a box in a second venue, half a day ahead on the clock and smaller."""
    api.write("PATCH", "/venues/corner-shop", {"area_m2": 200})
    api.make_venue(
        STATION,
        name="Station",
        timezone="Asia/Kathmandu",
        area_m2=50,
        opening_hours={"weekly": {"fri": [["10:00", "15:00"]]}},
    )
    return api.make_box("box-2", STATION)


def test_venues_stand_side_by_side_in_the_order_asked_for(api: Api, device_key: str, station_key: str) -> None:
    minutes = [NOW - timedelta(hours=1, minutes=minute) for minute in range(30)]
    api.send(device_key, *(visit(seq, dwell_seconds=60.0) for seq in range(1, 9)))
    of_station = {"venue": STATION}
    visits = [{**visit(seq, dwell_seconds=30.0), **of_station} for seq in range(1, 6)]
    watched = [{**occupancy(6 + seq, at=at), **of_station} for seq, at in enumerate(minutes)]
    api.send(station_key, *visits, *watched, box="box-2")
    station, corner = api.read(f"/comparison?venue={STATION}&venue=corner-shop")["venues"]
    assert (station["venue"], corner["venue"]) == (STATION, "corner-shop")
    assert (station["visitors"], station["visitors_per_m2"], station["area_m2"]) == (5, 0.1, 50)
    assert (corner["visitors"], corner["visitors_per_m2"], corner["area_m2"]) == (8, 0.04, 200)
    assert station["dwell"]["mean_seconds"] == 30
    # It opened at 10:00 in Kathmandu and closed at 15:00; in Berlin it is 13:00 of a day that is open from midnight.
    assert (station["open_hours"], station["visitors_per_open_hour"]) == (5, 1)
    assert (corner["open_hours"], corner["visitors_per_open_hour"]) == (13, 0.6154)


def test_a_comparison_gives_the_numbers_of_the_summaries(api: Api, device_key: str, station_key: str) -> None:
    api.send(device_key, *(visit(seq) for seq in range(1, 4)), occupancy(4))
    compared = api.read(f"/comparison?venue=corner-shop&venue={STATION}&from=2026-11-18&to=2026-11-20")["venues"]
    for figures in compared:
        summary = api.read(f"/venues/{figures['venue']}/summary", from_="2026-11-18", to="2026-11-20")
        shared = set(figures) & set(summary)
        assert {"visitors", "counted_by", "dwell", "occupancy", "coverage", "period"} <= shared
        assert {name: figures[name] for name in shared} == {name: summary[name] for name in shared}


def test_a_venue_that_was_not_open_yet_has_no_rate(api: Api, device_key: str, station_key: str) -> None:
    api.clock.now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    station, _ = api.read(f"/comparison?venue={STATION}&venue=corner-shop")["venues"]
    assert (station["open_hours"], station["visitors_per_open_hour"]) == (0, None)


@ON_SQLITE
@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("venue=corner-shop", 422, id="one venue"),
        pytest.param("venue=corner-shop&venue=corner-shop", 422, id="a venue twice"),
        pytest.param("venue=corner-shop&venue=nowhere", 404, id="no such venue"),
        pytest.param("&".join(f"venue=shop-{number}" for number in range(21)), 422, id="too many"),
        pytest.param("venue=corner-shop&venue=station-shop&from=soon", 422, id="no period"),
        pytest.param("venue=corner-shop&venue=Station%20Shop", 422, id="no id"),
    ],
)
def test_what_cannot_be_compared_is_refused(api: Api, station_key: str, query: str, status: int) -> None:
    assert api.get(f"/comparison?{query}").status_code == status
