import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge.detector import engines
from edge.detector.description import Description, InputFormat
from edge.detector.engines import KEPT, Build, default_folder, folder_of, prune
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from tests.support.onnx_models import write_answering_network, write_quantised_network

DIGEST = "ab" * 32


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = write_answering_network(tmp_path / "model.onnx", {"output0": np.zeros((1, 300, 6), np.float32)})
    return Recipe(path=path, threads=1)


def engine_of(recipe: Recipe) -> Path:
    return folder_of(recipe, digest=DIGEST, among=Path("/engines"))


def test_an_engine_is_built_by_a_process_of_its_own_and_gets_its_name_when_it_is_whole(
    recipe: Recipe, tmp_path: Path
) -> None:
    engine = tmp_path / "engines" / "one"
    build = Build(recipe, engine)
    assert build._process.pid != os.getpid()
    assert not engine.exists()
    build.wait()
    assert engine.is_dir()
    assert list(engine.parent.iterdir()) == [engine]


def test_what_was_wrong_is_said_in_the_words_of_the_process(recipe: Recipe, tmp_path: Path) -> None:
    recipe.path.write_bytes(b"no network")
    build = Build(recipe, tmp_path / "engines" / "one")
    with pytest.raises(ModelError, match=r"model\.onnx: ONNX Runtime can't read it \(10 bytes"):
        build.wait()
    assert list((tmp_path / "engines").iterdir()) == []


def test_a_process_that_is_killed_leaves_nothing_and_is_told_by_its_signal(recipe: Recipe, tmp_path: Path) -> None:
    build = Build(recipe, tmp_path / "engines" / "one")
    os.kill(build._process.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="killed by signal 9"):
        build.wait()
    assert list((tmp_path / "engines").iterdir()) == []


def test_giving_up_ends_the_process_and_leaves_nothing(recipe: Recipe, tmp_path: Path) -> None:
    build = Build(recipe, tmp_path / "engines" / "one")
    build.close()
    assert build._process.returncode == -signal.SIGKILL
    assert list((tmp_path / "engines").iterdir()) == []


def test_where_another_process_was_first_its_engine_stays(recipe: Recipe, tmp_path: Path) -> None:
    engine = tmp_path / "engines" / "one"
    engine.mkdir(parents=True)
    (engine / "theirs").touch()
    Build(recipe, engine).wait()
    assert [path.name for path in engine.iterdir()] == ["theirs"]
    assert list(engine.parent.iterdir()) == [engine]


def test_no_room_for_engines_is_told(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "engines").touch()
    with pytest.raises(ModelError, match=r"no engine can be kept in .*engines"):
        Build(recipe, tmp_path / "engines" / "one")


CHANGES: dict[str, dict[str, object]] = {
    "device": {"openvino_device": "GPU"},
    "size": {"description": Description(input=InputFormat(width=320, colour="rgb", scale="0-1", fit="centre"))},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_device_or_size_is_another_engine(recipe: Recipe, change: str) -> None:
    changed = replace(recipe, **CHANGES[change])  # type: ignore[arg-type]
    assert engine_of(changed) != engine_of(recipe)


def test_another_network_is_another_engine(recipe: Recipe) -> None:
    other = folder_of(recipe, digest="cd" * 32, among=Path("/engines"))
    assert other != engine_of(recipe)


def test_what_auto_stands_for_is_the_same_engine(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert engine_of(replace(recipe, providers=("cpu",))) == engine_of(recipe)


def test_other_providers_are_another_engine(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    before = engine_of(recipe)
    there = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    assert engine_of(recipe) != before


def test_another_precision_is_another_engine(recipe: Recipe) -> None:
    before = engine_of(recipe)
    write_quantised_network(recipe.path)
    assert engine_of(recipe) != before


@pytest.mark.parametrize("changed", ["_runtimes", "_device"])
def test_another_runtime_or_machine_is_another_engine(
    recipe: Recipe, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine_of(recipe)
    assert engine_of(recipe) == before
    monkeypatch.setattr(engines, changed, lambda: ["another"])
    assert engine_of(recipe) != before


def test_threads_and_confidence_make_no_other_engine(recipe: Recipe) -> None:
    assert engine_of(replace(recipe, threads=4, confidence=0.3)) == engine_of(recipe)


def test_those_used_least_recently_and_old_leavings_are_removed(tmp_path: Path) -> None:
    now = 1e9
    for age in range(KEPT + 2):
        folder = tmp_path / f"engine-{age}"
        folder.mkdir()
        os.utime(folder, (now - 1000 * age - 1000,) * 2)
    for name, age_seconds in (("a.part-old", 90_000), ("b.part-new", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age_seconds,) * 2)
    (tmp_path / "timing.cache").touch()
    prune(tmp_path, newest=tmp_path / f"engine-{KEPT + 1}", now=now)
    left = {path.name for path in tmp_path.iterdir()}
    kept = {f"engine-{age}" for age in (KEPT + 1, *range(KEPT - 1))}
    assert left == kept | {"b.part-new", "timing.cache"}


def test_engines_lie_where_the_environment_says() -> None:
    assert default_folder({"FOOTFALL_ENGINES": "/var/cache/footfall/engines"}) == Path("/var/cache/footfall/engines")
    assert default_folder({}).name == "engines"
