from pathlib import Path

import numpy as np
import pytest

from edge.assembly import eyes
from edge.camera.frames import Frame, Image
from edge.detector.low_light import DARK, LowLight, is_dark
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.settings import DetectorSettings
from tests.benchmarks.low_light import hits
from tests.support.average_precision import frames_of, truth_of
from tests.support.darkness import darkened
from tests.support.onnx_models import write_seeing_network


def picture(*, brightest: int, share: float = 0.05) -> Image:
    """A faint pattern, of which this share is as bright as that."""
    image = np.random.default_rng(1).integers(5, 25, (120, 160, 3)).astype(np.uint8)
    image[: round(120 * share)] = brightest
    return image


def test_a_picture_with_little_that_is_bright_is_dark() -> None:
    assert is_dark(picture(brightest=DARK))
    assert not is_dark(picture(brightest=DARK + 5))
    lamp = picture(brightest=20)
    lamp[:12, :12] = 255
    assert is_dark(lamp)


def test_a_picture_that_is_not_dark_is_left_alone() -> None:
    image = picture(brightest=200)
    seen = image.copy()
    LowLight().lighten(seen)
    np.testing.assert_array_equal(seen, image)


def test_a_dark_picture_gets_contrast_and_keeps_its_colours() -> None:
    image = np.full((120, 160, 3), (40, 20, 10), np.uint8)
    image[40:80, 60:100] = (52, 26, 13)
    seen = image.copy()
    LowLight().lighten(seen)
    before, after = (float(each.mean(axis=2).std()) for each in (image, seen))
    assert after > 1.2 * before
    assert np.all(seen[..., 0].astype(int) > seen[..., 2])


def test_the_same_picture_is_seen_the_same_whatever_came_before() -> None:
    lights, image = LowLight(), picture(brightest=30)
    first, second = image.copy(), image.copy()
    lights.lighten(first)
    lights.lighten(picture(brightest=60))
    lights.lighten(second)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("low_light", [True, False])
def test_the_setting_decides_whether_the_model_sees_it(tmp_path: Path, low_light: bool) -> None:
    path = write_seeing_network(tmp_path / "sees.onnx")
    settings = DetectorSettings(model=str(path), low_light=low_light, confidence=0.001, threads=1)
    dark = np.full((64, 64, 3), 20, np.uint8)
    dark[20:40, 20:40] = 45
    found = eyes(settings, environment={}).detector.detect(Frame(at=0.0, image=dark, camera="door", index=0))
    as_it_is = pytest.approx(float(dark.mean()) / 255, rel=0.01)
    assert (float(found.confidence[0]) == as_it_is) is not low_light


@pytest.mark.acceptance
@pytest.mark.assets
def test_more_people_are_found_in_the_dark(assets: Path) -> None:
    frames = dict(frames_of(assets / "videos/retail_x1.mp4", every=40))
    pictures = darkened(list(frames.values()), light=0.05, seed=3)
    truth = truth_of(assets / "videos/retail_x1.gt.txt")
    recall = {}
    for lightened in (False, True):
        detector = OnnxDetector(Recipe(path=assets / "models/yolox_nano.onnx", threads=1, low_light=lightened))
        found = {
            index: detector.detect(Frame(at=0.0, image=image, camera="film", index=index))
            for index, image in zip(frames, pictures, strict=True)
        }
        counted = hits(found, truth)
        recall[lightened] = counted[:, 0].sum() / counted[:, 2].sum()
    assert recall[True] > recall[False] + 0.1
