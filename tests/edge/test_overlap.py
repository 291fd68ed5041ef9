"""Cameras of the made-up shop and its neighbours: which of them are one scene."""

import pytest

from edge.overlap import shared_m2, with_scenes
from edge.settings import CameraSettings
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import ViewName

SIZE = (640, 480)


def camera(view: ViewName, *, east_m: float = 0.0, floor: str = "ground", **settings: object) -> CameraSettings:
    """One that hangs in the shop, or in one like it that lies so far to the east."""
    image_points, floor_points = lens_of(view, SIZE).calibration()
    moved = [(x + east_m, y) for x, y in floor_points]
    calibration = {"floor": floor, "image_points": image_points, "floor_points": moved}
    return CameraSettings.model_validate(
        {"id": view, "image_size": SIZE, "synthetic": {}, "calibration": calibration, **settings}
    )


def scenes(*cameras: CameraSettings) -> list[str]:
    return [each.scene_id for each in with_scenes(cameras)]


OVERVIEW, TILL, DOOR = camera("overview"), camera("till"), camera("door")
UNCALIBRATED = CameraSettings.model_validate({"id": "till", "image_size": SIZE, "synthetic": {}})
BLIND = [[(0, 60), (640, 60), (640, 480), (0, 480)]]


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        pytest.param([OVERVIEW, TILL], ["overview", "overview"], id="of one floor"),
        pytest.param([TILL, OVERVIEW], ["till", "till"], id="called after the first"),
        pytest.param([DOOR, TILL], ["door", "till"], id="of one floor, back to back"),
        pytest.param([DOOR, TILL, OVERVIEW], ["door"] * 3, id="joined by the third"),
        pytest.param([OVERVIEW, camera("till", floor="first")], ["overview", "till"], id="of two floors"),
        pytest.param([OVERVIEW, camera("till", east_m=60.0)], ["overview", "till"], id="of two shops on one floor"),
        pytest.param([OVERVIEW, UNCALIBRATED], ["overview", "till"], id="one on no floor"),
        pytest.param([OVERVIEW, camera("till", scene="till")], ["overview", "till"], id="one that names its own"),
        pytest.param([OVERVIEW, camera("till", scene="hall")], ["overview", "hall"], id="one that names another"),
        pytest.param(
            [OVERVIEW, TILL, camera("door", scene="till")], ["overview", "till", "till"], id="one that another names"
        ),
        pytest.param(
            [OVERVIEW, camera("till", counting=False)], ["overview", "till"], id="of which one does not count"
        ),
        pytest.param([OVERVIEW, camera("till", masks=BLIND)], ["overview", "till"], id="one under a mask"),
    ],
)
def test_cameras_are_one_scene_whose_floors_overlap(cameras: list[CameraSettings], expected: list[str]) -> None:
    assert scenes(*cameras) == expected


def test_a_floor_ends_long_before_the_horizon() -> None:
    """The corners of a picture whose upper third shows the sky."""
    corners = {"image_points": [(240, 240), (400, 240), (640, 480), (0, 480)], "floor": "ground"}
    level = camera("overview", calibration={**corners, "floor_points": [(0, 12), (8, 12), (8, 0), (0, 0)]})
    assert 50 < shared_m2(level, level) < 500
