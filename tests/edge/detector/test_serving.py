import logging
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge.assembly import eyes
from edge.camera.frames import Frame
from edge.detector import providers, serving
from edge.detector.description import Description
from edge.detector.detections import Detections
from edge.detector.engines import folder_of
from edge.detector.onnx import OnnxDetector
from edge.detector.providers import EngineState, Unbuilt
from edge.detector.recipe import Recipe
from edge.detector.serving import Serving, serve
from edge.errors import ModelError
from edge.settings import DetectorSettings
from tests.support.onnx_models import write_seeing_network

DIGEST = "ab" * 32
FRAME = Frame(at=0.0, image=np.full((64, 64, 3), 128, np.uint8), camera="door", index=0)


class Doubled:
    """A network that counts its frames."""

    description = Description()

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.frames = 0

    def detect(self, frame: Frame) -> Detections:
        self.frames += 1
        return Detections.none()


class Built:
    """A build that is ready, or fails, when a test says so."""

    def __init__(self) -> None:
        self.ready: bool | ModelError = False
        self.closed = False

    def poll(self) -> bool:
        if isinstance(self.ready, ModelError):
            raise self.ready
        return self.ready

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def slow() -> Doubled:
    return Doubled("cpu")


@pytest.fixture
def fast() -> Doubled:
    return Doubled("tensorrt")


@pytest.fixture
def build() -> Built:
    return Built()


@pytest.fixture
def served(slow: Doubled, fast: Doubled, build: Built) -> Serving:
    found = Serving(slow, state=EngineState.MISSING, builder="tensorrt")
    found.change_after(build, lambda: fast)
    return found


def test_the_slower_one_serves_until_the_faster_one_is_ready_and_no_frame_is_lost(
    served: Serving, slow: Doubled, fast: Doubled, build: Built, caplog: pytest.LogCaptureFixture
) -> None:
    served.detect(FRAME)
    assert (served.provider, served.state) == ("cpu", EngineState.BUILDING)
    build.ready = True
    with caplog.at_level(logging.INFO):
        served.detect(FRAME)
    served.detect(FRAME)
    assert (served.provider, served.state) == ("tensorrt", EngineState.SERVING)
    assert (slow.frames, fast.frames) == (1, 2)
    assert caplog.messages == ["TensorRT serves instead of CPU"]


def test_a_build_that_fails_leaves_the_slower_one_at_work_and_says_why(
    served: Serving, slow: Doubled, build: Built, caplog: pytest.LogCaptureFixture
) -> None:
    build.ready = ModelError("libnvinfer.so.10 is missing")
    served.detect(FRAME)
    served.detect(FRAME)
    assert (served.provider, served.state, slow.frames) == ("cpu", EngineState.FAILED, 2)
    assert caplog.messages == ["no engine for TensorRT, so CPU serves: libnvinfer.so.10 is missing"]


def test_so_does_an_engine_that_cannot_be_opened(slow: Doubled, build: Built, caplog: pytest.LogCaptureFixture) -> None:
    def opened() -> Doubled:
        raise ModelError("out of memory")

    found = Serving(slow, state=EngineState.MISSING, builder="tensorrt")
    found.change_after(build, opened)
    build.ready = True
    found.detect(FRAME)
    assert (found.provider, found.state, slow.frames) == ("cpu", EngineState.FAILED, 1)
    assert "out of memory" in caplog.text


def test_closing_gives_the_engine_up(served: Serving, build: Built) -> None:
    served.close()
    assert build.closed


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = write_seeing_network(tmp_path / "model.onnx")
    return Recipe(path=path, threads=1)


@pytest.fixture
def a_cpu_that_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for a provider that needs an engine: the process, the folder and the change are real."""
    monkeypatch.setattr(providers, "BUILDERS", ("cpu",))


def seen_until_it_changes(found: Serving) -> int:
    """Frames analysed by the slower one."""
    began, frames = time.monotonic(), 0
    while found.state is EngineState.BUILDING:
        assert len(found.detect(FRAME)) == 3
        frames += 1
        assert time.monotonic() - began < 60
    return frames


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_people_are_seen_while_the_engine_is_built(recipe: Recipe, tmp_path: Path) -> None:
    found = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.IN_BACKGROUND)
    before = found._network
    assert seen_until_it_changes(found) > 10
    assert found.state is EngineState.SERVING
    assert found._network is not before
    assert folder_of(recipe, digest=DIGEST, among=tmp_path / "engines").is_dir()


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_an_engine_that_is_there_is_opened_at_once(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serve(recipe, digest=DIGEST, engines=tmp_path, unbuilt=Unbuilt.WAIT).state is EngineState.SERVING
    monkeypatch.delattr(subprocess, "Popen")
    assert serve(recipe, digest=DIGEST, engines=tmp_path, unbuilt=Unbuilt.IN_BACKGROUND).state is EngineState.SERVING


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_a_check_builds_nothing(recipe: Recipe, tmp_path: Path) -> None:
    found = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.LEAVE)
    assert found.state is EngineState.MISSING
    assert not (tmp_path / "engines").exists()


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_an_engine_that_cannot_be_opened_is_made_anew(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = folder_of(recipe, digest=DIGEST, among=tmp_path / "engines")
    engine.mkdir(parents=True)
    (engine / "damaged").touch()

    def refused(recipe: Recipe, *, engine: Path | None = None) -> OnnxDetector:
        if engine is not None and (engine / "damaged").exists():
            raise ModelError("the engine is of another version")
        return OnnxDetector(recipe, engine=engine)

    monkeypatch.setattr(serving, "OnnxDetector", refused)
    found = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.WAIT)
    assert found.state is EngineState.SERVING
    assert not (engine / "damaged").exists()
    assert "the engine for CPU is forgotten: the engine is of another version" in caplog.text


@pytest.mark.usefixtures("a_cpu_that_builds")
@pytest.mark.parametrize("unbuilt", [Unbuilt.WAIT, Unbuilt.IN_BACKGROUND])
def test_where_no_engine_can_be_kept_the_box_sees_without(
    recipe: Recipe, tmp_path: Path, unbuilt: Unbuilt, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "engines").touch()
    found = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=unbuilt)
    assert (found.state, len(found.detect(FRAME))) == (EngineState.FAILED, 3)
    assert "no engine can be kept in" in caplog.text


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_who_waits_for_a_provider_by_name_is_refused_where_it_cannot_be_had(tmp_path: Path) -> None:
    path = write_seeing_network(tmp_path / "model.onnx")
    named = Recipe(path=path, providers=("cpu",))
    (tmp_path / "engines").touch()
    with pytest.raises(ModelError, match="no engine can be kept"):
        serve(named, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.WAIT)


@pytest.mark.usefixtures("a_cpu_that_builds")
def test_a_replay_has_its_engine_from_the_first_frame(recipe: Recipe, tmp_path: Path) -> None:
    settings = DetectorSettings(model=str(recipe.path), engines_folder=tmp_path, providers=("cpu",), threads=1)
    found = eyes(settings, environment={})
    assert found.engine is EngineState.SERVING
    assert [(model.provider, model.name) for model in found.models()] == [("cpu", "model")]


def test_a_provider_without_engines_is_opened_as_ever(recipe: Recipe, tmp_path: Path) -> None:
    found = serve(
        replace(recipe, providers=("cpu",)), digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.WAIT
    )
    assert found.state is EngineState.NONE
    assert not (tmp_path / "engines").exists()


@pytest.mark.skipif(
    "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="needs the package onnxruntime-openvino in the place of onnxruntime",
)
def test_openvino_takes_over_from_the_cpu_and_finds_its_engine_again(recipe: Recipe, tmp_path: Path) -> None:
    found = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.IN_BACKGROUND)
    assert found.provider == "cpu"
    seen_until_it_changes(found)
    assert (found.provider, found.state) == ("openvino", EngineState.SERVING)
    assert len(found.detect(FRAME)) == 3
    engine = folder_of(recipe, digest=DIGEST, among=tmp_path / "engines")
    made = sorted(path.name for path in engine.rglob("*.blob"))
    assert made
    again = serve(recipe, digest=DIGEST, engines=tmp_path / "engines", unbuilt=Unbuilt.IN_BACKGROUND)
    assert (again.provider, again.state) == ("openvino", EngineState.SERVING)
    assert sorted(path.name for path in engine.rglob("*.blob")) == made
