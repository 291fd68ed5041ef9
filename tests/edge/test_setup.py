from typing import Any

import pytest

from edge.settings import CameraSettings, DetectorSettings
from edge.setup import setups_of
from protocol.status import ModelStatus

MODEL = ModelStatus(name="yolox-nano", digest="a" * 64)
DOOR: dict[str, Any] = {
    "id": "door",
    "url": "rtsp://viewer:hunter2@192.0.2.1/",
    "image_size": (640, 480),
    "line": [{"id": "entrance", "a": (0, 100), "b": (600, 100)}, {"id": "back", "a": (0, 400), "b": (600, 400)}],
}


def setup(
    *others: CameraSettings,
    model: ModelStatus = MODEL,
    detector: DetectorSettings | None = None,
    **changes: object,
) -> str:
    """That of the entrance."""
    door = CameraSettings.model_validate({**DOOR, **changes})
    return setups_of([door, *others], detector=detector or DetectorSettings(), models=[model])["entrance"]


def moved(line: str) -> list[dict[str, Any]]:
    return [{**each, "b": (500, 90)} if each["id"] == line else each for each in DOOR["line"]]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(setup(line=moved("entrance")), id="the line"),
        pytest.param(setup(rotation=180), id="how the camera hangs"),
        pytest.param(setup(rate=5), id="its rate"),
        pytest.param(setup(motion_threshold=0), id="when it idles"),
        pytest.param(setup(tracker="bytetrack"), id="its tracker"),
        pytest.param(setup(masks=[[(0, 0), (9, 0), (9, 9)]]), id="its masks"),
        pytest.param(setup(doorway=[{"a": (0, 9), "b": (9, 9)}]), id="its doorways"),
        pytest.param(setup(model=ModelStatus(name="yolox-nano", digest="b" * 64)), id="the model"),
        pytest.param(setup(model=ModelStatus(name="motion")), id="a model without content"),
        pytest.param(setup(detector=DetectorSettings(confidence=0.3)), id="the model's confidence"),
        pytest.param(setup(detector=DetectorSettings(low_light=False)), id="what becomes of dark pictures"),
    ],
)
def test_what_counts_hang_on_changes_the_setup(other: str) -> None:
    assert other != setup()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(setup(line=moved("back")), id="another line"),
        pytest.param(setup(url="rtsp://viewer:other@192.0.2.9/"), id="the camera's address"),
        pytest.param(setup(cell_px=80), id="the heat map"),
        pytest.param(setup(detector=DetectorSettings(threads=4)), id="the detector's threads"),
        pytest.param(setup(zone=[{"id": "z", "polygon": [(0, 0), (9, 0), (9, 9)]}]), id="a zone"),
        pytest.param(setup(model=ModelStatus(name="my-own", digest="a" * 64)), id="the model's name"),
        pytest.param(setup(CameraSettings.model_validate({"id": "till", "synthetic": {}})), id="another scene"),
    ],
)
def test_what_counts_do_not_hang_on_leaves_it(other: str) -> None:
    assert other == setup()


def test_a_second_camera_of_the_scene_changes_it() -> None:
    shared: dict[str, Any] = {
        "scene": "shop",
        "calibration": {
            "floor": "ground",
            "image_points": [(0, 0), (640, 0), (640, 480), (0, 480)],
            "floor_points": [(0, 9), (12, 9), (12, 0), (0, 0)],
        },
    }
    line = [{"id": "entrance", "a": (0, 1), "b": (6, 1)}]
    till = CameraSettings.model_validate({"id": "till", "synthetic": {}, "image_size": (640, 480), **shared})
    assert setup(till, line=line, **shared) != setup(line=line, **shared)
