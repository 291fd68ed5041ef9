"""The built-in model finds the figures of made-up shops that it never learnt from, and comes with Footfall."""

import argparse
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.camera.frames import Frame
from edge.camera.pace import AsFastAsPossible
from edge.camera.synthetic import SyntheticSource
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from edge.models.commands import add_commands
from edge.models.manifest import published
from edge.models.store import BUILT_IN_FOLDER, ModelStore
from edge.synthetic.film import Film
from edge.synthetic.lens import VIEWS, lens_of
from edge.synthetic.plan import ViewName
from edge.synthetic.sight import IN_SIGHT, TruthFrame
from tests.support.average_precision import overlap
from tools.figure_frames import UNSEEN_SEEDS

SURE = 0.5
"""The confidence from which on a box counts as found, as for the tracker."""
SHORTEST_PX = 30
"""Nobody smaller than this in a picture of 640 × 480 pixels is asked for: they are beyond the street."""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(folder=tmp_path, manifest=published())


@pytest.fixture
def detector(store: ModelStore) -> OnnxDetector:
    path, description = store.resolve("figures")
    return OnnxDetector(Recipe(path=path, description=description))


class Score:
    """Boxes against the truth: each figure in sight is to be found once, by a box that overlaps it by half or more.

    A box on somebody of whom too little is in sight is neither right nor wrong.
    """

    def __init__(self) -> None:
        self.right = self.wrong = self.missed = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed)

    def add(self, boxes: list[list[float]], truth: TruthFrame) -> None:
        """`boxes`: the surest first."""
        tall = truth.boxes[:, 3] - truth.boxes[:, 1] >= SHORTEST_PX
        wanted = truth.boxes[(truth.visible >= IN_SIGHT) & tall].tolist()
        others = truth.boxes[(truth.visible > 0) & ~((truth.visible >= IN_SIGHT) & tall)].tolist()
        for box in boxes:
            best = max(wanted, key=lambda one: overlap(box, one), default=None)
            if best is not None and overlap(box, best) >= 0.5:
                wanted.remove(best)
                self.right += 1
            elif all(overlap(box, one) < 0.5 for one in others):
                self.wrong += 1
        self.missed += len(wanted)


def film(view: ViewName, *, seed: int, people_per_minute: float = 8) -> Film:
    return Film(seed=seed, lens=lens_of(view, (640, 480)), rate=0.5, seconds=90, people_per_minute=people_per_minute)


def frames(shown: Film) -> Iterator[Frame]:
    return SyntheticSource(camera="shop", film=shown, pace=AsFastAsPossible()).frames()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_figures_of_shops_it_never_saw(seed: int, detector: OnnxDetector) -> None:
    assert seed < UNSEEN_SEEDS
    score = Score()
    for view in VIEWS:
        shown = film(view, seed=seed)
        for frame, truth in itertools.islice(zip(frames(shown), shown.truth().frames, strict=True), 5, None):
            found = detector.detect(frame)
            score.add(found.boxes[found.confidence >= SURE].tolist(), truth)
    assert score.right + score.missed > 200
    assert score.precision >= 0.95
    assert score.recall >= 0.95


def test_it_finds_nobody_in_an_empty_shop(detector: OnnxDetector) -> None:
    for view in VIEWS:
        empty = frames(film(view, seed=7, people_per_minute=0))
        assert [(detector.detect(frame).confidence >= SURE).sum() for frame in empty] == [0] * 45


def test_it_is_small_and_whole(store: ModelStore) -> None:
    path, description = store.resolve("figures")
    assert path.parent == BUILT_IN_FOLDER
    assert path.stat().st_size <= 2_000_000
    entry = published().find("figures")
    assert entry is not None
    assert entry.bytes == path.stat().st_size
    assert OnnxDetector(Recipe(path=path)).description.layout == description.layout


def test_there_is_nothing_to_fetch_or_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], store: ModelStore
) -> None:
    assert run(tmp_path, "pull", "figures") == 0
    assert f"figures is installed: {BUILT_IN_FOLDER}" in capsys.readouterr().out
    assert run(tmp_path, "list") == 0
    assert re.search(r"\nfigures +built in +\d\.\d MB +Apache-2.0 +.*made-up", capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="figures comes with Footfall"):
        store.install("figures", source=tmp_path / "other.onnx", report=lambda done, total: None)


def test_an_installation_without_it_says_what_to_do(
    tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.models.store.BUILT_IN_FOLDER", tmp_path)
    with pytest.raises(ModelError, match="figures should come with Footfall, but is not there; install Footfall again"):
        store.resolve("figures")
    (tmp_path / "figures.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match=r"wrong checksum: .*; install Footfall again"):
        store.resolve("figures")


def run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="footfall")
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["models", *words, "--folder", str(folder)])
    code: int = arguments.handler(arguments)
    return code
