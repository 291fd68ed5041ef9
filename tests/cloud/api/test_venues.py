import pytest
from pydantic import JsonValue

from tests.support.api import ON_SQLITE, Api

DESCRIPTION: dict[str, JsonValue] = {
    "name": "Corner shop",
    "timezone": "Europe/Berlin",
    "kind": "shop",
    "city": "Berlin",
    "country": "DE",
    "latitude": 52.52,
    "longitude": 13.405,
    "area_m2": 140.5,
    "capacity": 60,
    "opening_hours": {
        "weekly": {"mon": [["09:00", "13:00"], ["14:00", "18:00"]], "fri": [["20:00", "02:00"]], "sat": []},
        "closed_days": ["2026-12-25"],
    },
}


def test_a_venue_comes_back_as_it_was_described(api: Api) -> None:
    made = api.write("POST", "/venues", {"venue": "corner-shop", **DESCRIPTION})
    assert made == api.read("/venues/corner-shop")
    assert made == {
        "venue": "corner-shop",
        **DESCRIPTION,
        "retention_months": None,
        "h3_cell": "891f1d48947ffff",
        "created": "2026-11-20T12:00:00Z",
        "archived": None,
    }


def test_the_h3_cell_contains_the_coordinates_and_goes_with_them(api: Api) -> None:
    import h3

    made = api.make_venue(latitude=27.7172, longitude=85.324)
    latitude, longitude = h3.cell_to_latlng(made["h3_cell"])
    assert h3.get_resolution(made["h3_cell"]) == 9
    assert (latitude, longitude) == pytest.approx((27.7172, 85.324), abs=0.003)
    assert api.write("PATCH", "/venues/corner-shop", {"latitude": None, "longitude": None})["h3_cell"] is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"timezone": "Berlin"}, "body.timezone", id="no IANA zone"),
        pytest.param({"timezone": "../../etc/passwd"}, "body.timezone", id="a path for a zone"),
        pytest.param({"kind": "castle"}, "body.kind", id="unknown kind"),
        pytest.param({"country": "de"}, "body.country", id="country in small letters"),
        pytest.param({"country": "XX"}, "body.country", id="no such country"),
        pytest.param({"latitude": 91}, "body.latitude", id="beyond the pole"),
        pytest.param({"longitude": -180.1}, "body.longitude", id="beyond the date line"),
        pytest.param({"longitude": None}, "body", id="latitude alone"),
        pytest.param({"latitude": 0, "longitude": 0}, "body", id="null island"),
        pytest.param({"area_m2": 0}, "body.area_m2", id="no area"),
        pytest.param({"capacity": -1}, "body.capacity", id="negative capacity"),
        pytest.param({"name": "  "}, "body.name", id="blank name"),
        pytest.param({"name": "a\x00b"}, "body.name", id="control characters in a name"),
        pytest.param({"venue": "Corner Shop"}, "body.venue", id="id that is no slug"),
        pytest.param({"opening_hours": {"weekly": {"mon": [["9:00", "18:00"]]}}}, "opening_hours", id="no HH:MM"),
        pytest.param({"opening_hours": {"weekly": {"mon": [["09:00", "24:30"]]}}}, "opening_hours", id="past 24:00"),
        pytest.param({"opening_hours": {"weekly": {"mun": []}}}, "opening_hours", id="no weekday"),
        pytest.param(
            {"opening_hours": {"weekly": {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]}}},
            "opening_hours",
            id="overlapping hours",
        ),
        pytest.param({"opening_hours": {"closed_days": ["25.12."]}}, "opening_hours", id="no date"),
        pytest.param({"colour": "red"}, "body.colour", id="unknown field"),
    ],
)
def test_a_broken_rule_is_named(api: Api, change: dict[str, JsonValue], where: str) -> None:
    response = api.request("POST", "/venues", json={"venue": "corner-shop", **DESCRIPTION, **change})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert any(where in fault["where"] for fault in response.json()["errors"]), response.text
    assert api.read("/venues")["venues"] == []


def test_every_broken_rule_is_named_at_once(api: Api) -> None:
    body = {"venue": "corner-shop", **DESCRIPTION, "capacity": 0, "country": "XX", "kind": "castle"}
    faults = api.request("POST", "/venues", json=body).json()["errors"]
    assert {fault["where"] for fault in faults} == {"body.capacity", "body.country", "body.kind"}


@pytest.mark.parametrize(
    "name", ["Robert'); DROP TABLE venue;--", "<script>alert(1)</script>", "Łódź 日本 🛒", '"\\%_']
)
def test_a_name_is_only_ever_text(api: Api, name: str) -> None:
    api.make_venue(name=name)
    assert api.read("/venues/corner-shop")["name"] == name
    assert api.get("/venues").headers["x-content-type-options"] == "nosniff"


def test_an_id_is_taken_once(api: Api) -> None:
    api.make_venue()
    response = api.request(
        "POST", "/venues", json={"venue": "corner-shop", "name": "Other", "timezone": "UTC", "kind": "bar"}
    )
    assert response.status_code == 409
    assert response.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "there is a venue corner-shop already",
    }
    assert api.read("/venues/corner-shop")["name"] == "Corner shop"


def test_a_change_leaves_the_rest(api: Api) -> None:
    api.write("POST", "/venues", {"venue": "corner-shop", **DESCRIPTION})
    changed = api.write("PATCH", "/venues/corner-shop", {"timezone": "Asia/Kathmandu", "country": None})
    assert changed["timezone"] == "Asia/Kathmandu"
    assert changed["country"] is None
    assert {name: changed[name] for name in ("name", "opening_hours", "capacity", "h3_cell")} == {
        "name": "Corner shop",
        "opening_hours": DESCRIPTION["opening_hours"],
        "capacity": 60,
        "h3_cell": "891f1d48947ffff",
    }


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"latitude": 10}, "latitude and longitude together", id="half of the coordinates"),
        pytest.param({"name": None}, "name", id="no name"),
        pytest.param({"venue": "other"}, "venue", id="the id never changes"),
        pytest.param({"timezone": "Mars/Olympus"}, "timezone", id="no such zone"),
    ],
)
def test_a_change_may_not_break_a_rule(api: Api, change: dict[str, JsonValue], says: str) -> None:
    before = api.make_venue()
    response = api.request("PATCH", "/venues/corner-shop", json=change)
    assert response.status_code == 422
    assert says in response.json()["detail"]
    assert api.read("/venues/corner-shop") == before


def test_an_archived_venue_leaves_the_lists_and_keeps_its_data(api: Api) -> None:
    api.make_venue()
    api.make_venue("other")
    archived = api.write("POST", "/venues/corner-shop/archive")
    assert archived["archived"] == "2026-11-20T12:00:00Z"
    assert api.write("POST", "/venues/corner-shop/archive") == archived
    assert [venue["venue"] for venue in _venues(api)] == ["other"]
    assert [venue["venue"] for venue in _venues(api, archived="true")] == ["corner-shop"]
    assert api.read("/venues/corner-shop/summary")["visits"] == 0
    refused = api.request("POST", "/boxes", json={"box": "box-1", "venue": "corner-shop"})
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "venue corner-shop is archived; restore it first",
    )
    assert api.write("POST", "/venues/corner-shop/restore")["archived"] is None
    assert [venue["venue"] for venue in _venues(api)] == ["corner-shop", "other"]


def test_a_long_list_comes_in_pages(api: Api) -> None:
    for number in range(5):
        api.make_venue(f"shop-{number}")
    first = api.read("/venues", limit=3)
    assert (len(first["venues"]), first["next"]) == (3, "shop-2")
    second = api.read("/venues", limit=3, after="shop-2")
    assert ([venue["venue"] for venue in second["venues"]], second["next"]) == (["shop-3", "shop-4"], None)


@ON_SQLITE
@pytest.mark.parametrize(
    "path", ["", "/summary", "/series", "/zones", "/lines", "/spaces", "/cameras", "/plans", "/events"]
)
def test_a_venue_that_is_not_there_is_said_so(api: Api, path: str) -> None:
    response = api.get(f"/venues/nowhere{path}")
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no venue nowhere"


def _venues(api: Api, **query: str) -> list[dict[str, JsonValue]]:
    venues: list[dict[str, JsonValue]] = api.read("/venues", **query)["venues"]
    return venues
