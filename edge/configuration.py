"""Reading settings from TOML, and saying everything that is wrong with them at once.

Each mistake is one line: the file (or the environment variable), the key, what was found, what is allowed. Secrets are
never repeated: not values of keys that hold them, and not what somebody wrote under a wrong key or in a wrong shape.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from edge.camera_settings import SOURCES, WHOLE_SECTION, CameraSettings
from edge.consistency import twice_named
from edge.errors import ConfigurationError
from edge.settings import ENVIRONMENT_PREFIX, Settings
from edge.wording import allowed, found

__all__ = ["CONFIG_VARIABLE", "load", "load_camera"]

CONFIG_VARIABLE = "FOOTFALL_EDGE_CONFIG"
"""The one variable with the prefix that names no key: where the file lies."""

Key = tuple[int | str, ...]


def load(path: Path, *, places: bool = False) -> Settings:
    """The settings in a file and the environment; raises ConfigurationError with all mistakes.

    `places` is for who opens the cameras: it fills in the `${NAME}` of their urls, looks at calibrations and at the
    layout as a whole too, and puts cameras whose floors overlap into one scene. That needs the passwords, which uplink
    must not have, and OpenCV, which it has not.
    """
    data = _read(path)
    lines = list(_strange_variables())
    settings: Settings | None = None
    try:
        settings = Settings(**cast("dict[str, Any]", data))
    except ValidationError as error:
        lines += _lines(path, Settings, error, names=_variables())
        told = "\n".join(lines)
        twice = [sentence for sentence in twice_named(data.get("camera")) if sentence not in told]
        lines += [f"{path}: camera: allowed is {sentence}" for sentence in twice]
    cameras = dict(enumerate(settings.cameras)) if settings else dict(_right_cameras(data.get("camera")))
    if places:
        lines += _unfilled(path, cameras)
        lines += _misplaced(path, cameras, settings)
    if settings is None or lines:
        raise ConfigurationError("\n".join(dict.fromkeys(lines))) from None
    return _with_scenes(settings) if places else settings


def load_camera(path: Path) -> CameraSettings:
    """One camera's table, as for a replay, which takes its pictures from elsewhere. A whole configuration will do."""
    table = _only_camera(path, _read(path))
    sourceless = {key: value for key, value in table.items() if key not in SOURCES}
    lines = [f"{path}: allowed is {sentence}" for sentence in twice_named([sourceless])]
    camera: CameraSettings | None = None
    try:
        camera = CameraSettings.model_validate(sourceless, context={"sourceless": True})
    except ValidationError as error:
        lines = _lines(path, CameraSettings, error, names={}) + lines
    else:
        lines += _misplaced(path, {None: camera}, None)
    if camera is None or lines:
        raise ConfigurationError("\n".join(lines)) from None
    return camera


def _read(path: Path) -> dict[str, JsonValue]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; needed is a TOML file that this user may read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None


def _only_camera(path: Path, data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    table = data.get("camera", data)
    if isinstance(table, list):
        if len(table) != 1:
            raise ConfigurationError(f"{path}: camera: found {len(table)} cameras; allowed is exactly one for a replay")
        table = table[0]
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: camera: found no table; allowed is a table, headed [[camera]]")
    return table


def _right_cameras(tables: JsonValue) -> Iterator[tuple[int, CameraSettings]]:
    """Those cameras of a wrong configuration that are right in themselves, by their position."""
    for index, table in enumerate(tables if isinstance(tables, list) else []):
        try:
            yield index, CameraSettings.model_validate(table)
        except ValidationError:
            continue


def _unfilled(path: Path, cameras: dict[int, CameraSettings]) -> Iterator[str]:
    """Urls that lack the value of a `${NAME}`, or are no stream's with it."""
    for index, camera in cameras.items():
        try:
            _ = camera.address
        except ValueError as error:
            yield f"{path}: camera[{index}].url: allowed is {error}"


def _misplaced(
    path: Path, cameras: dict[int, CameraSettings] | dict[None, CameraSettings], settings: Settings | None
) -> list[str]:
    """Calibrations that make no floor, and a layout too large to be said in one message."""
    from edge.layout import oversized
    from edge.view import floor_of

    lines = []
    for index, camera in cameras.items():
        if camera.image_size is not None:
            try:
                floor_of(camera, camera.image_size, box="any")
            except ConfigurationError as error:
                key = "calibration" if index is None else f"camera[{index}].calibration"
                lines.append(f"{path}: {key}: {error}")
    if settings is not None and not lines:
        lines += [f"{path}: camera: {sentence}" for sentence in oversized(_with_scenes(settings))]
    return lines


def _with_scenes(settings: Settings) -> Settings:
    from edge.overlap import with_scenes

    return settings.model_copy(update={"camera": with_scenes(settings.cameras)})


def _lines(path: Path, model: type[BaseModel], error: ValidationError, *, names: dict[str, str]) -> list[str]:
    details = error.errors(include_url=False)
    parents = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    # A list with wrong entries counts only the right ones, and would be called too short as well.
    return [
        _line(path, model, detail, names=names)
        for detail in details
        if not (detail["type"] == "too_short" and detail["loc"] in parents)
    ]


def _line(path: Path, model: type[BaseModel], detail: ErrorDetails, *, names: dict[str, str]) -> str:
    location = detail["loc"][:-1] if detail["type"] == WHOLE_SECTION else detail["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    place = f"{_place(path, location, names)}: {key}" if key else str(path)
    if detail["type"] == "missing":
        return f"{place}: missing; it is needed"
    if detail["type"] == "extra_forbidden":
        return f"{place}: no such key{_meant(model, location)}"
    return f"{place}: {found(detail)}allowed is {allowed(detail)}"


def _variables() -> dict[str, str]:
    """The environment variables with our prefix, by their lower-case names, which is how they are matched."""
    return {name.lower(): name for name in sorted(os.environ) if name.lower().startswith(ENVIRONMENT_PREFIX.lower())}


def _place(path: Path, location: Key, names: dict[str, str]) -> str:
    """The environment variable when one is set for this key or for a table around it, else the file."""
    parts = [str(part) for part in location]
    for length in range(len(parts), 0, -1):
        variable = ENVIRONMENT_PREFIX.lower() + "__".join(parts[:length])
        if variable in names:
            return f"environment {names[variable]}"
    return str(path)


def _strange_variables() -> Iterator[str]:
    """Variables with our prefix that name no section."""
    sections = sorted(Settings.model_fields)
    for lowered, name in _variables().items():
        section = lowered.removeprefix(ENVIRONMENT_PREFIX.lower()).partition("__")[0]
        if section not in sections and name != CONFIG_VARIABLE:
            yield f"environment {name}: no such key{_like(section, sections)}"


def _meant(model: type[BaseModel], location: Key) -> str:
    return _like(str(location[-1]), sorted(_keys(model, location[:-1])))


def _like(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; allowed are {', '.join(known)}" if known else ""


def _keys(model: type[BaseModel], location: Key) -> set[str]:
    """The keys allowed at a place, followed through the models by name."""
    here: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or here is None:
            continue
        fields = {field.alias or name: field for name, field in here.model_fields.items()}
        here = _model_in(fields[part].annotation) if part in fields else None
    return {field.alias or name for name, field in here.model_fields.items()} if here else set()


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
