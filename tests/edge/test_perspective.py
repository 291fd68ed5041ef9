import math

import numpy as np
import numpy.typing as npt
import pytest

from edge.floor import Calibration, Floor, Lens
from edge.perspective import Perspective
from edge.synthetic.lens import VIEWS, lens_of
from edge.synthetic.plan import ViewName

SIZE = (640, 480)
HEIGHTS = (1.2, 1.7, 1.95)
Points = tuple[tuple[float, float], ...]


def floor(image: Points, plan: Points, lens: Lens | None = None) -> Floor:
    calibration = Calibration(image_points=image, floor_points=plan, lens=lens)
    return Floor.from_points(calibration, camera="c", floor="ground", image_size=SIZE)


def seen_by(view: ViewName) -> Perspective:
    perspective = floor(*lens_of(view, SIZE).calibration()).perspective()
    assert perspective is not None
    return perspective


def bodies_before(view: ViewName) -> npt.NDArray[np.float64]:
    pixels = np.array([(x, y) for x in (100.0, 320.0, 600.0) for y in (200.0, 300.0, 470.0)])
    places = lens_of(view, SIZE).floor_at(pixels)
    return np.array([[x, y, 0.0, 0.0, height] for x, y in places for height in HEIGHTS])


@pytest.mark.parametrize("view", VIEWS)
def test_a_calibrated_floor_tells_where_heads_are(view: ViewName) -> None:
    lens, bodies = lens_of(view, SIZE), bodies_before(view)
    feet = lens.project(np.column_stack([bodies[:, :2], np.zeros(len(bodies))]))
    heads = lens.project(np.column_stack([bodies[:, :2], bodies[:, 4]]))
    boxes, _ = seen_by(view).boxes(bodies)
    exact = np.stack([(feet[:, 0] + heads[:, 0]) / 2, heads[:, 1], feet[:, 1]], axis=1)
    assert np.abs(boxes - exact).max() < 1.0


@pytest.mark.parametrize("view", VIEWS)
def test_slopes_are_how_boxes_change(view: ViewName) -> None:
    perspective, bodies = seen_by(view), bodies_before(view)
    _, slopes = perspective.boxes(bodies)
    for axis in range(5):
        moved = bodies.copy()
        moved[:, axis] += 1e-6
        change = (perspective.boxes(moved)[0] - perspective.boxes(bodies)[0]) / 1e-6
        assert np.abs(change - slopes[:, :, axis]).max() < 0.01


def test_places_are_found_again_from_the_middle_of_bodies() -> None:
    perspective, bodies = seen_by("till"), bodies_before("till")
    points = np.column_stack([bodies[:, :2], bodies[:, 4] / 2])
    pixels = lens_of("till", SIZE).project(points)
    for height in HEIGHTS:
        chosen = bodies[:, 4] == height
        assert np.abs(perspective.places(pixels[chosen], height / 2) - points[chosen, :2]).max() < 0.01


def test_nothing_stands_above_the_horizon() -> None:
    assert np.isnan(seen_by("door").places(np.array([[320.0, -2000.0]]), 0.85)).all()


def test_a_plan_whose_y_runs_down_is_the_same_floor() -> None:
    image, plan = lens_of("door", SIZE).calibration()
    mirrored = floor(image, tuple((x, -y) for x, y in plan)).perspective()
    assert mirrored is not None
    bodies = bodies_before("door")
    boxes, _ = mirrored.boxes(bodies * np.array([1, -1, 1, 1, 1]))
    assert np.abs(boxes - seen_by("door").boxes(bodies)[0]).max() < 1e-6


def test_a_lens_tells_its_focal_length_also_straight_down() -> None:
    above: Points = ((120, 90), (520, 90), (520, 390), (120, 390))
    plan: Points = ((0, 3), (4, 3), (4, 0), (0, 0))
    assert floor(above, plan).perspective() is None
    perspective = floor(above, plan, Lens(model="radial", focal_px=400, k1=0.0)).perspective()
    assert perspective is not None
    boxes, _ = perspective.boxes(np.array([[4.0, 1.5, 0, 0, 1.7]]))  # the eye is 4 m above (2, 1.5)
    head_x = 320 + 200 * 4 / (4 - 1.7)
    assert boxes[0] == pytest.approx([(520 + head_x) / 2, 240, 240], abs=0.01)


@pytest.mark.parametrize(
    ("image", "plan"),
    [
        pytest.param(((0, 0), (640, 0), (640, 480), (0, 480)), ((0, 8), (8, 8), (8, 0), (0, 0)), id="a drawing"),
        pytest.param(
            ((160, 200), (480, 200), (640, 480), (0, 480)), ((0, 2.5), (1, 2.5), (1, 0), (0, 0)), id="a toy's height"
        ),
        pytest.param(
            ((160, 200), (480, 200), (640, 480), (0, 480)), ((0, 900), (9, 900), (9, 0), (0, 0)), id="stretched"
        ),
    ],
)
def test_what_no_camera_sees_has_no_perspective(image: Points, plan: Points) -> None:
    assert floor(image, plan).perspective() is None


def test_pixels_have_no_perspective() -> None:
    assert Floor.uncalibrated(SIZE).perspective() is None
    assert math.isfinite(Floor.uncalibrated(SIZE).straightened(np.array([[3.0, 4.0]])).sum())
