from pathlib import Path

import pytest

from edge.detector.description import Layout
from edge.errors import ConfigurationError
from edge.models.manifest import load_manifest, published

OWN = """
[[models]]
name = "ours"
url = "https://models.example.org/ours.onnx"
licence = { spdx = "MIT", url = "https://models.example.org/licence" }

[models.description]
layout = "yolo-dense"
person_class = 3
input = { width = 512, height = 288, colour = "rgb", scale = "0-1", fit = "centre" }
"""


def test_published_detectors_are_described_wholly() -> None:
    for entry in published().models:
        assert entry.sha256 is not None
        if entry.kind == "archive":
            continue
        assert entry.description.layout is not None
        assert entry.description.person_class is not None
        assert entry.description.input is not None


def test_copyleft_and_research_licences_need_consent_and_free_ones_do_not() -> None:
    for entry in published().models:
        assert entry.licence.needs_consent == (entry.licence.spdx != "Apache-2.0"), entry.name


def test_default_model_is_fed_as_its_authors_say() -> None:
    entry = published().find("yolox-nano")
    assert entry is not None
    assert entry.file == "yolox-nano.onnx"
    told = entry.description.input
    assert told is not None
    assert (told.width, told.height, told.colour, told.scale, told.fit, told.pad) == (
        416,
        416,
        "bgr",
        "0-255",
        "corner",
        114,
    )


def test_own_manifest_adds_entries_and_replaces_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN + OWN.replace('"ours"', '"yolox-nano"'))
    manifest = load_manifest(path)
    ours, replaced = manifest.find("ours"), manifest.find("yolox-nano")
    assert ours is not None
    assert replaced is not None
    assert ours.description.person_class == 3
    assert ours.sha256 is None
    assert replaced.description.layout is Layout.YOLO_DENSE
    assert len(manifest.models) == len(published().models) + 1


MISTAKES = {
    "unknown layout": (
        OWN.replace("yolo-dense", "yolo99"),
        r"own\.toml: models\[0\]\.description\.layout: found 'yolo99'; allowed is 'yolox-grid', ",
    ),
    "unknown key": (OWN + 'colour = "blue"\n', r"models\[0\]\.description\.colour: no such key"),
    "checksum of wrong length": (
        OWN.replace("licence =", 'sha256 = "abc"\nlicence ='),
        r"models\[0\]\.sha256: found 'abc'; allowed is 64 hexadecimal digits",
    ),
    "no licence": (OWN.replace("licence =", "#"), r"models\[0\]\.licence: missing; it is needed"),
    "a name twice": (OWN + OWN, r"own\.toml: models: allowed is each name once; these stand twice: ours"),
    "not TOML": ("[[models", r"own\.toml: not TOML"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_with_file_key_and_what_was_found(case: str, tmp_path: Path) -> None:
    text, message = MISTAKES[case]
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_manifest(path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        OWN.replace("yolo-dense", "yolo99").replace('"rgb"', '"red"').replace("https://models", "ftp://models")
    )
    with pytest.raises(ConfigurationError) as caught:
        load_manifest(path)
    assert len(str(caught.value).splitlines()) == 4


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: the manifest cannot be read"):
        load_manifest(tmp_path / "none.toml")
