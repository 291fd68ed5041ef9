"""The folder of models on this machine.

Knows which entries are installed, whole and permitted, and turns a name or a path into a file to open.
Refuses to know terminals, and what a network does with a picture.
"""

import datetime as dt
import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import httpx
import platformdirs

from edge.detector.description import Description
from edge.errors import ModelError
from edge.models.download import CHUNK_BYTES, Report, Wanted, download, receive
from edge.models.licences import Licences
from edge.models.manifest import Entry, Manifest
from edge.models.records import read_tables, write_tables

__all__ = ["BUILT_IN_FOLDER", "Checked", "Installed", "ModelStore", "Resolved", "State", "default_folder", "sha256_of"]


BUILT_IN_FOLDER = Path(__file__).parent
"""Where models lie that come with the product."""


class State(StrEnum):
    """What a new look at an installed file says."""

    WHOLE = "whole"
    CHANGED = "changed"
    UNPINNED = "unpinned"


class Resolved(NamedTuple):
    """A file to open, and what is known about the network in it."""

    path: Path
    description: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An entry and its file here, None where it is not installed; `exported` where its ONNX lies beside it."""

    entry: Entry
    path: Path | None
    exported: bool
    permitted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome of hashing one installed file."""

    name: str
    path: Path
    state: State
    expected: str | None
    found: str


def default_folder(environment: Mapping[str, str]) -> Path:
    """FOOTFALL_MODELS, else a folder of the user's own data."""
    named = environment.get("FOOTFALL_MODELS")
    return Path(named) if named else platformdirs.user_data_path("footfall") / "models"


class ModelStore:
    """Lists, pulls, checks and resolves models in one folder."""

    def __init__(self, *, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self._licences = Licences(folder)
        self._pins = folder / "pins.toml"
        self._exports = folder / "exports.toml"
        self._manifest = manifest.extended(self._made_here(manifest))

    def listing(self) -> list[Installed]:
        """Every entry of the manifest, installed or not."""
        return [
            Installed(
                entry=entry,
                path=path if (path := self._folder_of(entry) / entry.file).is_file() else None,
                exported=entry.kind == "pytorch" and (self.folder / entry.serving_file).is_file(),
                permitted=self._licences.permit(entry),
            )
            for entry in self._manifest.models
        ]

    def entry(self, name: str) -> Entry:
        """The entry of this name; ModelError names those close to it."""
        found = self._manifest.find(name)
        if found is None:
            raise ModelError(self._unknown(name))
        return found

    def accept_licence(self, name: str, *, on: dt.date) -> None:
        """Record that a person accepted the licence of this model."""
        self._licences.accept(self.entry(name), on=on)

    def permits(self, name: str) -> bool:
        """Whether the licence of this model needs no consent or has it."""
        return self._licences.permit(self.entry(name))

    def pull(self, name: str, *, client: httpx.Client, report: Report) -> Path:
        """Fetch a model, continuing an earlier attempt; only a file with the right checksum is installed."""
        entry = self._permitted(name)
        if entry.url is None:
            return self._serving(entry).path
        target, part = self._places(entry)
        expected = self.checksum(entry)
        if target.is_file() and expected and sha256_of(target) == expected:
            return target
        found = download(Wanted(url=entry.url, bytes=entry.bytes, sha256=expected), part, client=client, report=report)
        return self._install(entry, part, found, origin=entry.url)

    def install(self, name: str, *, source: Path, report: Report) -> Path:
        """Install a model from a file that was carried here; its checksum is checked as after a pull."""
        entry = self._permitted(name)
        if entry.kind == "built-in":
            raise ModelError(f"{name} comes with Footfall; it is not installed from a file")
        _, part = self._places(entry)
        try:
            total = source.stat().st_size
            found = receive(_chunks(source), part, total=total, report=report)
        except OSError as error:
            raise ModelError(f"{source}: cannot be read: {error.strerror}") from error
        return self._install(entry, part, found, origin=str(source))

    def verify(self) -> list[Checked]:
        """Hash every file of the folder anew; what comes with the product is hashed whenever it is opened."""
        checked = []
        for installed in self.listing():
            if installed.path is not None and installed.entry.kind != "built-in":
                expected, found = self.checksum(installed.entry), sha256_of(installed.path)
                state = State.UNPINNED if expected is None else State.WHOLE if found == expected else State.CHANGED
                name = installed.entry.name
                checked.append(Checked(name=name, path=installed.path, state=state, expected=expected, found=found))
        return checked

    def resolve(self, name_or_path: str) -> Resolved:
        """The file to open for a manifest's name or a path, and what is known about it."""
        entry = self._manifest.find(name_or_path)
        if entry is not None:
            return self._serving(entry)
        path = Path(name_or_path)
        if path.suffix == ".pt":
            raise ModelError(f"{path}: PyTorch weights can't serve; export them to ONNX first")
        if path.is_file():
            found = sha256_of(path)
            known = next((each for each in self._manifest.models if each.sha256 == found), None)
            return Resolved(path, known.description if known else Description())
        if len(path.parts) > 1 or path.suffix:
            raise ModelError(f"{path}: there is no such file")
        raise ModelError(self._unknown(name_or_path))

    def entry_of(self, name: str, *, digest: str) -> Entry | None:
        """The entry of this name, else of these very bytes."""
        same = (each for each in self._manifest.models if each.sha256 == digest)
        return self._manifest.find(name) or next(same, None)

    def weights(self, entry: Entry) -> Path:
        """The published file of an entry, to make something of: installed, permitted and whole. Raises ModelError."""
        self._permitted(entry.name)
        path = self._folder_of(entry) / entry.file
        if not path.is_file():
            raise ModelError(f"{entry.name} is not installed: footfall models pull {entry.name}")
        expected = self.checksum(entry)
        if expected and (found := sha256_of(path)) != expected:
            raise ModelError(_mismatch(str(path), expected, found, _mend(entry)))
        return path

    def adopt(self, made: Path, *, name: str, origin: Entry, how: Mapping[str, str]) -> Path:
        """Install a network that was made of an installed one, and write down of which, and how."""
        target = self.folder / f"{name}.onnx"
        record = {
            "made_of": origin.name,
            "made_of_sha256": sha256_of(self._folder_of(origin) / origin.file),
            "sha256": sha256_of(made),
            "licence": origin.licence.spdx,
            **how,
        }
        write_tables(self._exports, {**read_tables(self._exports), name: record})
        made.replace(target)
        return target

    def checksum(self, entry: Entry) -> str | None:
        """The sha256 of the manifest, else the one that the first pull pinned."""
        return entry.sha256 or read_tables(self._pins).get(entry.name, {}).get("sha256")

    def _made_here(self, manifest: Manifest) -> Iterator[Entry]:
        """Networks under names of their own that were made here of others."""
        records = read_tables(self._exports) if self.folder.is_dir() else {}
        for name, record in records.items():
            origin = manifest.find(record.get("made_of", ""))
            path = self.folder / f"{name}.onnx"
            if origin is not None and origin.name != name and path.is_file():
                yield origin.model_copy(
                    update={
                        "name": name,
                        "kind": "onnx",
                        "url": None,
                        "bytes": path.stat().st_size,
                        "sha256": record["sha256"],
                        "made_of": origin.name,
                        "exporter": None,
                        "note": f"made here of {origin.name}: {record.get('how', '')}",
                    }
                )

    def _serving(self, entry: Entry) -> Resolved:
        if entry.kind == "archive":
            raise ModelError(f"{entry.name} is no detector: {entry.note}")
        self._permitted(entry.name)
        path = self._folder_of(entry) / entry.serving_file
        if not path.is_file():
            raise ModelError(self._missing(entry))
        expected = None if entry.kind == "pytorch" else self.checksum(entry)
        if expected and (found := sha256_of(path)) != expected:
            raise ModelError(_mismatch(str(path), expected, found, _mend(entry)))
        return Resolved(path, entry.description)

    def _folder_of(self, entry: Entry) -> Path:
        return BUILT_IN_FOLDER if entry.kind == "built-in" else self.folder

    def how_to_export(self, entry: Entry) -> str:
        """What to do with weights that can't serve as they are."""
        if entry.exporter is not None:
            return f"footfall models export {entry.name} --to onnx"
        return f"{entry.note}, and lay the result down as {self.folder / entry.serving_file}"

    def _missing(self, entry: Entry) -> str:
        if entry.kind == "built-in":
            return f"{entry.name} should come with Footfall, but is not there; {_mend(entry)}"
        if (self.folder / entry.file).is_file():
            return f"{entry.name} is fetched but not exported; {self.how_to_export(entry)}"
        return f"{entry.name} is not installed: footfall models pull {entry.name}"

    def _permitted(self, name: str) -> Entry:
        entry = self.entry(name)
        if not self._licences.permit(entry):
            raise ModelError(
                f"{name} is under {entry.licence.spdx} ({entry.licence.url}), which nobody here accepted yet: "
                f"read it, then run: footfall models pull {name} --accept-licence"
            )
        return entry

    def _places(self, entry: Entry) -> tuple[Path, Path]:
        target = self.folder / entry.file
        return target, target.with_name(target.name + ".part")

    def _install(self, entry: Entry, part: Path, found: str, *, origin: str) -> Path:
        expected = self.checksum(entry)
        notes = part.with_name(part.name + ".toml")
        if expected is not None and found != expected:
            part.unlink()
            notes.unlink(missing_ok=True)
            advice = (
                "nothing was installed; fetch it anew, and if it stays so don't use it: it is not the published file"
            )
            raise ModelError(_mismatch(origin, expected, found, advice))
        if expected is None:
            write_tables(self._pins, {**read_tables(self._pins), entry.name: {"sha256": found}})
        part.replace(self.folder / entry.file)
        notes.unlink(missing_ok=True)
        return self.folder / entry.file

    def _unknown(self, name: str) -> str:
        names = [entry.name for entry in self._manifest.models]
        close = difflib.get_close_matches(name, names, n=3)
        here = [each.entry.name for each in self.listing() if each.path is not None or each.exported]
        meant = f"; did you mean {' or '.join(close)}?" if close else f"; known are {', '.join(names)}."
        return f"there is no model {name!r}{meant} Installed: {', '.join(here) or 'none'}"


def _mend(entry: Entry) -> str:
    if entry.made_of is not None:
        return f"remove it and make it again: footfall models export {entry.made_of} --to onnx --int8 --calibration …"
    return "install Footfall again" if entry.kind == "built-in" else "remove it and pull the model again"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def sha256_of(path: Path) -> str:
    """The checksum of a file; raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _mismatch(origin: str, expected: str, found: str, advice: str) -> str:
    return f"{origin}: wrong checksum: expected sha256 {expected}, found {found}; {advice}"
