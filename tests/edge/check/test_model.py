"""What a check says of the model: found, permitted, how fast, under which terms."""

import datetime as dt
from pathlib import Path

import pytest

from edge.check.findings import Finding, Verdict
from edge.check.model import check_installed_models, check_model
from edge.detector import providers
from edge.models.manifest import load_manifest
from edge.models.store import ModelStore, sha256_of
from edge.settings import CameraSettings, DetectorSettings
from tests.support.onnx_models import write_seeing_network

CAMERA = CameraSettings.model_validate({"id": "door", "synthetic": {}, "rate": 10})


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def checked(model: str | Path, models: Path, *, cameras: int = 1) -> dict[str, Finding]:
    settings = DetectorSettings(model=str(model), models_folder=models, threads=1)
    return {found.topic: found for found in check_model(settings, [CAMERA] * cameras, environment={})}


def test_motion_is_told_to_be_no_detector_of_people(models: Path) -> None:
    found = checked("motion", models)["model"]
    assert found.verdict is Verdict.WARN
    assert "people or not" in found.said


def test_a_model_that_is_not_installed_fails_and_says_how_to_get_it(models: Path) -> None:
    found = checked("yolox-nano", models)
    assert set(found) == {"model"}
    assert found["model"].verdict is Verdict.FAIL
    assert "footfall models pull yolox-nano" in found["model"].said


def test_a_file_of_ones_own_is_timed_and_its_terms_are_not_known(models: Path, tmp_path: Path) -> None:
    found = checked(write_seeing_network(tmp_path / "own.onnx"), models)
    assert found["model"].verdict is Verdict.OK
    assert "layout yolo-end-to-end" in found["model"].said
    assert "ms a picture on CPU" in found["model"].said
    assert found["licence"].verdict is Verdict.WARN


def test_a_missing_engine_is_told_and_not_built(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for a provider that needs one."""
    monkeypatch.setattr(providers, "BUILDERS", ("cpu",))
    settings = DetectorSettings(
        model=str(write_seeing_network(tmp_path / "own.onnx")),
        models_folder=models,
        engines_folder=tmp_path / "engines",
    )
    found = {one.topic: one for one in check_model(settings, [CAMERA], environment={})}
    assert "whose engine for CPU vision will build while it runs without: " in found["model"].said
    assert not (tmp_path / "engines").exists()


def test_more_cameras_than_the_model_can_serve_are_told(models: Path, tmp_path: Path) -> None:
    found = checked(write_seeing_network(tmp_path / "own.onnx"), models, cameras=100_000)["model"]
    assert found.verdict is Verdict.WARN
    assert "the cameras ask for 1e+06 pictures/s" in found.said


def test_a_changed_file_fails_by_its_checksum(models: Path) -> None:
    write_seeing_network(models / "yolox-nano.onnx")
    found = checked("yolox-nano", models)["model"]
    assert found.verdict is Verdict.FAIL
    assert "wrong checksum" in found.said


def test_a_model_of_ones_own_manifest_is_found_and_its_terms_are_told(models: Path, tmp_path: Path) -> None:
    write_seeing_network(models / "our-hall.onnx")
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(
        '[[models]]\nname = "our-hall"\nurl = "https://models.example.org/our-hall.onnx"\n'
        f'sha256 = "{sha256_of(models / "our-hall.onnx")}"\n'
        'licence = { spdx = "MIT", url = "https://models.example.org/licence" }\n'
        '[models.description]\nlayout = "yolo-end-to-end"\nperson_class = 0\n'
    )
    settings = DetectorSettings(model="our-hall", models_folder=models, manifest=manifest, threads=1)
    found = {one.topic: one for one in check_model(settings, [CAMERA], environment={})}
    assert found["model"].verdict is Verdict.OK
    assert found["licence"].said == "our-hall is under MIT: https://models.example.org/licence"


def test_a_manifest_that_cannot_be_read_is_named(models: Path, tmp_path: Path) -> None:
    settings = DetectorSettings(model="our-hall", models_folder=models, manifest=tmp_path / "absent.toml")
    (found,) = check_model(settings, [CAMERA], environment={})
    assert found.verdict is Verdict.FAIL
    assert f"{tmp_path}/absent.toml: the manifest cannot be read" in found.said


def test_a_licence_counts_once_it_was_accepted(models: Path) -> None:
    write_seeing_network(models / "yolo26n.onnx")
    found = checked("yolo26n", models)
    assert found["model"].verdict is Verdict.FAIL
    assert "AGPL-3.0-only" in found["model"].said
    ModelStore(folder=models, manifest=load_manifest()).accept_licence("yolo26n", on=dt.date(2026, 3, 1))
    accepted = checked("yolo26n", models)["licence"]
    assert accepted.verdict is Verdict.OK
    assert "AGPL-3.0-only" in accepted.said
    assert accepted.said.endswith("; accepted")


def test_without_a_configuration_the_installed_models_are_listed(models: Path) -> None:
    environment = {"FOOTFALL_MODELS": str(models)}
    assert check_installed_models(environment=environment).advice == "footfall models pull yolox-nano"
    write_seeing_network(models / "yolox-nano.onnx")
    assert check_installed_models(environment=environment).said == f"{models} has yolox-nano (Apache-2.0)"
