"""Reads archives through, as a restoring would, and tells of each what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloud.backup.archive import Catalogue, Manifest, Part
from cloud.backup.dump import LEFT_OUT
from cloud.backup.reading import read_part
from cloud.backup.target import Target
from cloud.errors import BackupError
from cloud.store.schema import is_known, tables_of

__all__ = ["Verified", "verify", "wrong_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An archive, and sentences about what is wrong with it: none where it can be restored."""

    archive: str
    troubles: tuple[str, ...]


def verify(target: Target, catalogue: Catalogue, archives: Sequence[str]) -> Iterator[Verified]:
    """Check archives; a part that several of them share is read once."""
    read: dict[Part, str] = {}
    for archive in archives:
        if archive in catalogue.unreadable:
            yield Verified(archive=archive, troubles=(catalogue.unreadable[archive],))
        elif archive in catalogue.incomplete:
            yield Verified(archive=archive, troubles=("it was never completed",))
        else:
            manifest = catalogue.find(archive)
            troubles = (*_unusable(catalogue, manifest), *_of_parts(target, manifest, read))
            yield Verified(archive=archive, troubles=troubles)


def wrong_tables(manifest: Manifest) -> str:
    """What is wrong with the list of an archive's tables, which are those of its schema; empty where nothing is."""
    listed = sorted(parts.table for parts in manifest.tables)
    needed = sorted(tables_of(manifest.schema_revision) - LEFT_OUT)
    lacking = next((name for name in needed if name not in listed), None)
    if lacking is not None:
        return f"it lacks table {lacking} of schema {manifest.schema_revision}"
    strange = next((name for number, name in enumerate(listed) if name not in needed or name in listed[:number]), None)
    return "" if strange is None else f"it has a table {strange} more than schema {manifest.schema_revision}"


def _unusable(catalogue: Catalogue, manifest: Manifest) -> Iterator[str]:
    if manifest.full not in catalogue.archives:
        yield f"its base {manifest.full} is missing or cannot be read"
    if not is_known(manifest.schema_revision):
        yield f"its schema {manifest.schema_revision} is newer than this program"
    elif wrong := wrong_tables(manifest):
        yield wrong


def _of_parts(target: Target, manifest: Manifest, read: dict[Part, str]) -> Iterator[str]:
    for part in manifest.parts:
        if part not in read:
            read[part] = _trouble(target, part)
        if read[part]:
            yield read[part]


def _trouble(target: Target, part: Part) -> str:
    """What is wrong with a part; empty where nothing is."""
    try:
        rows = read_part(target, part).count(b"\n") if part.rows else part.rows
    except BackupError as error:
        return str(error)
    return "" if rows == part.rows else f"{part.path} has {rows} rows instead of {part.rows}"
