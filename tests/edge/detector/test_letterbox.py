import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.frames import Image
from edge.detector.description import InputFormat
from edge.detector.letterbox import Letterbox, place

YOLOX = InputFormat(colour="bgr", scale="0-255", fit="corner")
ULTRALYTICS = InputFormat(colour="rgb", scale="0-1", fit="centre")
D_FINE = InputFormat(colour="rgb", scale="0-1", fit="stretch")
RF_DETR = D_FINE.model_copy(update={"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)})
FORMATS = {"yolox": YOLOX, "ultralytics": ULTRALYTICS, "d-fine": D_FINE, "rf-detr": RF_DETR}


def picture(width: int, height: int, seed: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def slow_tensor(image: Image, width: int, height: int, wanted: InputFormat) -> np.ndarray:
    """The same, the obvious way: pad, convert and normalise pixel by pixel in the order the words say."""
    canvas = np.full((height, width, 3), wanted.pad, np.uint8)
    if wanted.fit == "stretch":
        inner, left, top = np.asarray(cv2.resize(image, (width, height)), np.uint8), 0, 0
    else:
        ratio = min(width / image.shape[1], height / image.shape[0])
        size = (round(image.shape[1] * ratio), round(image.shape[0] * ratio))
        inner = np.asarray(cv2.resize(image, size), np.uint8)
        spare_x, spare_y = width - inner.shape[1], height - inner.shape[0]
        left, top = (spare_x // 2, spare_y // 2) if wanted.fit == "centre" else (0, 0)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    if wanted.colour == "rgb":
        canvas = canvas[:, :, ::-1]
    values = canvas.astype(np.float64)
    if wanted.scale == "0-1":
        values /= 255
    values = (values - np.array(wanted.mean or (0, 0, 0))) / np.array(wanted.deviation or (1, 1, 1))
    return np.asarray(values.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(480, 360), (360, 640), (1920, 1080), (100, 100), (416, 416)])
def test_tensor_is_what_the_slow_way_gives(name: str, width: int, height: int) -> None:
    letterbox = Letterbox(width=416, height=320, input_format=FORMATS[name])
    image = picture(width, height)
    letterbox.fill(image)
    assert letterbox.tensor.dtype == np.float32
    np.testing.assert_allclose(letterbox.tensor, slow_tensor(image, 416, 320, FORMATS[name]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_camera_that_changes_resolution_leaves_nothing_of_the_old_picture(name: str) -> None:
    letterbox = Letterbox(width=320, height=320, input_format=FORMATS[name])
    for seed, (width, height) in enumerate([(640, 480), (480, 640), (200, 60), (640, 480)]):
        image = picture(width, height, seed)
        letterbox.fill(image)
        np.testing.assert_allclose(letterbox.tensor, slow_tensor(image, 320, 320, FORMATS[name]), rtol=1e-5, atol=1e-5)


def test_frames_of_one_size_share_every_buffer() -> None:
    letterbox = Letterbox(width=416, height=416, input_format=YOLOX)
    first = letterbox.fill(picture(480, 360))
    buffers: list[np.ndarray] = [letterbox.tensor, letterbox._picture, *letterbox._planes, *letterbox._windows]
    addresses = [buffer.ctypes.data for buffer in buffers]
    second = letterbox.fill(picture(480, 360, seed=2))
    again: list[np.ndarray] = [letterbox.tensor, letterbox._picture, *letterbox._planes, *letterbox._windows]
    assert second is first
    assert [buffer.ctypes.data for buffer in again] == addresses
    assert all(new is old for new, old in zip(again, buffers, strict=True))


side = st.integers(min_value=32, max_value=2000)


@given(frame=st.tuples(side, side), target=st.tuples(side, side), fit=st.sampled_from(["corner", "centre", "stretch"]))
def test_picture_lies_inside_the_input_and_touches_a_side(
    frame: tuple[int, int], target: tuple[int, int], fit: str
) -> None:
    placement = place(frame=frame, target=target, fit=fit)
    assert placement.left >= 0
    assert placement.top >= 0
    assert placement.left + placement.width <= target[0]
    assert placement.top + placement.height <= target[1]
    assert placement.width == target[0] or placement.height == target[1]


@given(
    frame=st.tuples(side, side),
    target=st.tuples(side, side),
    fit=st.sampled_from(["corner", "centre", "stretch"]),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_come_back_to_where_they_were(
    frame: tuple[int, int], target: tuple[int, int], fit: str, shares: list[float]
) -> None:
    placement = place(frame=frame, target=target, fit=fit)
    there = [share * size for share, size in zip(shares, frame * 2, strict=True)]
    inside = [
        placement.left + there[0] / frame[0] * placement.width,
        placement.top + there[1] / frame[1] * placement.height,
        placement.left + there[2] / frame[0] * placement.width,
        placement.top + there[3] / frame[1] * placement.height,
    ]
    back = placement.to_frame(np.array([inside], np.float32))
    # float32 keeps seven digits of an input pixel, which a small input magnifies in a big frame
    precision = 1e-3 * max(1.0, frame[0] / placement.width, frame[1] / placement.height)
    np.testing.assert_allclose(back[0], there, atol=precision)
