"""`footfall models export`: ONNX of weights, whole numbers behind their gate, engines of this machine."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from edge.camera.pace import AsFastAsPossible
from edge.camera.synthetic import SyntheticSource
from edge.check.model import check_model
from edge.detector.description import Description
from edge.detector.engines import folder_of
from edge.detector.onnx import is_quantised
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from edge.models import agreement, exporting, quantising
from edge.models.commands import add_commands
from edge.models.manifest import load_manifest
from edge.models.pictures import Pictures
from edge.models.quantising import quantise
from edge.models.records import read_tables
from edge.models.store import ModelStore, Resolved, sha256_of
from edge.settings import CameraSettings, DetectorSettings
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from tests.support.onnx_models import write_answering_network, write_seeing_network

WEIGHTS = b"pretend weights"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOOTFALL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FOOTFALL_ENGINES", str(tmp_path / "engines"))
    return tmp_path / "models"


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser(prog="footfall")
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["models", *map(str, words)])
    code: int = arguments.handler(arguments)
    return code


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the made-up shop, whose people the built-in model knows."""
    folder = tmp_path_factory.mktemp("shop")
    film = Film(seed=7, lens=lens_of("overview", (640, 480)), rate=1.0, seconds=300.0, people_per_minute=60.0)
    frames = SyntheticSource(camera="shop", film=film, pace=AsFastAsPossible()).frames()
    for frame in islice(frames, 90, 180):
        cv2.imwrite(str(folder / f"{frame.index:04d}.png"), frame.image)
    return folder


@pytest.mark.acceptance
def test_whole_numbers_that_find_the_same_people_are_installed_with_their_origin(
    shop: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "figures", "--to", "onnx", "--int8", "--calibration", shop) == 0
    out = capsys.readouterr().out
    made = folder / "figures-int8.onnx"
    assert f"figures-int8 is installed: {made}" in out
    assert "people that the original finds in 30 pictures held back" in out
    assert is_quantised(made)
    record = read_tables(folder / "exports.toml")["figures-int8"]
    store = ModelStore(folder=folder, manifest=load_manifest())
    origin = store.entry("figures")
    assert (record["made_of"], record["made_of_sha256"]) == ("figures", origin.sha256)
    assert (record["licence"], record["sha256"]) == ("Apache-2.0", sha256_of(made))
    assert record["calibration"] == shop.name
    path, description = store.resolve("figures-int8")
    assert (path, description) == (made, origin.description)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.acceptance
def test_whole_numbers_that_lose_people_are_not(
    shop: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agreement, "GATE", 1.01)
    assert run("export", "figures", "--to", "onnx", "--int8", "--calibration", shop) == 1
    assert "figures-int8 is not installed: allowed is 97% or more of either" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_pictures_that_show_nobody_judge_nothing(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for index in range(30):
        cv2.imwrite(str(empty / f"{index}.png"), np.full((48, 64, 3), 90, np.uint8))
    assert run("export", "figures", "--to", "onnx", "--int8", "--calibration", empty) == 1
    assert "shows 0 people, too few to judge by" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [["--int8"], ["--calibration", "film.mp4"]])
def test_whole_numbers_need_pictures_and_pictures_serve_nothing_else(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "figures", "--to", "onnx", *words) == 2
    assert "--int8 and --calibration go together" in capsys.readouterr().err


def test_without_the_extra_the_command_names_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run("export", "figures", "--to", "onnx", "--int8", "--calibration", shop) == 1
    assert "pip install 'footfall[export]'" in capsys.readouterr().err


def test_a_model_that_serves_as_it_is_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "figures", "--to", "onnx") == 0
    assert "figures is ready to serve: " in capsys.readouterr().out


@pytest.fixture
def manifest(tmp_path: Path, folder: Path) -> Path:
    """Weights under a strict licence, fetched and accepted."""
    path, weights = tmp_path / "own.toml", tmp_path / "own.pt"
    path.write_text(
        '[[models]]\nname = "own"\nkind = "pytorch"\nexporter = "ultralytics"\nurl = "https://models.example.org/own.pt"\n'
        f'sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"\n'
        'licence = { spdx = "AGPL-3.0-only", url = "https://example.org/agpl", needs_consent = true }\n'
        '[models.description]\nlayout = "yolo-end-to-end"\n'
        'input = { width = 96, height = 64, colour = "rgb", scale = "0-1", fit = "centre" }\n'
    )
    weights.write_bytes(WEIGHTS)
    assert run("pull", "own", "--from", weights, "--accept-licence", "--manifest", path) == 0
    return path


PROGRAM = """#!{python}
import os, pathlib, shutil, sys
quiet = [os.environ["YOLO_AUTOINSTALL"], os.environ["YOLO_OFFLINE"]]
pathlib.Path({asked!r}).write_text("\\n".join([*sys.argv[1:], *quiet]))
weights = pathlib.Path(next(word for word in sys.argv if word.startswith("model=")).removeprefix("model="))
{then}
"""
WRITES = "shutil.copy({network!r}, weights.with_suffix('.onnx'))"


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the package's program: writes a network beside the weights, as that does."""
    program = tmp_path / "yolo"
    monkeypatch.setattr(exporting, "_PROGRAM", program)
    become(program, WRITES.format(network=str(write_seeing_network(tmp_path / "network.onnx"))))
    return program


def become(program: Path, then: str) -> None:
    program.write_text(PROGRAM.format(python=sys.executable, asked=str(program.with_name("asked")), then=then))
    program.chmod(0o755)


def test_weights_are_exported_at_their_size_and_the_licence_stays(
    manifest: Path, folder: Path, exporter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "own", "--to", "onnx", "--manifest", manifest) == 0
    assert f"own is exported: {folder / 'own.onnx'}" in capsys.readouterr().out
    asked = exporter.with_name("asked").read_text().splitlines()
    assert {"export", "format=onnx", "imgsz=64,96"} <= set(asked)
    assert asked[-2:] == ["false", "true"]
    record = read_tables(folder / "exports.toml")["own"]
    assert (record["made_of"], record["licence"]) == ("own", "AGPL-3.0-only")
    assert record["made_of_sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == ["exports.toml", "licences.toml", "own.onnx", "own.pt"]


def test_weights_that_are_not_the_published_ones_are_not_opened(
    manifest: Path, folder: Path, exporter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.pt").write_bytes(b"anything may be in there")
    assert run("export", "own", "--to", "onnx", "--manifest", manifest) == 1
    assert "wrong checksum" in capsys.readouterr().err
    assert not exporter.with_name("asked").exists()


@pytest.mark.parametrize(
    ("then", "said"),
    [("sys.exit('no such layer')", "no such layer"), ("pass", "it said nothing")],
    ids=["it fails", "it makes nothing"],
)
def test_weights_that_the_package_cannot_export_are_told(
    manifest: Path, folder: Path, exporter: Path, then: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    become(exporter, then)
    assert run("export", "own", "--to", "onnx", "--manifest", manifest) == 1
    assert f"own: ultralytics could not export it: {said}" in capsys.readouterr().err
    assert not (folder / "own.onnx").exists()


def test_without_the_package_the_extra_is_named(
    manifest: Path, exporter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporter.unlink()
    assert run("export", "own", "--to", "onnx", "--manifest", manifest) == 1
    assert "ultralytics is not installed; this needs the extra" in capsys.readouterr().err


def test_weights_of_another_package_are_left_to_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "rf-detr-n", "--to", "onnx") == 1
    assert "export to ONNX with the rfdetr package, and lay the result down as" in capsys.readouterr().err


@pytest.fixture
def made(folder: Path, manifest: Path, tmp_path: Path) -> ModelStore:
    """A network made here of one under a strict licence."""
    store = ModelStore(folder=folder, manifest=load_manifest(manifest))
    network = write_seeing_network(tmp_path / "made.onnx")
    store.adopt(network, name="own-int8", origin=store.entry("own"), how={"how": "in whole numbers"})
    return ModelStore(folder=folder, manifest=load_manifest(manifest))


def test_what_was_made_of_a_model_is_under_its_licence(made: ModelStore, folder: Path, manifest: Path) -> None:
    assert made.resolve("own-int8").path == folder / "own-int8.onnx"
    (listed,) = (each for each in made.listing() if each.entry.name == "own-int8")
    assert (listed.entry.licence.spdx, listed.permitted) == ("AGPL-3.0-only", True)
    settings = DetectorSettings(model="own-int8", models_folder=folder, manifest=manifest, threads=1)
    camera = CameraSettings.model_validate({"id": "door", "synthetic": {}})
    found = {one.topic: one.said for one in check_model(settings, [camera], environment={})}
    assert found["licence"] == "own-int8 is under AGPL-3.0-only: https://example.org/agpl; accepted"
    (folder / "licences.toml").unlink()
    with pytest.raises(ModelError, match=r"own-int8 is under AGPL-3\.0-only"):
        made.resolve("own-int8")


def test_a_file_that_was_made_here_is_hashed_when_it_is_opened(made: ModelStore, folder: Path) -> None:
    (folder / "own-int8.onnx").write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"wrong checksum.*make it again: footfall models export own --to onnx --int8"):
        made.resolve("own-int8")


def test_pulling_what_was_made_here_fetches_nothing(
    made: ModelStore, folder: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull", "own-int8", "--manifest", manifest) == 0
    assert f"own-int8 is installed: {folder / 'own-int8.onnx'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("provider", "where"), [("tensorrt", "comes with footfall[gpu]"), ("openvino", "the package onnxruntime-openvino")]
)
def test_an_engine_for_what_is_not_here_says_where_it_comes_from(
    provider: str, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert run("export", "figures", "--to", provider) == 1
    err = capsys.readouterr().err
    assert f"execution provider '{provider}' is not available" in err
    assert where in err


@pytest.mark.skipif(
    "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="needs the package onnxruntime-openvino in the place of onnxruntime",
)
def test_an_engine_is_the_one_that_vision_looks_for(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "figures", "--to", "openvino") == 0
    path, description = ModelStore(folder=folder, manifest=load_manifest()).resolve("figures")
    wanted = Recipe(path=path, description=description, confidence=0.2, threads=2)
    engine = folder_of(wanted, digest=sha256_of(path), among=tmp_path / "engines")
    assert str(engine) in capsys.readouterr().out
    assert list(engine.rglob("*.blob"))


def test_a_network_without_convolutions_is_told(tmp_path: Path, shop: Path) -> None:
    path = write_answering_network(tmp_path / "own.onnx", {"output0": np.zeros((1, 300, 6), np.float32)})
    with pytest.raises(ModelError, match=r"own\.onnx: cannot be turned into whole numbers: it has no convolutions"):
        quantise(Resolved(path, Description()), tmp_path / "made.onnx", Pictures.of(shop))


@pytest.mark.acceptance
@pytest.mark.assets
def test_yolox_nano_in_whole_numbers_finds_the_same_people(assets: Path, tmp_path: Path) -> None:
    source = Resolved(assets / "models/yolox_nano.onnx", Description())
    found = quantise(source, tmp_path / "made.onnx", Pictures.of(assets / "videos/pets_s2l1.mp4")).agreement
    assert found.passes
    assert min(found.recall, found.precision) > 0.98


@pytest.mark.acceptance
@pytest.mark.assets
def test_yolox_nano_wholly_in_whole_numbers_does_not_pass(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "_kept", lambda network: [])
    source = Resolved(assets / "models/yolox_nano.onnx", Description())
    assert not quantise(source, tmp_path / "made.onnx", Pictures.of(assets / "videos/pets_s2l1.mp4")).agreement.passes
