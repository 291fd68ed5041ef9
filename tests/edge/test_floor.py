import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.floor import Calibration, Floor, Lens
from tests.support.mot import read_mot

SIZE = (800, 600)
TRAPEZE = ((201.0, 119.0), (592.0, 118.0), (781.0, 579.0), (2.0, 579.0))
RECTANGLE = ((3.0, 15.0), (10.0, 15.0), (10.0, 5.0), (3.0, 5.0))
SLUG = re.compile(r"[a-z0-9-]{1,63}")


def floor_of(calibration: Calibration, camera: str = "cam-1", floor: str = "ground") -> Floor:
    return Floor.from_points(calibration, camera=camera, floor=floor, image_size=SIZE)


def test_calibration_points_map_onto_themselves() -> None:
    floor = floor_of(Calibration(image_points=TRAPEZE, floor_points=RECTANGLE))
    assert np.allclose(floor.place(np.array(TRAPEZE)), RECTANGLE)
    assert floor.residual_m < 1e-6
    assert floor.calibrated


def test_more_points_than_needed_are_fitted_and_the_misfit_is_told() -> None:
    truth = floor_of(Calibration(image_points=TRAPEZE, floor_points=RECTANGLE))
    rng = np.random.default_rng(1)
    pixels = rng.uniform((100, 200), (700, 570), (30, 2))
    noisy = truth.place(pixels) + rng.normal(0, 0.02, (30, 2))
    fitted = floor_of(
        Calibration(image_points=tuple(map(tuple, pixels.tolist())), floor_points=tuple(map(tuple, noisy.tolist())))
    )
    assert np.abs(fitted.place(pixels) - truth.place(pixels)).max() < 0.05
    assert 0.01 < fitted.residual_m < 0.2


def test_a_frame_of_another_size_is_scaled_first() -> None:
    floor = floor_of(Calibration(image_points=TRAPEZE, floor_points=RECTANGLE))
    points = np.array([[400.0, 300.0], [123.0, 456.0]])
    assert np.allclose(floor.place(points * [0.5, 0.8], (400, 480)), floor.place(points))
    plain = Floor.uncalibrated((800, 600))
    assert plain.place(np.array([[50.0, 50.0]]), (400, 300)).tolist() == [[100.0, 100.0]]


def test_what_is_above_the_horizon_is_nowhere() -> None:
    floor = floor_of(Calibration(image_points=TRAPEZE, floor_points=RECTANGLE))
    assert np.isnan(floor.place(np.array([[400.0, -2000.0]]))).all()
    assert np.isfinite(floor.place(np.array([[400.0, 300.0]]))).all()


@pytest.mark.parametrize("model", ["radial", "fisheye"])
def test_a_lens_is_straightened_before_the_homography(model: str) -> None:
    lens = Lens(model="radial" if model == "radial" else "fisheye", focal_px=500, k1=-0.2, k2=0.03)
    matrix = np.array([[500.0, 0, 400], [0, 500, 300], [0, 0, 1]])
    turn, shift = np.array([2.0, 0.1, 0.0]), np.array([0.0, 0.5, 6.0])
    bends = np.array([lens.k1, lens.k2, 0, 0])

    def seen(places: np.ndarray) -> np.ndarray:
        solid = np.column_stack([places, np.zeros(len(places))])[:, None]
        project = cv2.projectPoints if model == "radial" else cv2.fisheye.projectPoints
        return np.asarray(project(solid, turn, shift, matrix, bends)[0]).reshape(-1, 2)

    corners = np.array([[-2.0, -1], [2, -1], [2, 1.5], [-2, 1.5]])
    calibration = Calibration(
        image_points=tuple(map(tuple, seen(corners).tolist())),
        floor_points=tuple(map(tuple, corners.tolist())),
        lens=lens,
    )
    places = np.array([[0.0, 0.0], [1.1, 0.7], [-1.5, -0.5]])
    assert np.allclose(floor_of(calibration).place(seen(places)), places, atol=2e-3)
    bare = Calibration(image_points=calibration.image_points, floor_points=calibration.floor_points)
    assert np.abs(floor_of(bare).place(seen(places)) - places).max() > 0.02


@pytest.mark.parametrize(
    ("image", "floor", "why"),
    [
        pytest.param(TRAPEZE[:3], RECTANGLE[:3], "four or more", id="three points"),
        pytest.param(TRAPEZE, RECTANGLE[:3], "four or more", id="unequal numbers"),
        pytest.param(((0, 0), (1, 1), (2, 2), (3, 3)), RECTANGLE, "in the picture lie", id="one line in the picture"),
        pytest.param(TRAPEZE, ((0, 0), (0, 1), (0, 2), (0, 3)), "on the floor lie", id="one line on the floor"),
        pytest.param(TRAPEZE, ((0, 0), (0, 1), (0, 2), (4, 3)), "on the floor lie", id="three of four on a line"),
        pytest.param(TRAPEZE, (*RECTANGLE[:3], RECTANGLE[0]), "on the floor lie", id="one point twice"),
        pytest.param(TRAPEZE, ((3, 15), (10, 5), (10, 15), (3, 5)), "horizon", id="two corners exchanged"),
        pytest.param(TRAPEZE, (*RECTANGLE[:3], (float("nan"), 1)), "finite", id="no number"),
    ],
)
def test_points_that_make_no_floor_are_refused(
    image: tuple[tuple[float, float], ...], floor: tuple[tuple[float, float], ...], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"camera till-2: .*{why}"):
        floor_of(Calibration(image_points=image, floor_points=floor), camera="till-2")


def test_a_space_is_named_by_all_that_makes_it() -> None:
    calibration = Calibration(image_points=TRAPEZE, floor_points=RECTANGLE)
    moved = Calibration(image_points=((202.0, 119.0), *TRAPEZE[1:]), floor_points=RECTANGLE)
    bent = Calibration(image_points=TRAPEZE, floor_points=RECTANGLE, lens=Lens(model="radial", focal_px=500, k1=-0.1))
    spaces = [
        floor_of(calibration),
        floor_of(moved),
        floor_of(bent),
        floor_of(calibration, floor="first"),
        Floor.from_points(calibration, camera="cam-1", floor="ground", image_size=SIZE, cell_m=0.25),
        Floor.from_points(calibration, camera="cam-1", floor="ground", image_size=SIZE, cell_m=0.504),
        Floor.from_points(calibration, camera="cam-1", floor="ground", image_size=(1600, 1200)),
        Floor.uncalibrated(SIZE, camera="cam-1"),
        Floor.uncalibrated(SIZE, camera="cam-1", box="box-2"),
        Floor.uncalibrated(SIZE, camera="2-cam-1", box="box"),
        Floor.uncalibrated((640, 480), camera="cam-1"),
        Floor.uncalibrated(SIZE, camera="cam-2"),
        Floor.uncalibrated(SIZE, camera="cam-1", cell_px=20),
        Floor.uncalibrated(SIZE, camera="x" * 63),
        Floor.uncalibrated((640, 480), camera="x" * 63),
    ]
    names = [floor.space_id for floor in spaces]
    assert len(set(names)) == len(names)
    assert all(SLUG.fullmatch(name) for name in names)
    assert floor_of(calibration, camera="another").space_id == names[0]
    assert names[7] == "box--cam-1-800x600-40px"


def test_feet_are_the_middle_of_the_bottom() -> None:
    assert Floor.uncalibrated(SIZE).feet(np.array([[10.0, 20, 30, 80]], np.float32)).tolist() == [[20.0, 80.0]]
    assert Floor.uncalibrated(SIZE).feet(np.empty((0, 4), np.float32)).shape == (0, 2)


def test_feet_at_the_picture_edge_stand_in_its_last_cell() -> None:
    width, height = SIZE
    feet = Floor.uncalibrated(SIZE).feet(np.array([[width - 20, 0, width + 20, height]], np.float32))
    assert feet.tolist() == [[width - 1, height - 1]]


@pytest.mark.assets
def test_labelled_people_walk_on_the_real_shop_floor(assets: Path) -> None:
    points = json.loads((assets / "videos/retail_x1.floor.json").read_text())
    floor = Floor.from_points(
        Calibration(
            image_points=tuple(map(tuple, points["image_points_px"])),
            floor_points=tuple(map(tuple, points["floor_points_m"])),
        ),
        camera="shop",
        floor="ground",
        image_size=tuple(points["image_size_px"]),
    )
    feet = np.concatenate(
        [floor.feet(people.boxes) for people in read_mot(assets / "videos/retail_x1.gt.txt").values()]
    )
    places = floor.place(feet[feet[:, 1] < 598])
    assert len(places) > 2000
    low, high = np.percentile(places, [1, 99], axis=0)
    assert (low > [1, 3]).all()
    assert (high < [12, 17]).all()
