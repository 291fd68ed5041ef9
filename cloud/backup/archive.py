"""What an archive is: a manifest, written last, that lists the parts which hold its rows.

Without a manifest there is no archive, whatever else lies in its folder; it begins with the SHA-256 of all that follows
in it, so that it is what was written or is refused. An incremental archive belongs to a full one,
its base, and lists parts of any archive of that base; so each manifest tells all of the database at its moment.
Archives of several databases may lie in one target; one and what was restored from it are the same, unless both go on.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ulid import ULID

from cloud.backup.succession import heirs, named
from cloud.backup.target import Target
from cloud.errors import BackupError
from protocol.wire import format_utc

__all__ = ["MANIFEST", "Catalogue", "Kind", "Manifest", "Part", "TableParts", "read_catalogue"]

MANIFEST = "manifest.json"
FORMAT: Final = 1
_ULID_LENGTH = 26
_PART_PATH = r"^[0-9A-HJKMNP-TV-Z]{26}/[a-z0-9_-]+(\.[a-z0-9]+)*$"
_SEAL = re.compile(rb'\{"sha256":"([0-9a-f]{64})",')
_Count = Annotated[int, Field(ge=0)]


class Kind(StrEnum):
    """Whether an archive stands alone."""

    FULL = "full"
    INCREMENTAL = "incremental"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Part(_Record):
    """A file of rows, or of keys: where it lies in the target, and what must be in it."""

    path: Annotated[str, Field(pattern=_PART_PATH)]
    rows: _Count
    bytes: _Count
    """As it lies there, compressed."""
    sha256: str
    """Of its text."""


class TableParts(_Record):
    """A table's rows, in the order of `columns`."""

    table: str
    columns: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many the table had."""
        return sum(part.rows for part in self.parts)


class Manifest(_Record):
    """One archive: of which database, at which moment, with which schema, and where its rows lie."""

    format: Literal[1] = FORMAT
    id: str
    base: str | None
    made_at: datetime
    schema_revision: str
    store: str
    tables: tuple[TableParts, ...]
    keys: Part | None = None

    @property
    def kind(self) -> Kind:
        """Whether it stands alone."""
        return Kind.INCREMENTAL if self.base else Kind.FULL

    @property
    def full(self) -> str:
        """The full archive that it belongs to, or is."""
        return self.base or self.id

    @property
    def rows(self) -> int:
        """How many there are in all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def parts(self) -> Iterator[Part]:
        """All that must lie in the target for it to be whole."""
        for table in self.tables:
            yield from table.parts
        if self.keys is not None:
            yield self.keys

    def to_json(self) -> bytes:
        """As it lies in the target: a JSON object whose first field is the SHA-256 of the object without it."""
        text = self.model_dump_json().encode()
        return b'{"sha256":"%s",%s' % (hashlib.sha256(text).hexdigest().encode(), text[1:])

    @classmethod
    def read(cls, data: bytes) -> Self:
        """A manifest that lies in a target; raises ValueError, saying what is wrong with it."""
        if _Numbered.of(data).format > FORMAT:
            raise ValueError("it was made by a newer Footfall: use that version, or a later one")
        seal = _SEAL.match(data)
        if seal is None:
            raise ValueError("its manifest is damaged: it does not begin with its SHA-256, as all since 0.1.0 do")
        text = b"{" + data[seal.end() :]
        if hashlib.sha256(text).hexdigest().encode() != seal[1]:
            raise ValueError("its manifest is damaged: it is not what was written")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise ValueError(f"its manifest is damaged: {place}: {error.errors()[0]['msg']}") from None

    @property
    def own_bytes(self) -> int:
        """What it takes in the target beyond what earlier archives hold."""
        return sum(part.bytes for part in self.parts if part.path.startswith(f"{self.id}/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that lies in a target: archives by id, oldest first; manifests that cannot be read, and why; the rest."""

    url: str
    archives: Mapping[str, Manifest] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

    def missing(self, manifest: Manifest) -> Iterator[str]:
        """Sentences about parts that are not there, or not of their size, without reading any."""
        for part in manifest.parts:
            found = self.sizes.get(part.path)
            if found is None:
                yield f"{part.path} is missing"
            elif found != part.bytes:
                yield f"{part.path} is damaged: it has {found} bytes and should have {part.bytes}"

    def is_whole(self, manifest: Manifest) -> bool:
        """Whether all its parts seem to be there."""
        return next(self.missing(manifest), None) is None

    @property
    def none_there(self) -> str:
        """What to say where there is no archive."""
        return f"There is no back-up in {self.url}"

    @property
    def databases(self) -> Mapping[str, str]:
        """What to call the database of each archive."""
        names = named(heirs({archive: manifest.store for archive, manifest in self.archives.items()}))
        return {archive: names[manifest.store] for archive, manifest in sorted(self.archives.items())}

    @property
    def newest(self) -> Mapping[str, Manifest]:
        """The newest archive of each database, oldest first."""
        found = {database: self.archives[archive] for archive, database in self.databases.items()}
        return dict(sorted(found.items(), key=lambda one: one[1].id))

    def find(self, archive: str | None) -> Manifest:
        """An archive, or the newest; raises BackupError, saying what there is.

        Where the newest cannot be read, it is not the one before that is meant; where there are those of several
        databases, none is.
        """
        if archive is not None and archive in self.unreadable:
            raise BackupError(f"Back-up {archive}: {self.unreadable[archive]}")
        damaged = max(self.unreadable, default="")
        if archive is None and damaged > max(self.archives, default=""):
            other = f"; the newest that can be read is {max(self.archives)}: name it" if self.archives else ""
            raise BackupError(f"Back-up {damaged}, which is the newest: {self.unreadable[damaged]}{other}")
        if archive is not None and archive in self.archives:
            return self.archives[archive]
        if not self.archives:
            raise BackupError(self.none_there)
        newest = self.archives[max(self.archives)]
        if archive is not None:
            raise BackupError(f"There is no back-up {archive} in {self.url}; the newest is {newest.id}")
        if len(self.newest) > 1:
            told = "; ".join(
                f"{one.id} of {format_utc(one.made_at)}, {one.rows:,} rows, is the newest of database {database}"
                for database, one in self.newest.items()
            )
            raise BackupError(
                f"In {self.url} lie back-ups of {len(self.newest)} databases: name the one to take: {told}"
            )
        return newest

    def base_for(self, *, store: str, schema_revision: str, now: datetime, full_after: timedelta) -> Manifest | None:
        """The newest archive to build upon, of this very database; None where a full one is due."""
        newest = max(
            (one for one in self.archives.values() if one.store == store), key=lambda one: one.id, default=None
        )
        if newest is None or newest.schema_revision != schema_revision:
            return None
        full = self.archives.get(newest.full)
        is_young = full is not None and timedelta() <= now - full.made_at < full_after
        return newest if is_young and self.is_whole(newest) else None

    def next_id(self, now: datetime) -> str:
        """A ULID that sorts after all that are here, also when the clock went back."""
        known = [ULID.from_str(archive).datetime for archive in (*self.archives, *self.unreadable, *self.incomplete)]
        return str(ULID.from_datetime(max([now, *(moment + timedelta(milliseconds=1) for moment in known)])))


def read_catalogue(target: Target) -> Catalogue:
    """Look through a target; raises BackupError where it cannot be read."""
    sizes = target.sizes()
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path in sizes:
        archive, _, name = path.partition("/")
        if _is_ulid(archive):
            files[archive].add(name)
    archives: dict[str, Manifest] = {}
    unreadable: dict[str, str] = {}
    for archive in sorted(files):
        if MANIFEST in files[archive]:
            try:
                archives[archive] = _read_manifest(target, archive)
            except ValueError as error:
                unreadable[archive] = str(error)
    incomplete = tuple(archive for archive in sorted(files) if MANIFEST not in files[archive])
    return Catalogue(url=target.url, archives=archives, unreadable=unreadable, incomplete=incomplete, sizes=sizes)


def _read_manifest(target: Target, archive: str) -> Manifest:
    """Raises ValueError, saying what is wrong with it."""
    manifest = Manifest.read(target.read(f"{archive}/{MANIFEST}"))
    if manifest.id != archive:
        raise ValueError(f"its manifest is that of archive {manifest.id}")
    return manifest


class _Numbered(_Record):
    """The one thing that every later format will still say."""

    format: int = 0

    @classmethod
    def of(cls, text: bytes) -> Self:
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return cls()


def _is_ulid(text: str) -> bool:
    try:
        return len(text) == _ULID_LENGTH and bool(ULID.from_str(text))
    except ValueError:
        return False
