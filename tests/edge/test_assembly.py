from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import footfall
from edge.assembly import MOTION, Eyes, eyes, source_of
from edge.camera.frames import Frame
from edge.camera.usb import UsbSource
from edge.detector.detections import Detections
from edge.errors import ModelError
from edge.fixtures import Fixtures
from edge.settings import CameraSettings, DetectorSettings
from tests.support.onnx_models import write_answering_network

MANIFEST = """
[[models]]
name = "our-hall"
url = "https://models.example.org/our-hall.onnx"
licence = { spdx = "MIT", url = "https://models.example.org/licence" }

[models.description]
layout = "yolo-dense"
person_class = 3
"""


@pytest.fixture
def hall(tmp_path: Path) -> DetectorSettings:
    """A box's settings for a model of its own, pulled, whose person is class 3 of 5."""
    anchors = np.zeros((1, 4 + 5, 8400), np.float32)
    anchors[0, :, 0] = [320, 320, 100, 200, 0.1, 0.2, 0.3, 0.9, 0.4]
    network = write_answering_network(tmp_path / "hall.onnx", {"output0": anchors})
    manifest, folder = tmp_path / "manifest.toml", tmp_path / "models"
    manifest.write_text(MANIFEST)
    pull = ["models", "pull", "our-hall", "--from", str(network)]
    assert footfall.main([*pull, "--manifest", str(manifest), "--folder", str(folder)]) == 0
    return DetectorSettings(model="our-hall", models_folder=folder, manifest=manifest)


def test_a_box_uses_a_model_of_its_own_manifest(hall: DetectorSettings) -> None:
    detector = eyes(hall, environment={}).detector
    picture = np.zeros((640, 640, 3), np.uint8)
    found = detector.detect(Frame(at=0.0, image=picture, camera="hall", index=0))
    assert found.confidence == pytest.approx([0.9])


class Poster:
    """A detector that takes a poster for a person."""

    def detect(self, frame: Frame) -> Detections:
        assert frame.camera == "hall"
        return Detections(boxes=np.array([[10, 10, 30, 60]], np.float32), confidence=np.array([0.9], np.float32))


@pytest.mark.parametrize(("model", "idle"), [("our-hall", 50), (MOTION, 0)])
def test_a_thing_that_is_known_keeps_no_detector_awake(model: str, idle: int) -> None:
    """Two frames a second, of which the first of each is looked at."""
    camera, idled = CameraSettings.model_validate({"id": "hall", "device": "/dev/video0"}), Counter[str]()
    fixtures = {"hall": Fixtures()}
    detector = Eyes(detector=Poster(), model=model).watching(
        [camera], fixtures=fixtures, idled=lambda name: idled.update([name])
    )
    picture = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8).repeat(5, axis=0).repeat(5, axis=1)

    def found(since: int, until: int) -> list[int]:
        moments = np.arange(since, until, 0.5).tolist()
        return [len(detector.detect(Frame(at=at, image=picture, camera="hall", index=0))) for at in moments]

    assert found(0, 900) == [1] * 1800
    assert idled["hall"] == fixtures["hall"].count == 0
    assert found(900, 910)[2:] == [0] * 18
    idled.clear()
    assert found(910, 960) == [0] * 100
    assert (fixtures["hall"].count, idled["hall"]) == (1, idle)


def test_a_model_of_ones_own_is_unknown_without_its_manifest(hall: DetectorSettings) -> None:
    with pytest.raises(ModelError, match="our-hall"):
        eyes(hall.model_copy(update={"manifest": None}), environment={})


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({}, {"framerate": "10"}),
        ({"image_size": (640, 480), "rate": 7.5}, {"video_size": "640x480", "framerate": "8"}),
        ({"image_size": (480, 640), "rotation": 90}, {"video_size": "640x480", "framerate": "10"}),
    ],
)
def test_a_usb_camera_is_asked_for_no_more_than_is_analysed(keys: dict[str, object], options: dict[str, str]) -> None:
    source = source_of(CameraSettings.model_validate({"id": "till", "device": "/dev/video0", **keys}))
    assert isinstance(source, UsbSource)
    assert source._opening.options == options
