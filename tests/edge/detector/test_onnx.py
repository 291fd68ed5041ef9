import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from edge.camera.frames import Frame
from edge.detector.description import USUAL_INPUT, Description, InputFormat, Layout
from edge.detector.detections import Detections
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.detector.session import _check_fallback
from edge.errors import ModelError
from tests.support.average_precision import average_precision, frames_of, truth_of
from tests.support.onnx_models import write_answering_network, write_seeing_network


def frame(width: int = 1280, height: int = 720, colour: tuple[int, int, int] = (0, 0, 0)) -> Frame:
    return Frame(at=1.0, image=np.full((height, width, 3), colour, np.uint8), camera="door", index=0)


def table(rows: int, columns: int, *filled: list[float]) -> np.ndarray:
    empty = np.zeros((1, rows, columns), np.float32)
    for place, row in enumerate(filled):
        empty[0, place * 7, : len(row)] = row
    return empty


def clipped(corners: tuple[float, float, float, float], width: int, height: int) -> list[float]:
    left, top, right, bottom = corners
    return [max(left, 0), max(top, 0), min(right, width), min(bottom, height)]


def expect(found: Detections, people: list[tuple[float, list[float]]]) -> None:
    assert found.boxes.dtype == np.float32
    assert found.confidence.dtype == np.float32
    ranked = sorted(people, reverse=True)
    np.testing.assert_allclose(found.confidence, [confidence for confidence, _ in ranked], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [box for _, box in ranked], atol=0.05)


@pytest.mark.parametrize("columns", [6, 57], ids=["detection", "pose"])
def test_yolo26_end_to_end(tmp_path: Path, columns: int) -> None:
    """1280×720 into 640×640, centred: half size, 140 rows of padding above; overlapping people both stay."""
    rows = [
        [100, 200, 150, 350, 0.9, 0],
        [102, 200, 152, 350, 0.6, 0],
        [300, 240, 340, 360, 0.8, 2],
        [-10, 100, 40, 600, 0.5, 0],
        [10, 10, 30, 90, 0.7, 0],
    ]
    path = write_answering_network(tmp_path / "yolo26n.onnx", {"output0": table(300, columns, *rows)})
    detector = OnnxDetector(Recipe(path=path))
    people = []
    for left, top, right, bottom, confidence, kind in rows:
        box = clipped((left * 2, (top - 140) * 2, right * 2, (bottom - 140) * 2), 1280, 720)
        if kind == 0 and box[3] > box[1]:
            people.append((confidence, box))
    assert len(people) == 3
    expect(detector.detect(frame()), people)
    assert detector.description.layout is Layout.YOLO_END_TO_END


@pytest.mark.parametrize("boxes_first", [True, False], ids=["boxes first", "logits first"])
@pytest.mark.parametrize(
    ("logits_name", "boxes_name", "classes", "person", "side"),
    [("logits", "pred_boxes", 80, 0, 640), ("labels", "dets", 91, 1, 384)],
    ids=["D-FINE", "RF-DETR"],
)
def test_detr_pairs(
    tmp_path: Path, logits_name: str, boxes_name: str, classes: int, person: int, side: int, boxes_first: bool
) -> None:
    """Stretched, so shares of the input are shares of the frame, whatever its proportions."""
    random = np.random.default_rng(6)
    logits = random.normal(-3, 2, (1, 300, classes)).astype(np.float32)
    boxes = random.uniform(0.2, 0.8, (1, 300, 4)).astype(np.float32)
    pair = {boxes_name: boxes, logits_name: logits}
    outputs = pair if boxes_first else dict(reversed(pair.items()))
    path = write_answering_network(
        tmp_path / "detr.onnx", outputs, shape=("batch", 3, side, side), input_name="pixel_values"
    )
    people = []
    for query in range(300):
        confidence = 1 / (1 + np.exp(-float(logits[0, query, person])))
        if confidence >= 0.1:
            cx, cy, w, h = (float(share) for share in boxes[0, query])
            corners = ((cx - w / 2) * 1280, (cy - h / 2) * 720, (cx + w / 2) * 1280, (cy + h / 2) * 720)
            people.append((confidence, clipped(corners, 1280, 720)))
    detector = OnnxDetector(Recipe(path=path))
    assert len(people) > 50
    expect(detector.detect(frame()), people)
    assert detector.description.person_class == person
    assert detector.description.input is not None
    assert (detector.description.input.mean is not None) == (logits_name == "labels")


def test_yolox_boxes_of_one_person_are_one(tmp_path: Path) -> None:
    """Cell 20 of stride 8 has its corner at (160, 0); 640×480 into 416×416 is a factor of 0.65 into the corner."""
    grid = np.zeros((1, 3549, 85), np.float32)
    grid[0, 20, :6] = [0.5, 6, np.log(4), np.log(8), 0.9, 0.9]
    grid[0, 21, :6] = [-0.4, 6, np.log(4), np.log(8), 0.9, 0.8]
    path = write_answering_network(tmp_path / "yolox.onnx", {"output": grid}, shape=(1, 3, 416, 416))
    box = [value / 0.65 for value in (164 - 16, 48 - 32, 164 + 16, 48 + 32)]
    expect(OnnxDetector(Recipe(path=path)).detect(frame(640, 480)), [(0.81, box)])


@pytest.mark.parametrize(("colour", "first"), [("bgr", 30), ("rgb", 90)], ids=["blue comes first", "red comes first"])
@pytest.mark.parametrize("scale", ["0-1", "0-255"])
def test_network_sees_colours_in_the_order_and_scale_it_was_described_with(
    tmp_path: Path, colour: str, first: int, scale: str
) -> None:
    path = write_seeing_network(tmp_path / "sees.onnx")
    told = InputFormat.model_validate({"colour": colour, "scale": scale, "fit": "stretch"})
    detector = OnnxDetector(Recipe(path=path, description=Description(input=told), confidence=0, low_light=False))
    found = detector.detect(frame(64, 64, colour=(30, 60, 90)))
    by_column = {round(float(box[0])): float(each) for box, each in zip(found.boxes, found.confidence, strict=True)}
    unit = 1 if scale == "0-255" else 255
    assert by_column[0] == pytest.approx(first / unit, rel=1e-4)
    assert by_column[10] == pytest.approx(60 / unit, rel=1e-4)
    assert by_column[20] == pytest.approx((120 - first) / unit, rel=1e-4)


def test_open_axes_take_the_size_of_the_description(tmp_path: Path) -> None:
    path = write_answering_network(
        tmp_path / "open.onnx", {"output0": table(300, 6)}, shape=("batch", 3, "height", "width")
    )
    sized = USUAL_INPUT[Layout.YOLO_END_TO_END].model_copy(update={"width": 320, "height": 192})
    detector = OnnxDetector(Recipe(path=path, description=Description(input=sized)))
    assert detector._letterbox.tensor.shape == (1, 3, 192, 320)
    assert len(detector.detect(frame())) == 0
    with pytest.raises(ModelError, match=r"open\.onnx: .*leaves the size open"):
        OnnxDetector(Recipe(path=path))


WRONG_INPUTS = {
    "grey": ((1, 1, 64, 64), TensorProto.FLOAT),
    "batches of four": ((4, 3, 64, 64), TensorProto.FLOAT),
    "not a picture": ((1, 300), TensorProto.FLOAT),
    "half precision": ((1, 3, 64, 64), TensorProto.FLOAT16),
}


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_wrong_inputs_are_refused_by_name(tmp_path: Path, case: str) -> None:
    shape, element = WRONG_INPUTS[case]
    path = write_answering_network(tmp_path / "odd.onnx", {"output0": table(300, 6)}, shape=shape, element=element)
    with pytest.raises(ModelError, match=r"odd\.onnx: its input is images .*not one float32 picture 1×3×height×width"):
        OnnxDetector(Recipe(path=path))


def test_unknown_layout_is_refused_with_the_file_and_its_outputs(tmp_path: Path) -> None:
    path = write_answering_network(tmp_path / "yolov5.onnx", {"output": np.zeros((1, 25200, 85), np.float32)})
    with pytest.raises(ModelError, match=r"yolov5\.onnx: its outputs are of no known layout: output 1×25200×85"):
        OnnxDetector(Recipe(path=path))


def test_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = write_answering_network(tmp_path / "whole.onnx", {"output0": table(300, 6)}).read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"cut\.onnx: ONNX Runtime can't read it \({len(whole) // 2:,} bytes"):
        OnnxDetector(Recipe(path=path))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(5000)], ids=["empty", "a web page", "zeros"])
def test_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: "):
        OnnxDetector(Recipe(path=path))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such file"):
        OnnxDetector(Recipe(path=tmp_path / "gone.onnx"))


def test_named_provider_that_is_not_there_is_refused_with_what_is(tmp_path: Path) -> None:
    path = write_answering_network(tmp_path / "any.onnx", {"output0": table(300, 6)})
    absent = next(
        name
        for name, long in {"tensorrt": "TensorrtExecutionProvider", "openvino": "OpenVINOExecutionProvider"}.items()
        if long not in onnxruntime.get_available_providers()
    )
    with pytest.raises(ModelError, match=rf"any\.onnx: execution provider '{absent}' is not available; .*auto.*cpu"):
        OnnxDetector(Recipe(path=path, providers=(absent,)))


def test_provider_that_fails_to_load_is_told_under_auto_and_refused_when_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted, served = ["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]
    with caplog.at_level(logging.WARNING):
        _check_fallback(wanted, served, strict=False)
    assert "CUDAExecutionProvider is installed but failed to load" in caplog.text
    with pytest.raises(ModelError, match="failed to load"):
        _check_fallback(wanted, served, strict=True)


def scored(assets: Path, model: str, told: InputFormat | None = None) -> float:
    """AP50 on every 10th frame of the PETS video, at the confidence that the tracker is fed with."""
    detector = OnnxDetector(Recipe(path=assets / "models" / model, description=Description(input=told), threads=2))
    found = {
        index: detector.detect(Frame(at=index / 10, image=image, camera="pets", index=index))
        for index, image in frames_of(assets / "videos" / "pets_s2l1.mp4", every=10)
    }
    return average_precision(found, truth_of(assets / "videos" / "pets_s2l1.gt.txt"))


@pytest.mark.assets
def test_yolox_nano_finds_the_people_and_wants_blue_first(assets: Path) -> None:
    bgr = scored(assets, "yolox_nano.onnx")
    rgb = scored(assets, "yolox_nano.onnx", USUAL_INPUT[Layout.YOLOX_GRID].model_copy(update={"colour": "rgb"}))
    assert bgr >= 0.88
    assert bgr > rgb + 0.005


@pytest.mark.assets
def test_yolo11n_int8_finds_the_people_and_wants_red_first(assets: Path) -> None:
    rgb = scored(assets, "yolo11n_int8.onnx")
    bgr = scored(assets, "yolo11n_int8.onnx", USUAL_INPUT[Layout.YOLO_DENSE].model_copy(update={"colour": "bgr"}))
    assert rgb >= 0.87
    assert rgb > bgr


def test_the_runtime_keeps_to_itself(tmp_path: Path) -> None:
    """Its telemetry leaves a device id in the cache and a session in the temporary folder before it sends anything."""
    silencers = {"CI", "GITHUB_ACTIONS", "JENKINS_URL", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "TF_BUILD"}
    environment = {name: value for name, value in os.environ.items() if name not in silencers}
    folders = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", "import edge.detector.onnx"], env={**environment, **folders}, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.assets
def test_real_files_are_recognised(assets: Path) -> None:
    yolox = OnnxDetector(Recipe(path=assets / "models" / "yolox_nano.onnx")).description
    assert yolox.layout is Layout.YOLOX_GRID
    assert yolox.input is not None
    assert (yolox.input.width, yolox.input.colour, yolox.input.scale) == (416, "bgr", "0-255")
    yolo11 = OnnxDetector(Recipe(path=assets / "models" / "yolo11n_int8.onnx")).description
    assert yolo11.layout is Layout.YOLO_DENSE
    assert yolo11.input is not None
    assert (yolo11.input.width, yolo11.input.colour, yolo11.input.scale) == (320, "rgb", "0-1")


@pytest.mark.assets
def test_real_file_cut_short_and_face_detector_are_refused(assets: Path, tmp_path: Path) -> None:
    cut = tmp_path / "yolox_nano.onnx"
    cut.write_bytes((assets / "models" / "yolox_nano.onnx").read_bytes()[:2_000_000])
    with pytest.raises(ModelError, match=r"yolox_nano\.onnx: ONNX Runtime can't read it"):
        OnnxDetector(Recipe(path=cut))
    with pytest.raises(ModelError, match=r"scrfd_500m_bnkps\.onnx: its outputs are of no known layout: .*score_8"):
        OnnxDetector(Recipe(path=assets / "models" / "scrfd_500m_bnkps.onnx"))
