"""What is published: the entries of a manifest, as TOML tables.

Knows what an entry may say. Refuses to know what is installed here.
"""

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from edge.detector.description import Description
from edge.errors import ConfigurationError

__all__ = ["Entry", "Manifest", "load_manifest", "published"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]

_SUFFIXES = {"onnx": ".onnx", "pytorch": ".pt", "archive": ".zip"}


class Licence(BaseModel):
    """Under which terms a model may be used. `spdx` is an SPDX identifier or a few plain words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spdx: str
    url: Address
    needs_consent: bool = False


class Entry(BaseModel):
    """One published file.

    `kind`: `onnx` serves as it is; `pytorch` has to be exported first; `archive` holds several files.
    An entry without `sha256` is pinned at its first pull.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Literal["onnx", "pytorch", "archive"] = "onnx"
    url: Address
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Sha256 | None = None
    licence: Licence
    description: Description = Description()
    note: str = ""

    @property
    def file(self) -> str:
        """Its name in the folder of models."""
        return self.name + _SUFFIXES[self.kind]

    @property
    def serving_file(self) -> str:
        """The file that a detector opens: for what must be exported, the export laid beside it."""
        return f"{self.name}.onnx"


class Manifest(BaseModel):
    """All entries that are known, each name once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [entry.name for entry in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"these names stand twice: {', '.join(twice)}")
        return self

    def find(self, name: str) -> Entry | None:
        """The entry of this name."""
        return next((entry for entry in self.models if entry.name == name), None)

    def extended(self, others: Iterable[Entry]) -> "Manifest":
        """With these entries added; where a name is known already, the added one counts."""
        entries = {entry.name: entry for entry in (*self.models, *others)}
        return Manifest(models=tuple(entries.values()))


def published() -> Manifest:
    """The manifest that comes with the product."""
    return _parsed(resources.files("edge.models").joinpath("manifest.toml").read_text("utf-8"), source="manifest.toml")


def load_manifest(path: Path | None = None) -> Manifest:
    """The published manifest, with the entries of a user's own file added."""
    if path is None:
        return published()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the manifest cannot be read: {error}") from error
    return published().extended(_parsed(text, source=str(path)).models)


def _parsed(text: str, *, source: str) -> Manifest:
    try:
        return Manifest.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source}: not TOML: {error}") from error
    except ValidationError as error:
        lines = [
            _mistake(source, ".".join(map(str, each["loc"])), each["msg"], each["input"]) for each in error.errors()
        ]
        raise ConfigurationError("\n".join(lines)) from error


def _mistake(source: str, key: str, message: str, found: object) -> str:
    shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
    return f"{source}: {key or 'models'}: {message}{shown}"
