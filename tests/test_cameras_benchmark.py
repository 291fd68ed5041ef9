"""What the benchmark of many cameras stands on: delays out of histograms, counts out of an exchange, a real box."""

import json
import math
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.exchange.schema import FILE_NAME, connect
from tests.benchmarks.cameras import Counted, compared, counted, delays, quantile, watched
from tests.support.prometheus import Scrape
from tests.support.rtsp_server import encoded_film


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [
        pytest.param(0.5, {0.1: 0, 0.2: 100, math.inf: 100}, 0.15, id="in the middle of its bucket"),
        pytest.param(0.95, {0.1: 90, 0.2: 100, math.inf: 100}, 0.15, id="of those before it"),
        pytest.param(0.95, {0.1: 95, 0.2: 100, math.inf: 100}, 0.1, id="at an edge"),
        pytest.param(0.95, {0.1: 10, 0.2: 20, math.inf: 100}, 0.2, id="beyond the last edge"),
        pytest.param(0.95, {0.1: 0, 0.2: 0, math.inf: 0}, 0.2, id="of nothing"),
    ],
)
def test_a_quantile_lies_within_its_bucket(share: float, counts: dict[float, float], value: float) -> None:
    assert quantile(share, counts) == pytest.approx(value)


def told(**late: int) -> Scrape:
    """So many frames of each camera, all between 0.2 and 0.3 s late."""
    edges = ["0.025", "0.05", "0.1", "0.2", "0.3", "0.5", "0.75", "1.0", "2.0", "5.0", "10.0", "+Inf"]
    lines = [
        f'footfall_camera_delay_seconds_bucket{{camera="{camera}",le="{edge}"}} {frames if float(edge) > 0.2 else 0}'
        for camera, frames in late.items()
        for edge in edges
    ]
    return Scrape("\n".join(["# TYPE footfall_camera_delay_seconds histogram", *lines, ""]))


def test_delays_are_those_of_all_cameras_since_the_first_look() -> None:
    late = delays(told(door=10, aisle=5), told(door=30, aisle=10), ["door", "aisle"])
    assert late[0.2] == 0
    assert late[0.3] == late[math.inf] == 25
    assert list(late) == sorted(late)


def test_people_and_visits_are_read_from_the_exchange(tmp_path: Path) -> None:
    def occupancy(camera: str, people: float, seconds: float) -> tuple[str, dict[str, object]]:
        watch = {"camera": camera, "person_seconds": people, "watched_seconds": seconds}
        return "occupancy", {"cameras": [watch]}

    items: list[tuple[str, dict[str, object]]] = [
        occupancy("door", 90.0, 60.0),
        occupancy("aisle", 15.0, 60.0),
        occupancy("door", 30.0, 20.0),
        ("visit", {"scene": "door"}),
    ]
    with closing(connect(tmp_path / FILE_NAME)) as connection:
        for number, (kind, body) in enumerate(items):
            connection.execute(
                "INSERT INTO item (epoch, seq, type, venue, config, mode, body) VALUES ('e', ?, ?, 'v', 'c', 'm', ?)",
                (number, kind, json.dumps({"type": kind, **body})),
            )
        connection.execute(
            "INSERT INTO checkpoint (boot, scene, venue, config, mode, body) VALUES ('b', 'door', 'v', 'c', 'm', '{}')"
        )
    found = counted(tmp_path, ["door", "aisle", "never-seen"])
    assert found == [
        Counted(people=1.5, visits=2),
        Counted(people=0.25, visits=0),
        Counted(people=0.0, visits=0),
    ]


def test_many_are_compared_with_one() -> None:
    one = {"people_in_view": 5.0, "people_in_view_least": 5.0, "people_in_view_most": 5.0, "visits_a_camera": 10.0}
    many = {"people_in_view": 4.5, "people_in_view_least": 4.0, "people_in_view_most": 5.5, "visits_a_camera": 11.0}
    figures = compared(one, many)
    assert figures["people_ratio"] == 0.9
    assert (figures["people_ratio_least"], figures["people_ratio_most"]) == (0.8, 1.1)
    assert figures["visits_ratio"] == 1.1


@pytest.mark.needs_gstreamer
def test_a_box_is_watched_while_it_watches(tmp_path: Path) -> None:
    pictures = [np.full((120, 160, 3), 90, np.uint8) for _ in range(20)]
    film = encoded_film([pictures], tmp_path / "film")
    figures = watched(tmp_path / "box", film=film, model="figures", cameras=2, seconds=2.0)
    assert 0 < figures["frames_per_second_least"] <= figures["frames_per_second_most"] < 12
    assert 0 < figures["delay_p50_ms"] <= figures["delay_p95_ms"]
    assert figures["people_in_view"] == figures["visits_a_camera"] == 0
    assert figures["resident_mib"] > 50
    assert figures["vision_processors"] > 0
