import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event, text

from cloud import heatmaps
from cloud.api.headers import CONTENT_SECURITY_POLICY
from cloud.ingest.commit import Committer
from cloud.store.engine import writing
from cloud.web import front_end
from tests.support.api import ON_SQLITE, Api
from tests.support.envelopes import (
    NOW,
    SETUP,
    JsonObject,
    camera_health,
    certificate,
    configuration,
    crossing,
    deliver,
    gap,
    live,
    occupancy,
    tile,
    visit,
)
from tools.venue_picture import VENUE, furnish

Get = Callable[..., httpx.Response]
SOURCES = sorted(path for path in (Path(front_end.__file__).parent / "templates").glob("*.html"))


def words(response: httpx.Response) -> str:
    """What a reader sees of a page."""
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    plain = re.sub(r"<[^>]+>", " ", response.text)
    return re.sub(r"\s+", " ", plain)


def test_an_empty_cloud_says_how_to_begin(get: Get) -> None:
    response = get("/")
    assert response.status_code == 200
    assert "No venue yet" in words(response)


def test_the_first_page_lists_venues_in_use(get: Get, api: Api) -> None:
    api.make_venue(name="Corner & Sons", city="Berlin", country="DE")
    api.make_venue("old-shop", name="Old shop")
    api.write("POST", "/venues/old-shop/archive")
    response = get("/")
    assert 'href="/venues/corner-shop"' in response.text
    assert "Corner &amp; Sons" in response.text
    assert "Berlin, DE · Open all day" in words(response)
    assert "Old shop" not in response.text


def test_more_venues_than_a_page_holds_are_led_to(get: Get, api: Api) -> None:
    for index in range(61):
        api.make_venue(f"shop-{index:02}", name=f"Shop {index:02}")
    first = get("/")
    assert "Shop 59" in first.text
    assert "Shop 60" not in first.text
    assert 'href="/?after=shop-59"' in first.text
    assert "Shop 60" in get("/?after=shop-59").text


def test_a_new_venue_says_what_is_not_there_yet(get: Get, api: Api) -> None:
    api.make_venue()
    found = words(get("/venues/corner-shop"))
    for sentence in (
        "No live count has come in yet",
        "No camera has reported from here yet.",
        "No map yet.",
        "No zone is drawn yet.",
        "No box stands here yet.",
    ):
        assert sentence in found


def test_the_page_shows_what_the_api_says(get: Get, api: Api) -> None:
    api.make_venue(capacity=60)
    key = api.make_box()
    api.send(key, configuration(1), visit(2), visit(3), occupancy(4), tile(5))
    Committer(api.engine, api.clock).commit(deliver(live(people=7, inside=4), leaf="live"))
    response, summary = get("/venues/corner-shop"), api.read("/venues/corner-shop/summary")
    found = words(response)
    assert (summary["visitors"], summary["dwell"]["p50_seconds"]) == (2, 37.5)
    for shown in ("People here now 7 Live", "Room for 60 people", "By the doors’ count 4 inside", "Visitors 2", "38 s"):
        assert shown in found
    assert "each stay in view counts as one visitor" in found
    assert "Read these numbers with care" in found
    assert "Shelf" in found
    assert "/api/v1/venues/corner-shop/heatmap/ground-1/presence/{z}/{x}/{y}.png" in response.text


def test_the_page_says_between_which_numbers_visitors_lie_and_what_that_rests_on(get: Get, api: Api) -> None:
    api.make_venue(opening_hours={"weekly": {"fri": [["12:00", "12:01"]]}})
    key = api.make_box()
    noon = NOW.replace(hour=11)
    layout = configuration(1, at=noon, entrance="door", setup=SETUP)
    api.send(key, layout, occupancy(2, at=noon), crossing(3, at=noon, inward=100))
    unchecked = words(get("/venues/corner-shop"))
    assert "Visitors 100 between 91 and 110" in unchecked
    assert "nobody has checked by hand how well is counted here" in unchecked
    api.send(key, certificate(4, at=NOW))
    certified = words(get("/venues/corner-shop"))
    assert "Visitors 100 between 83 and 120" in certified
    assert "rests on a check of the entrances by hand" in certified
    assert "Door: checked by hand on 20 November 2026; 20 of 20 in and 20 of 20 out were found." in certified


def test_a_page_reads_the_layout_once(get: Get, api: Api) -> None:
    api.make_venue()
    api.send(api.make_box(), configuration(1), tile(2))
    Committer(api.engine, api.clock).commit(deliver(live(people=7), leaf="live"))
    asked: list[str] = []
    event.listen(api.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert get("/venues/corner-shop").status_code == 200
    assert len([statement for statement in asked if re.search(r"FROM layout\s", statement)]) == 1


def test_a_word_that_is_old_is_shown_as_the_last_known(get: Get, api: Api) -> None:
    api.make_venue()
    api.make_box()
    Committer(api.engine, api.clock).commit(deliver(live(people=7), leaf="live"))
    api.clock.now = NOW.replace(hour=13)
    assert "Last known, from 13:00" in words(get("/venues/corner-shop"))


def test_losses_and_cameras_that_fail_are_told_in_words(get: Get, api: Api) -> None:
    api.make_venue()
    key = api.make_box()
    when = {"from": "2026-11-20T09:00:00Z", "to": "2026-11-20T09:30:00Z"}
    lost = gap(10, 29, **when, lost_by_type=[{"type": "occupancy", "count": 20}])
    api.send(key, configuration(1), camera_health(2), occupancy(3), gaps=[lost])
    found = words(get("/venues/corner-shop"))
    assert "20 reports were lost on the way (20 for want of room on the box)." in found
    assert "Not watching It cannot be reached." in found


def test_text_that_a_person_gave_is_never_markup(get: Get, api: Api) -> None:
    api.make_venue(name="<script>alert(1)</script>", city="'\"><b>")
    for path in ("/", "/venues/corner-shop"):
        response = get(path)
        assert "<script>alert" not in response.text
        assert "<b>" not in response.text


@ON_SQLITE
@pytest.mark.parametrize("path", ["/venues/nowhere", "/venues/Not%20A%20Slug", "/?after=NO"])
def test_what_is_not_there_is_a_page_too(get: Get, path: str) -> None:
    response = get(path)
    assert response.status_code == 404
    assert "There is no such place here" in words(response)


@ON_SQLITE
def test_a_database_that_fails_is_a_page_without_its_inside(
    get: Get, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(api.engine) as connection:
        connection.execute(text("DROP TABLE live"))
        connection.execute(text("DROP TABLE venue"))
    response = get("/")
    assert response.status_code == 503
    assert "The numbers cannot be read right now" in words(response)
    assert "venue" not in words(response).replace("All venues", "").replace("Venues", "")
    assert "lacks a table" in caplog.text


@ON_SQLITE
@pytest.mark.parametrize("path", ["/", "/venues/corner-shop", "/api/v1/docs", "/static/page.css", "/api/v1/venues"])
def test_every_answer_forbids_what_is_inline_or_from_elsewhere(get: Get, api: Api, path: str) -> None:
    api.make_venue()
    response = get(path)
    assert response.status_code == 200
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in SOURCES])
def test_no_template_needs_what_the_policy_forbids(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|(src|href|action)=.https?://", source)


@ON_SQLITE
def test_what_is_served_is_asked_about_anew(get: Get) -> None:
    first = get("/static/page.css")
    assert first.headers["cache-control"] == "no-cache"
    assert get("/static/page.css", **{"If-None-Match": first.headers["etag"]}).status_code == 304
    assert get("/").headers["cache-control"] == "no-store"


@ON_SQLITE
def test_without_the_files_of_others_everything_but_they_is_shown(
    get: Get, api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    furnish(api.engine, NOW)
    monkeypatch.setattr(front_end, "FOLDER", tmp_path)
    venue, docs = get(f"/venues/{VENUE}"), get("/api/v1/docs")
    assert "The map needs files that are not installed here" in words(venue)
    assert "Visitors by hour" in words(venue)
    assert "leaflet.js" not in venue.text
    assert "This page lacks files that make setup fetches" in words(docs)
    assert "/api/v1/openapi.json" in words(docs)


@ON_SQLITE
def test_a_heat_map_whose_tiles_lie_far_apart_is_still_a_page(get: Get, api: Api) -> None:
    api.make_venue()
    key = api.make_box()
    api.send(key, configuration(1), tile(2), tile(3, tx=9000, ty=-9000))
    assert get("/venues/corner-shop").status_code == 200


@ON_SQLITE
def test_a_heat_map_that_is_too_large_is_left_out_and_the_others_are_shown(
    get: Get, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.make_venue()
    key = api.make_box()
    layout: JsonObject = {
        "mode": "statistics",
        "k": 5,
        "scenes": [{"scene": "floor", "counting": True}],
        "cameras": [{"camera": "cam-1", "scene": "floor", "space": "ground-1"}],
        "spaces": [
            {"space": f"{floor}-1", "coordinates": "floor", "floor": floor, "cell": 0.5}
            for floor in ("ground", "cellar")
        ],
    }
    api.send(key, {**configuration(1), "layout": layout}, *(tile(seq, tx=seq) for seq in (2, 3)))
    sentence = "Ground has no map today: people were seen in more places than one map can hold."
    assert (_map_names(get), sentence in words(get("/venues/corner-shop"))) == (["Ground", "Cellar"], False)
    monkeypatch.setattr(heatmaps, "MAX_GRID_NUMBERS", 1024)
    assert (_map_names(get), sentence in words(get("/venues/corner-shop"))) == (["Cellar"], True)
    api.send(key, configuration(4))
    page = get("/venues/corner-shop")
    assert (page.status_code, sentence in words(page), "No map yet" in words(page)) == (200, True, False)


@ON_SQLITE
def test_cameras_that_look_at_one_floor_have_a_map_each_named_after_them(get: Get, api: Api) -> None:
    api.make_venue()
    key = api.make_box()
    layout: JsonObject = {
        "mode": "statistics",
        "k": 5,
        "scenes": [{"scene": "floor", "counting": True}],
        "cameras": [{"camera": f"cam-{number}", "scene": "floor", "space": f"ground-{number}"} for number in (1, 2)],
        "spaces": [
            {"space": space, "coordinates": "floor", "floor": space.split("-")[0], "cell": 0.5}
            for space in ("ground-1", "ground-2", "cellar-1")
        ],
    }
    api.send(key, {**configuration(1), "layout": layout})
    assert _map_names(get) == ["Ground · Cam 1", "Ground · Cam 2", "Cellar"]


@ON_SQLITE
def test_cameras_of_one_name_are_told_apart_by_their_boxes(get: Get, api: Api) -> None:
    api.make_venue()
    for box in ("left-box", "right-box"):
        layout: JsonObject = {
            "mode": "statistics",
            "k": 5,
            "scenes": [{"scene": "floor", "counting": True}],
            "cameras": [{"camera": "cam-1", "scene": "floor", "space": f"ground-{box}"}],
            "spaces": [{"space": f"ground-{box}", "coordinates": "floor", "floor": "ground", "cell": 0.5}],
        }
        api.send(api.make_box(box), {**configuration(1), "layout": layout}, box=box)
    assert _map_names(get) == ["Ground · Cam 1 · Left box", "Ground · Cam 1 · Right box"]


def _map_names(get: Get) -> list[str]:
    maps = re.search(r"data-maps='([^']*)'", get("/venues/corner-shop").text)
    assert maps is not None
    return [one["name"] for one in json.loads(maps[1])]
