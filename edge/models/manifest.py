"""What is published: the entries of a manifest, as TOML tables.

Knows what an entry may say. Refuses to know what is installed here.
"""

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from edge.detector.description import Description
from edge.errors import ConfigurationError
from edge.wording import allowed, found

__all__ = ["Entry", "Manifest", "load_manifest", "published"]

_NAME, _SHA256, _ADDRESS = r"^[a-z0-9][a-z0-9._-]{0,62}$", r"^[0-9a-f]{64}$", r"^https?://\S+$"
_PATTERNS = {
    _NAME: "1 to 63 small letters, digits, dots, hyphens and underscores, a letter or digit first",
    _SHA256: "64 hexadecimal digits in small letters",
    _ADDRESS: "an address that begins with https:// or http://",
}
Name = Annotated[str, StringConstraints(pattern=_NAME)]
Sha256 = Annotated[str, StringConstraints(pattern=_SHA256)]
Address = Annotated[str, StringConstraints(pattern=_ADDRESS)]

_SUFFIXES = {"onnx": ".onnx", "built-in": ".onnx", "pytorch": ".pt", "archive": ".zip"}


class Licence(BaseModel):
    """Under which terms a model may be used. `spdx` is an SPDX identifier or a few plain words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spdx: str
    url: Address
    needs_consent: bool = False


class Entry(BaseModel):
    """One published file.

    `kind`: `onnx` serves as it is; `pytorch` has to be exported first; `archive` holds several files; `built-in` comes
    with the product, from no `url`.
    An entry without `sha256` is pinned at its first pull. `exporter`: the package that `footfall models export` turns
    it into ONNX with. `made_of`: the model that this one was made of on this machine, whose licence it is under.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Literal["onnx", "pytorch", "archive", "built-in"] = "onnx"
    url: Address | None = None
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Sha256 | None = None
    licence: Licence
    exporter: Literal["ultralytics"] | None = None
    made_of: Name | None = None
    description: Description = Description()
    note: str = ""

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if self.url is None and self.kind != "built-in" and self.made_of is None:
            raise ValueError("url is missing; it is needed")
        return self

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

    @field_validator("models")
    @classmethod
    def _names_are_unique(cls, models: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names = [entry.name for entry in models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each name once; these stand twice: {', '.join(twice)}")
        return models

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
        lines = [_mistake(source, detail) for detail in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(lines)) from error


def _mistake(source: str, detail: ErrorDetails) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    place = f"{source}: {key}" if key else source
    if detail["type"] == "missing":
        return f"{place}: missing; it is needed"
    if detail["type"] == "extra_forbidden":
        return f"{place}: no such key"
    if detail["type"] == "string_pattern_mismatch":
        return f"{place}: {found(detail)}allowed is {_PATTERNS[detail['ctx']['pattern']]}"
    return f"{place}: {found(detail)}allowed is {allowed(detail)}"
