import numpy as np
import pytest

from edge.floor import Calibration, Floor
from edge.synthetic.lens import VIEWS, lens_of
from edge.synthetic.plan import ViewName

SIZE = (640, 480)


@pytest.mark.parametrize("view", VIEWS)
def test_projecting_and_looking_down_are_inverse(view: ViewName) -> None:
    lens = lens_of(view, SIZE)
    pixels = np.array([[u, v] for u in (10.0, 320.0, 600.0) for v in (250.0, 350.0, 470.0)])
    floor = lens.floor_at(pixels)
    np.testing.assert_allclose(lens.project(np.pad(floor, ((0, 0), (0, 1)))), pixels, atol=1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_above_the_horizon_is_no_floor(view: ViewName) -> None:
    assert np.isnan(lens_of(view, SIZE).floor_at(np.array([[320.0, -500.0]]))).all()


@pytest.mark.parametrize("view", VIEWS)
def test_a_box_that_is_given_the_calibration_maps_pixels_to_the_same_metres(view: ViewName) -> None:
    lens = lens_of(view, SIZE)
    image_points, floor_points = lens.calibration()
    calibration = Calibration(image_points=image_points, floor_points=floor_points)
    floor = Floor.from_points(calibration, camera=view, floor="ground", image_size=SIZE)
    pixels = np.array([[u, v] for u in (40.0, 320.0, 600.0) for v in (200.0, 300.0, 470.0)])
    np.testing.assert_allclose(floor.place(pixels), lens.floor_at(pixels), atol=0.02)


def test_what_is_above_is_up_and_what_is_right_is_right_in_the_picture() -> None:
    lens = lens_of("door", SIZE)
    feet, head, west = lens.project(np.array([[1.7, 1.0, 0.0], [1.7, 1.0, 1.7], [0.7, 1.0, 0.0]]))
    assert head[1] < feet[1]
    assert west[0] > feet[0], "who looks south has the west to the right"
