"""What is likely not meant in a configuration that is possible is said without opening anything."""

import json
from pathlib import Path

import pytest

from edge.check.findings import Verdict
from edge.check.survey import check_configuration
from edge.synthetic.lens import lens_of

IMAGE_POINTS, PLAN = lens_of("door", (640, 480)).calibration()


def configuration(folder: Path, floor_points: list[tuple[float, float]]) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f"""
        [box]
        id = "box-1"
        venue = "shop"
        [[camera]]
        id = "door"
        synthetic = {{}}
        image_size = [640, 480]
        [camera.calibration]
        floor = "ground"
        image_points = {json.dumps(IMAGE_POINTS)}
        floor_points = {json.dumps(floor_points)}
        """
    )
    return path


def test_a_calibration_that_can_be_meant_is_not_spoken_of(tmp_path: Path) -> None:
    findings = check_configuration(configuration(tmp_path, [*PLAN]))
    assert [finding.topic for finding in findings] == ["configuration"]


@pytest.mark.parametrize(
    ("floor_points", "said"),
    [
        pytest.param([(x, -y) for x, y in PLAN], "the camera sees a mirror image of its plan", id="y runs down"),
        pytest.param([(x * 9, y) for x, y in PLAN], "its points do not say where the camera hangs", id="not square"),
        pytest.param([(x / 20, y / 20) for x, y in PLAN], "its points do not say where the camera hangs", id="tiny"),
    ],
)
def test_one_that_is_hardly_meant_is_a_warning(
    tmp_path: Path, floor_points: list[tuple[float, float]], said: str
) -> None:
    _, warning = check_configuration(configuration(tmp_path, floor_points))
    assert (warning.topic, warning.verdict) == ("calibration door", Verdict.WARN)
    assert warning.said.startswith(said)
