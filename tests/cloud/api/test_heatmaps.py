import inspect
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from PIL import Image
from pydantic import JsonValue

from cloud import heatmaps
from cloud.api.heatmaps import HeatTurn
from cloud.settings import Settings
from cloud.turns import Turns
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api
from tests.support.envelopes import JsonObject, item, tile
from tests.support.routes import plain_routes

DAY = datetime(2026, 11, 18, tzinfo=UTC)


def layout(seq: int) -> JsonObject:
    """A floor of half-metre cells, and a camera's own image of 40-pixel cells."""
    return item(
        seq,
        "configuration",
        at=DAY - timedelta(days=1),
        layout={
            "mode": "statistics",
            "k": 5,
            "scenes": [{"scene": "floor", "counting": True}],
            "cameras": [{"camera": "cam-1", "scene": "floor", "space": "ground-1"}],
            "spaces": [
                {"space": "ground-1", "coordinates": "floor", "floor": "ground", "cell": 0.5},
                {"space": "cam-2-view", "coordinates": "image", "cell": 40, "width": 1920, "height": 1080},
            ],
        },
    )


def send(api: Api, key: str, tiles: list[JsonObject]) -> None:
    api.send(key, layout(1_000_000))
    for start in range(0, len(tiles), 40):
        api.send(key, *({**one, "seq": start + offset + 1} for offset, one in enumerate(tiles[start : start + 40])))


def scattered(*, seed: int, start: datetime, buckets: int) -> list[JsonObject]:
    """A tile of presence for each bucket and quarter of the floor: around the origin, so negative tiles too."""
    rng = np.random.default_rng(seed)
    tiles = []
    for bucket in range(buckets):
        tx, ty = (int(value) for value in rng.integers(-1, 1, 2))
        cells: list[JsonValue] = [int(value) for value in np.sort(rng.choice(1024, 50, replace=False))]
        values: list[JsonValue] = [int(value) for value in rng.integers(1, 500, 50)]
        at = start + timedelta(minutes=15 * bucket)
        tiles.append(tile(0, at=at, tx=tx, ty=ty, cells=cells, values=values))
    return tiles


def recount(tiles: list[JsonObject], *, start: datetime, end: datetime) -> dict[tuple[int, int], int]:
    """Tenths by cell of the space, counted item by item."""
    cells: dict[tuple[int, int], int] = {}
    for one in tiles:
        at = datetime.fromisoformat(str(one["at"]))
        if start <= at < end:
            cells_and_values: Any = zip(one["cells"], one["values"], strict=True)  # type: ignore[arg-type]
            for cell, value in cells_and_values:
                x, y = int(str(one["tx"])) * 32 + cell % 32, int(str(one["ty"])) * 32 + cell // 32
                cells[x, y] = cells.get((x, y), 0) + value
    return cells


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(DAY, DAY + timedelta(days=1), id="a UTC day, from its day tile"),
        pytest.param(DAY - timedelta(hours=1), DAY + timedelta(hours=23), id="a local day, from hours"),
        pytest.param(DAY - timedelta(minutes=345), DAY + timedelta(minutes=1095), id="a day at UTC+5:45"),
        pytest.param(
            DAY - timedelta(days=1, minutes=15), DAY + timedelta(days=2, minutes=45), id="days, hours and edges"
        ),
        pytest.param(DAY + timedelta(minutes=15), DAY + timedelta(minutes=30), id="one bucket"),
        pytest.param(DAY + timedelta(minutes=45), DAY + timedelta(minutes=75), id="across an hour"),
    ],
)
def test_a_map_equals_a_recount(api: Api, device_key: str, start: datetime, end: datetime) -> None:
    tiles = scattered(seed=5, start=DAY - timedelta(days=2), buckets=4 * 24 * 5)
    send(api, device_key, tiles)
    expected = recount(tiles, start=start, end=end)
    query = {"space": "ground-1", "from_": start.isoformat(), "to": end.isoformat()}
    grid = api.read("/venues/corner-shop/heatmap", **query)
    cells = np.array(grid["cells"])
    left, bottom = int(str(grid["x"])), int(str(grid["y"]))
    assert cells.shape == (grid["rows"], grid["columns"])
    found = {
        (left + int(x), bottom + int(y)): round(float(cells[y, x]) * 10)
        for y, x in zip(*np.nonzero(cells), strict=True)
    }
    assert found == expected
    assert grid["total"] == sum(expected.values()) / 10
    assert grid["greatest"] == max(expected.values(), default=0) / 10
    assert (grid["unit"], grid["coordinates"], grid["cell"]) == ("person-seconds", "floor", 0.5)


def test_every_form_holds_the_same_numbers(api: Api, device_key: str) -> None:
    send(api, device_key, scattered(seed=9, start=DAY, buckets=30))
    query = {"space": "ground-1", "from_": "2026-11-18", "to": "2026-11-18"}
    grid = np.array(api.read("/venues/corner-shop/heatmap", **query)["cells"])
    npy = np.load(io.BytesIO(api.get("/venues/corner-shop/heatmap", format="npy", **query).content))
    npz = np.load(io.BytesIO(api.get("/venues/corner-shop/heatmap", format="npz", **query).content))
    assert np.array_equal(npy, np.round(grid * 10).astype(int))
    assert np.array_equal(npz["cells"], npy)
    assert {name: npz[name].item() for name in ("x", "y", "cell", "per_unit")} == {
        "x": -32, "y": -32, "cell": 0.5, "per_unit": 10,
    }  # fmt: skip
    png = _pixels(api.get("/venues/corner-shop/heatmap", format="png", scale=3, **query).content)
    assert png.shape == (grid.shape[0] * 3, grid.shape[1] * 3, 4)
    assert np.array_equal(png[::3, ::3, 3] > 0, grid[::-1] > 0)


@pytest.mark.parametrize(
    ("space", "cell", "tile_y", "row"),
    [
        pytest.param("ground-1", 5 * 32 + 3, -1, 255 - 5, id="floor: up is up"),
        pytest.param("cam-2-view", 5 * 32 + 3, 0, 5, id="image: down is down"),
    ],
)
def test_a_tile_stands_upright_where_leaflet_looks_for_it(
    api: Api, device_key: str, space: str, cell: int, tile_y: int, row: int
) -> None:
    send(api, device_key, [tile(0, at=DAY, space=space, cells=[cell], values=[10])])
    path = f"/venues/corner-shop/heatmap/{space}/presence"
    query = {"from_": "2026-11-18", "to": "2026-11-18"}
    pixels = _pixels(api.get(f"{path}/0/0/{tile_y}.png", **query).content)
    assert pixels.shape == (256, 256, 4)
    assert [tuple(spot) for spot in np.argwhere(pixels[:, :, 3])] == [(row, 3)]
    # twice as large: two pixels a cell, in the tile whose half holds the cell
    larger = _pixels(api.get(f"{path}/1/0/{tile_y}.png", **query).content)
    top = row * 2 if tile_y == 0 else 255 - 5 * 2 - 1
    assert {tuple(spot) for spot in np.argwhere(larger[:, :, 3])} == {(top, 6), (top, 7), (top + 1, 6), (top + 1, 7)}
    smaller = _pixels(api.get(f"{path}/-1/0/{tile_y}.png", **query).content)
    assert [tuple(spot) for spot in np.argwhere(smaller[:, :, 3])] == [(row // 2 if tile_y == 0 else 255 - 2, 1)]
    elsewhere = _pixels(api.get(f"{path}/0/1/{tile_y}.png", **query).content)
    assert not elsewhere[:, :, 3].any()


def test_tiles_of_a_map_share_one_scale(api: Api, device_key: str) -> None:
    send(
        api,
        device_key,
        [tile(0, at=DAY, cells=[0], values=[1000]), tile(0, at=DAY, tx=8, cells=[0], values=[10])],
    )
    query = {"from_": "2026-11-18", "to": "2026-11-18"}
    bright = _pixels(api.get("/venues/corner-shop/heatmap/ground-1/presence/0/0/-1.png", **query).content)[255, 0]
    dark = _pixels(api.get("/venues/corner-shop/heatmap/ground-1/presence/0/1/-1.png", **query).content)[255, 0]
    assert bright[3] == dark[3] == 255
    assert int(bright[:3].sum()) > 2 * int(dark[:3].sum())


def test_flow_keeps_its_directions(api: Api, device_key: str) -> None:
    send(api, device_key, [tile(0, at=DAY, layer="flow", cells=[8 * 40 + 2, 8 * 40 + 7], values=[6, 9])])
    query = {"space": "ground-1", "layer": "flow", "from_": "2026-11-18", "to": "2026-11-18"}
    grid = api.read("/venues/corner-shop/heatmap", **query)
    cells = np.array(grid["cells"])
    assert cells.shape == (32, 32, 8)
    assert cells[1, 8].tolist() == [0, 0, 6, 0, 0, 0, 0, 9]
    assert (grid["total"], grid["unit"]) == (15, "moves")
    assert _pixels(api.get("/venues/corner-shop/heatmap", format="png", scale=1, **query).content)[30, 8, 3] == 255


def test_spaces_are_listed_with_what_there_is(api: Api, device_key: str) -> None:
    send(api, device_key, [tile(0, at=DAY), tile(0, at=DAY, layer="entries"), tile(0, at=DAY, space="unheard-of")])
    listed = api.get("/venues/corner-shop/spaces").json()
    assert [(one["space"], one["coordinates"], one["cell"], one["layers"]) for one in listed] == [
        ("cam-2-view", "image", 40, []),
        ("ground-1", "floor", 0.5, ["entries", "presence"]),
        ("unheard-of", None, None, ["presence"]),
    ]


@pytest.mark.parametrize("form", ["json", "png", "npy", "npz"])
def test_a_map_of_nothing_is_empty_and_no_error(api: Api, device_key: str, form: str) -> None:
    send(api, device_key, [])
    response = api.get("/venues/corner-shop/heatmap", space="ground-1", format=form)
    assert response.status_code == 200
    if form == "json":
        assert (response.json()["cells"], response.json()["total"]) == ([], 0)


def test_tiles_too_far_apart_are_no_grid_but_still_tiles(api: Api, device_key: str) -> None:
    send(api, device_key, [tile(0, at=DAY, tx=-900_000), tile(0, at=DAY, tx=900_000)])
    query = {"from_": "2026-11-18", "to": "2026-11-18"}
    response = api.get("/venues/corner-shop/heatmap", space="ground-1", **query)
    assert (response.status_code, response.json()["title"]) == (409, "Conflict")
    assert api.get("/venues/corner-shop/heatmap/ground-1/presence/0/0/0.png", **query).status_code == 200


@ON_SQLITE
@pytest.mark.parametrize(
    ("layer", "form", "scale", "tx", "status", "says"),
    [
        pytest.param("flow", "json", 1, 243, 200, "", id="flow, the widest"),
        pytest.param("flow", "json", 1, 244, 409, "7840 × 32 cells of 8 directions each", id="flow, too wide"),
        pytest.param("flow", "png", 1, 244, 409, "ask for its tiles instead", id="flow as a picture, too wide"),
        pytest.param("presence", "npy", 1, 1952, 200, "", id="presence, the widest"),
        pytest.param("presence", "npy", 1, 1953, 409, "at most 2,000,000 numbers", id="presence, too wide"),
        pytest.param("presence", "png", 16, 121, 200, "", id="the largest picture"),
        pytest.param("presence", "png", 16, 122, 422, "at most 15 is allowed", id="too large a picture"),
        pytest.param("presence", "png", 4, 1952, 200, "", id="the usual scale suits every map"),
    ],
)
def test_no_map_is_larger_than_the_server_bears(
    api: Api, device_key: str, layer: str, form: str, scale: int, tx: int, status: int, says: str
) -> None:
    send(api, device_key, [tile(0, at=DAY, layer=layer), tile(0, at=DAY, layer=layer, tx=tx)])
    query: dict[str, str | float] = {"from_": "2026-11-18", "to": "2026-11-18", "space": "ground-1"}
    response = api.get("/venues/corner-shop/heatmap", layer=layer, format=form, scale=scale, **query)
    assert response.status_code == status
    if status != 200:
        assert says in response.json()["detail"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("layer", "path", "most"),
    [
        pytest.param("presence", "heatmap?space=ground-1&layer=presence&format=npy", 3, id="a map"),
        pytest.param(
            "flow", "heatmap?space=ground-1&layer=flow&format=png", 2, id="a map of flow, eight numbers a cell"
        ),
        pytest.param("presence", "heatmap/ground-1/presence/0/0/-1.png?", 3, id="a tile of the map"),
        pytest.param("flow", "heatmap/ground-1/flow/0/0/-1.png?", 3, id="a tile of flow, one number a cell"),
    ],
)
def test_of_what_lies_in_too_many_places_nothing_is_decoded(
    api: Api, device_key: str, monkeypatch: pytest.MonkeyPatch, layer: str, path: str, most: int
) -> None:
    each = 1024 if "png?" in path or layer == "presence" else 1024 * 8
    query = "&from=2026-11-18&to=2026-11-18"
    places = [tile(0, at=DAY, layer=layer, tx=tx) for tx in range(most + 1)]
    send(api, device_key, [*places, tile(0, at=DAY + timedelta(minutes=15), layer=layer)])
    monkeypatch.setattr(heatmaps, "MAX_GRID_NUMBERS", (most + 1) * each)
    assert api.get(f"/venues/corner-shop/{path}{query}").status_code == 200
    monkeypatch.setattr(heatmaps, "MAX_GRID_NUMBERS", most * each)
    monkeypatch.setattr(heatmaps, "decode_cells", pytest.fail)
    response = api.get(f"/venues/corner-shop/{path}{query}")
    assert response.status_code == 409
    assert response.json()["detail"].startswith(f"the heat of this period lies in more than {most} squares of 32 × 32")


@ON_SQLITE
def test_whatever_adds_up_a_heat_to_draw_takes_a_turn_without_a_thread(api: Api) -> None:
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), api.engine)
    turned = {
        path for path, route in plain_routes(site) if isinstance(route, APIRoute) and HeatTurn in route.dependencies
    }
    assert turned == {"/venues/{venue}", "/api/v1/venues/{venue}/heatmap/{space}/{layer}/{z}/{x}/{y}.png"}
    assert HeatTurn.max_concurrency == 2
    assert inspect.isasyncgenfunction(HeatTurn.dependency)


@ON_SQLITE
def test_more_maps_at_a_time_than_the_server_bears_come_back_later(api: Api, device_key: str) -> None:
    send(api, device_key, [tile(0, at=DAY)])
    turns, around = Turns(at_once=1, waiting=0), api.app.state.surroundings
    api.app.state.surroundings = replace(around, limits=replace(around.limits, maps=turns))
    with turns.take("never"):
        refused = api.get("/venues/corner-shop/heatmap", space="ground-1")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert api.get("/venues/corner-shop/heatmap/ground-1/presence/0/0/-1.png").status_code == 200
    assert api.get("/venues/corner-shop/heatmap", space="ground-1").status_code == 200


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        pytest.param("heatmap", {"space": "attic"}, 404, "has no space attic", id="no such space"),
        pytest.param("heatmap", {}, 422, "there are: cam-2-view, ground-1", id="which of two spaces"),
        pytest.param("heatmap", {"space": "ground-1", "layer": "smell"}, 422, "query.layer", id="no such layer"),
        pytest.param("heatmap", {"space": "ground-1", "format": "gif"}, 422, "query.format", id="no such format"),
        pytest.param("heatmap", {"space": "ground-1", "scale": 99}, 422, "query.scale", id="too large a picture"),
        pytest.param("heatmap/ground-1/presence/20/0/0.png", {}, 422, "path.z", id="zoomed in too far"),
        pytest.param("heatmap/ground-1/presence/-9/0/0.png", {}, 422, "path.z", id="zoomed out too far"),
        pytest.param("heatmap/ground-1/presence/0/a/0.png", {}, 422, "path.x", id="no number"),
    ],
)
def test_what_is_no_map_is_refused(
    api: Api, device_key: str, path: str, query: dict[str, str | float], status: int, says: str
) -> None:
    send(api, device_key, [])
    response = api.get(f"/venues/corner-shop/{path}", **query)
    assert response.status_code == status
    assert says in response.text


def test_an_unchanged_map_is_not_sent_again(api: Api, device_key: str) -> None:
    send(api, device_key, [tile(0, at=DAY)])
    path, query = (
        "/venues/corner-shop/heatmap/ground-1/presence/0/0/-1.png",
        {"from_": "2026-11-18", "to": "2026-11-18"},
    )
    tag = api.get(path, **query).headers["etag"]
    assert api.get(path, {"If-None-Match": tag}, **query).status_code == 304
    api.send(device_key, tile(50, at=DAY, cells=[7], values=[3]))
    assert api.get(path, {"If-None-Match": tag}, **query).status_code == 200


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA"))
