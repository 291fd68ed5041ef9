import re
import types
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from edge.configuration import load
from edge.settings import BrokerSettings, CameraSettings, Settings

DOCS = Path(__file__).parent.parent.parent / "docs"
SAMPLE = DOCS / "edge.toml"
PASSWORD = "hunter2"


def model_of(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Zone, ...]` or `Lens | None`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    inner = (model_of(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def keys_of(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Every key of the configuration, dotted, tables left out."""
    keys: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        key, inner = prefix + (field.alias or name), model_of(field.annotation)
        keys |= keys_of(inner, f"{key}.") if inner else {key: field}
    return keys


def documented() -> dict[str, str]:
    """The default that the reference gives for each key."""
    rows = re.findall(
        r"^\| `([a-z0-9_.]+)` \| ([^|]+) \|[^|]+\|[^|]+\|$", (DOCS / "edge.md").read_text(), flags=re.MULTILINE
    )
    assert len(rows) == len(dict(rows)), "a key stands twice"
    return dict(rows)


def test_the_reference_has_every_key_and_no_other() -> None:
    assert sorted(documented()) == sorted(keys_of(Settings))


SAID_IN_WORDS = {"camera.scene", "camera.image_size", "camera.line.band"}
"""Keys that default to what another thing says."""


@pytest.mark.parametrize("key", sorted(keys_of(Settings)))
def test_the_reference_gives_the_default_of(key: str) -> None:
    field, told = keys_of(Settings)[key], documented()[key]
    if field.is_required():
        expected = "needed"
    elif field.default is None or field.default == ():
        expected = "none"
    elif isinstance(field.default, tuple):
        expected = f"`{list(field.default)}`".replace("'", '"')
    else:
        expected = f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
    assert (told == expected) != (key in SAID_IN_WORDS)


def test_the_reference_tells_the_log_lines_of_every_trouble() -> None:
    from edge.camera.trouble import Trouble

    text = (DOCS / "edge.md").read_text()
    assert [trouble for trouble in Trouble if f"| `{trouble}` |" not in text] == []


def test_the_sample_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_CAMERA_PASSWORD", "one%40two")
    monkeypatch.setenv("SHOP_CAMERA_PASSWORD", "three")
    settings = load(SAMPLE, places=True)
    door, shop = settings.cameras
    assert door.address is not None
    assert door.address.text == "rtsp://viewer:one%40two@192.0.2.10:554/stream2"
    assert [zone.id for camera in settings.cameras for zone in camera.zones] == ["welcome-mat", "line", "till"]
    assert [line.id for line in door.lines] == ["entrance"]
    assert shop.calibration is not None
    assert shop.scene_id == "shop-floor"


def write(path: Path, text: str = "") -> Path:
    path.write_text(
        f"""
        [box]
        id = "box-1"
        venue = "shop"
        [broker]
        host = "broker.example.org"
        username = "box-1"
        [[camera]]
        id = "door"
        synthetic = {{}}
        {text}
        """
    )
    return path


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("FOOTFALL_EDGE_BROKER__PORT", "8883", lambda settings: settings.broker.port == 8883),
        ("footfall_edge_broker__port", "8883", lambda settings: settings.broker.port == 8883),
        ("FOOTFALL_EDGE_BROKER__HOST", "other", lambda settings: settings.broker.host == "other"),
        ("FOOTFALL_EDGE_BROKER", '{"port": 7}', lambda settings: settings.broker.port == 7),
        ("FOOTFALL_EDGE_BOX__K", "9", lambda settings: settings.box.k == 9),
        ("FOOTFALL_EDGE_DETECTOR__PROVIDERS", '["cpu"]', lambda settings: settings.detector.providers == ("cpu",)),
        (
            "FOOTFALL_EDGE_CAMERA",
            '[{"id": "a", "synthetic": {}, "zone": []}]',
            lambda settings: [camera.id for camera in settings.cameras] == ["a"],
        ),
        ("CAMERA", "not ours", lambda settings: [camera.id for camera in settings.cameras] == ["door"]),
        ("FOOTFALL_EDGE_CONFIG", "/somewhere", lambda settings: settings.box.id == "box-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_environment_wins_over_the_file(
    name: str, value: str, read: types.FunctionType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    settings = load(write(tmp_path / "edge.toml"))
    assert read(settings)
    assert settings.broker.username == "box-1"


def test_no_representation_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_EDGE_BROKER__PASSWORD", PASSWORD)
    monkeypatch.setenv("door_password", PASSWORD)
    file = write(tmp_path / "edge.toml", '[[camera]]\nid = "till"\nurl = "rtsp://viewer:${door_password}@192.0.2.1/"')
    settings = load(file)
    assert settings.cameras[1].url == "rtsp://viewer:${door_password}@192.0.2.1/"
    address = settings.cameras[1].address
    assert address is not None
    assert address.text == f"rtsp://viewer:{PASSWORD}@192.0.2.1/"
    assert PASSWORD not in f"{address!r} {address}"
    assert settings.broker.password == SecretStr(PASSWORD)
    assert PASSWORD not in f"{settings!r} {settings} {settings.cameras[1]!r} {settings.broker!r}"


def test_a_validation_error_of_pydantic_shows_no_input() -> None:
    for model, data in (
        (CameraSettings, {"id": "a", "url": f"http://viewer:{PASSWORD}@192.0.2.1/"}),
        (BrokerSettings, {"password": [PASSWORD]}),
        (Settings, {"box": PASSWORD, "camera": f"rtsp://x:{PASSWORD}@y"}),
    ):
        with pytest.raises(ValueError, match="validation error") as caught:
            model(**data)
        assert PASSWORD not in f"{caught.value} {caught.value!r}"
