import numpy as np

from edge.settings import CameraSettings
from edge.view import View
from tests.support.people import boxes_at

SIZE = (640, 480)
HALL = {
    "floor": "ground",
    "image_points": [(240, 240), (400, 240), (640, 480), (0, 480)],
    "floor_points": [(0, 20), (10, 20), (10, 0), (0, 0)],
}


def test_a_place_is_less_sure_the_farther_away_it_is_and_never_no_number() -> None:
    """The floor's horizon lies at 120 pixels, and a step away from the last feet is beyond it."""
    camera = CameraSettings.model_validate({"id": "hall", "synthetic": {}, "image_size": SIZE, "calibration": HALL})
    view = View(camera, box="box-1", image_size=SIZE, doorways=())
    feet = {"near": (60.0, 470.0), "farther": (220.0, 300.0), "far": (380.0, 200.0), "horizon": (540.0, 125.0)}
    for frame in range(30):
        people, _ = view.see(boxes_at(feet), frame / 10, SIZE)
    assert len(people) == len(feet)
    spreads = view.spreads(people)
    assert np.isfinite(spreads).all()
    nearest_first = np.argsort(people.boxes[:, 3])[::-1]
    assert (np.diff(np.linalg.eigvalsh(spreads)[nearest_first, -1]) > 0).all()
