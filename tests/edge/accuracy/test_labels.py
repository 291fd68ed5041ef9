"""Labels whose visits and crossings are known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.accuracy.account import Account, Film, Passage, Stay
from edge.accuracy.labels import Label, Labels, Track, passages
from edge.lines import Line
from edge.settings import CameraSettings

SIZE = (640, 480)
FILM = Film(moments=[number / 10 for number in range(600)], image_size=SIZE)
ENTRANCE = {"id": "entrance", "a": (640, 300), "b": (0, 300)}
"""Walking down the picture is `in`."""


def camera(**settings: object) -> CameraSettings:
    defaults = {"id": "door", "image_size": SIZE, "synthetic": {}, "line": [ENTRANCE]}
    return CameraSettings.model_validate({**defaults, **settings})


def labels(feet: dict[int, tuple[float, float]], *, person: int = 1, scale: float = 1.0) -> tuple[Label, ...]:
    """A body of 40 × 100 at these feet, by frame."""
    return tuple(
        Label(
            line=1,
            frame=frame,
            person=person,
            box=((x - 20) * scale, (y - 100) * scale, (x + 20) * scale, y * scale),
        )
        for frame, (x, y) in feet.items()
    )


def walk(start: float, end: float, frames: range, x: float = 300.0) -> dict[int, tuple[float, float]]:
    """Down or up the picture."""
    return dict(zip(frames, [(x, y) for y in np.linspace(start, end, len(frames)).tolist()], strict=True))


def account(*given_labels: Label, film: Film = FILM, **settings: object) -> Account:
    return Labels(path=Path("gt.txt"), camera=camera(**settings), labels=given_labels).account(film)


def test_visits_and_crossings_of_labels() -> None:
    read = account(*labels(walk(200, 400, range(11, 52))), *labels(walk(400, 200, range(101, 142)), person=2))
    assert read.stays == (Stay(first=1.0, last=5.0), Stay(first=10.0, last=14.0))
    assert [(one.line, one.direction, round(one.at, 6)) for one in read.passages or ()] == [
        ("entrance", "in", 3.0),
        ("entrance", "out", 12.0),
    ]


@pytest.mark.parametrize(
    ("hole", "visits", "crossings"),
    [
        pytest.param(49, 1, ["in"], id="short: bridged, and crossed on the way"),
        pytest.param(50, 2, [], id="long: two visits, and nobody knows what was between them"),
    ],
)
def test_holes_in_labels(hole: int, visits: int, crossings: list[str]) -> None:
    before, after = walk(200, 250, range(1, 21)), walk(350, 400, range(21 + hole, 41 + hole))
    read = account(*labels({**before, **after}))
    assert len(read.stays or ()) == visits
    assert [one.direction for one in read.passages or ()] == crossings


def test_labels_of_a_film_in_another_size_are_scaled() -> None:
    half = Film(moments=FILM.moments, image_size=(320, 240))
    read = account(*labels(walk(200, 400, range(11, 52)), scale=0.5), film=half)
    assert [one.at for one in read.passages or ()] == [pytest.approx(3.0)]


def test_on_a_floor_plan_lines_are_in_metres_and_y_is_up() -> None:
    floor = {
        "floor": "ground",
        "image_points": [(0, 0), (640, 0), (640, 480), (0, 480)],
        "floor_points": [(0, 12), (16, 12), (16, 0), (0, 0)],
    }
    read = account(
        *labels(walk(200, 400, range(11, 52))), calibration=floor, line=[{"id": "gate", "a": (0, 4.5), "b": (16, 4.5)}]
    )
    assert [(one.line, one.direction, round(one.at, 6)) for one in read.passages or ()] == [("gate", "out", 3.0)]


DOOR = Line(id="door", a=(0.0, 0.0), b=(4.0, 0.0), band=0.3)


def crossed(path: list[tuple[float, float]], line: Line = DOOR) -> list[str]:
    track = Track(
        times=[float(number) for number in range(len(path))],
        places=np.array(path, float),
        bodies=np.full(len(path), 1.7),
    )
    return [one.direction for one in passages(track, line, y_up=True)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param([(2, -1), (2, 1)], ["in"], id="in"),
        pytest.param([(2, 1), (2, -1)], ["out"], id="out"),
        pytest.param([(2, -1), (2, 1), (2, -1)], ["in", "out"], id="in and out"),
        pytest.param([(2, -1), (5, -1), (5, 1), (2, 1)], [], id="around the end"),
        pytest.param([(2, -1), *[(2, 0.1 * (-1) ** i) for i in range(40)], (2, -1)], [], id="trembles on the line"),
        pytest.param([(2, -1), *[(2, 0.1 * (-1) ** i) for i in range(40)], (2, 1)], ["in"], id="trembles, then in"),
        pytest.param([(2, -1), (2, 0.2), (2, -1)], [], id="turns back on the line"),
        pytest.param([(2, 0.1), (2, -0.1), (2, -1)], ["out"], id="first labelled on the line"),
        pytest.param([(2, -1), (np.nan, np.nan), (2, 1)], ["in"], id="on no floor for a moment"),
        pytest.param([(2, -1)], [], id="one label"),
    ],
)
def test_cuts(path: list[tuple[float, float]], expected: list[str]) -> None:
    assert crossed(path) == expected


places = st.tuples(st.floats(0.5, 3.5), st.floats(-3, 3))


@given(st.lists(places, min_size=1, max_size=40))
def test_cuts_are_the_net_change_of_side(path: list[tuple[float, float]]) -> None:
    found = crossed(path)
    assert found.count("in") - found.count("out") == int(path[-1][1] >= 0) - int(path[0][1] >= 0)


def test_a_crossing_is_dated_to_its_cut() -> None:
    track = Track(times=[0.0, 2.0], places=np.array([(2.0, -1.0), (2.0, 3.0)]), bodies=np.ones(2))
    assert passages(track, DOOR, y_up=True) == [Passage(at=0.5, line="door", direction="in")]
