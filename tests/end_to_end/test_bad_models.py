"""A model file that cannot serve ends vision with one clear error, while uplink delivers what vision left behind."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge.models.manifest import published
from tests.support.mosquitto import Mosquitto
from tests.support.onnx_models import write_answering_network
from tests.support.processes import Command, footfall
from tests.support.product import Box, Camera, Cloud

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.assets,
    pytest.mark.needs_mosquitto,
    pytest.mark.timeout(300),
]

MODEL, FOLDER = "FOOTFALL_EDGE_DETECTOR__MODEL", "FOOTFALL_EDGE_DETECTOR__MODELS_FOLDER"
PUBLISHED = "yolox-nano"
ITEMS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BadModel:
    """What vision is told to use, and the words of the error that ends it."""

    settings: dict[str, str]
    words: tuple[str, ...]


def cut_short(weights: Path, folder: Path) -> BadModel:
    file = folder / "cut-short.onnx"
    file.write_bytes(weights.read_bytes()[:1_000_000])
    return BadModel(
        settings={MODEL: str(file)},
        words=(f"{file}: ", "(1,000,000 bytes: damaged, cut short, or not ONNX)"),
    )


def of_unknown_layout(weights: Path, folder: Path) -> BadModel:
    file = write_answering_network(folder / "odd.onnx", {"boxes": np.zeros((1, 100, 9), np.float32)})
    return BadModel(
        settings={MODEL: str(file)},
        words=(
            f"{file}: its outputs are of no known layout: boxes 1×100×9",
            "For its 640×640 input these are known:",
            "yolox-grid       one output 1×8400×(5+classes)",
            "yolo-dense       one output 1×(4+classes)×8400",
        ),
    )


def changed_since_it_was_published(weights: Path, folder: Path) -> BadModel:
    file = folder / f"{PUBLISHED}.onnx"
    file.write_bytes(weights.read_bytes())
    entry = published().find(PUBLISHED)
    assert entry is not None
    return BadModel(
        settings={MODEL: PUBLISHED, FOLDER: str(folder)},
        words=(
            f"{file}: wrong checksum: expected sha256 {entry.sha256}",
            f"found {hashlib.sha256(weights.read_bytes()).hexdigest()}; remove it and pull the model again",
        ),
    )


BAD_MODELS: tuple[Callable[[Path, Path], BadModel], ...] = (
    cut_short,
    of_unknown_layout,
    changed_since_it_was_published,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """A box whose uplink runs, and its cloud."""

    cloud: Cloud
    box: Box


@pytest.fixture(scope="module")
def delivering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivering]:
    folder = tmp_path_factory.mktemp("bad-models")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto())
        database = f"sqlite:///{folder / 'footfall.sqlite'}"
        cloud = stack.enter_context(Cloud(folder / "cloud", database_url=database, broker=broker))
        cloud.enrol()
        cameras = [Camera(id="square", url="rtsp://127.0.0.1/camera")]
        box = Box(folder / "box", broker=broker, cameras=cameras, model="motion", mode="live")
        box.fill(1)
        with box.uplink:
            yield Delivering(cloud=cloud, box=box)


@pytest.mark.parametrize("make", BAD_MODELS, ids=lambda make: make.__name__.replace("_", " "))
def test_vision_says_which_file_and_what_would_be_right_and_uplink_delivers_what_waits(
    delivering: Delivering, make: Callable[[Path, Path], BadModel], assets: Path, tmp_path: Path
) -> None:
    cloud, box = delivering.cloud, delivering.box
    bad = make(assets / "models" / "yolox_nano.onnx", tmp_path)
    before = len(box.contents())
    box.fill(ITEMS)
    vision = Command(
        footfall("edge", "vision", "--config", box.configuration),
        log=tmp_path / "vision.log",
        environment=bad.settings,
    )
    with vision:
        assert vision.wait(60) == 1
    print(vision.log)
    assert vision.log.startswith("footfall edge: ")
    assert "Traceback" not in vision.log
    for words in bad.words:
        assert words in vision.log
    box.drained(60)
    assert box.uplink.is_running
    contents = box.contents()
    assert len(contents) >= before + ITEMS
    assert cloud.contents() == contents
