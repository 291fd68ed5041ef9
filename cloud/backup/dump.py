"""Makes an archive: every row of one moment, in parts; what an earlier archive of the same base holds is only named.

Each table is read whole every time. Nothing marks rows as changed: roll-ups and tiles change in place, items that were
held come in late under the time at which they arrived, and retention deletes; reading finds all of that out. A part is
named again only after it was read back: one that is no longer what was written is written anew.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, Table, select
from sqlmodel import SQLModel

from cloud.backup.archive import MANIFEST, Catalogue, Manifest, Part, TableParts, read_catalogue
from cloud.backup.reading import read_part
from cloud.backup.rows import Piece, compressed, pieces
from cloud.backup.target import Target
from cloud.errors import BackupError
from cloud.store.engine import snapshot
from cloud.store.identity import read_identity
from cloud.store.schema import check_schema, revision_of

__all__ = ["LEFT_OUT", "back_up", "tables_kept"]

LEFT_OUT = frozenset({"lease", "one_time_link", "user_session"})
"""Tables whose rows mean nothing later: which process does what just now, and who has a browser open."""
ROWS_AT_ONCE = 2_000
_LOG = logging.getLogger(__name__)


def back_up(
    engine: Engine, target: Target, *, now: datetime, full_after: timedelta, keys: bytes | None = None
) -> Manifest:
    """Make an archive: an incremental one on a base younger than `full_after`, else a full one.

    `keys` are kept with it as they are. Others may write to the database meanwhile. Raises BackupError where it cannot
    be made, or what was laid is not there at the end.
    """
    check_schema(engine)
    catalogue = read_catalogue(target)
    archive = catalogue.next_id(now)
    with snapshot(engine) as connection:
        store, revision = read_identity(connection), str(revision_of(connection))
        base = catalogue.base_for(store=store, schema_revision=revision, now=now, full_after=full_after)
        shelf = _Shelf(target, archive, known=_parts_by_content(base))
        manifest = Manifest(
            id=archive,
            base=base.full if base else None,
            made_at=now,
            schema_revision=revision,
            store=store,
            tables=tuple(_table_parts(connection, table, shelf) for table in tables_kept()),
            keys=None if keys is None else shelf.lay_keys(keys),
        )
    target.write(f"{archive}/{MANIFEST}", manifest.to_json())
    _check_completed(target, manifest)
    return manifest


def tables_kept() -> list[Table]:
    """The tables that an archive holds, each after those that it refers to."""
    return [table for table in SQLModel.metadata.sorted_tables if table.name not in LEFT_OUT]


def _check_completed(target: Target, manifest: Manifest) -> None:
    """Raise BackupError, and leave no manifest, where parts went before it was there to tell whose they are."""
    missing = next(Catalogue(url=target.url, sizes=target.sizes()).missing(manifest), None)
    if missing is not None:
        target.remove([f"{manifest.id}/{MANIFEST}"])
        raise BackupError(
            f"Back-up {manifest.id} is void: {missing}, though it was there just now. Let all that keep back-ups in "
            f"{target.url} have the right time: by a clock that is days ahead, a back-up under way looks abandoned"
        )


class _Shelf:
    """Where one archive's parts are laid, unless what is known has the same content."""

    def __init__(self, target: Target, archive: str, *, known: Mapping[tuple[str, str], Part]) -> None:
        self._target = target
        self._archive = archive
        self._known = known

    def lay(self, table: str, number: int, piece: Piece) -> Part:
        sha256 = piece.sha256
        known = self._known.get((table, sha256))
        if known is not None and self._is_sound(known):
            return known
        return self._write(f"{table}-{number:06d}.jsonl.gz", compressed(piece.text), rows=piece.rows, sha256=sha256)

    def lay_keys(self, text: bytes) -> Part:
        piece = Piece(text=text, rows=0)
        return self._write("keys.tar.gz", compressed(text), rows=0, sha256=piece.sha256)

    def _is_sound(self, part: Part) -> bool:
        try:
            read_part(self._target, part)
        except BackupError as error:
            _LOG.warning("%s; it is written anew", error, extra={"action": "backup", "part": part.path})
            return False
        return True

    def _write(self, name: str, data: bytes, *, rows: int, sha256: str) -> Part:
        path = f"{self._archive}/{name}"
        self._target.write(path, data)
        return Part(path=path, rows=rows, bytes=len(data), sha256=sha256)


def _table_parts(connection: Connection, table: Table, shelf: _Shelf) -> TableParts:
    found = pieces(_rows(connection, table))
    parts = tuple(shelf.lay(table.name, number, piece) for number, piece in enumerate(found, 1))
    return TableParts(table=table.name, columns=tuple(table.columns.keys()), parts=parts)


def _rows(connection: Connection, table: Table) -> Iterator[tuple[object, ...]]:
    """All rows in the order of the key, some at a time."""
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
        yield tuple(row)


def _parts_by_content(base: Manifest | None) -> dict[tuple[str, str], Part]:
    tables = base.tables if base else ()
    return {(one.table, part.sha256): part for one in tables for part in one.parts}
