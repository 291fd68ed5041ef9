"""Tiles of a minute become tiles of 15 minutes once they are two days old: the shortest that any period asks for.

A box in live mode sends fifteen tiles where one in statistics mode sends one. The cells are added up exactly and in the
transaction that takes the short tiles away, so that no heat map changes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine, RowMapping, delete, select, tuple_

from cloud.ingest.boxes import lock_boxes
from cloud.ingest.tiles import Cells, TileKey, add_cells, decode_cells
from cloud.store.distinct import distinct_values
from cloud.store.engine import reading, writing
from cloud.store.metrics import BUCKET_MS, bucket_of
from cloud.store.moments import to_ms
from cloud.store.tables import Tile
from cloud.store.upsert import table_of

__all__ = ["add_up_fine_tiles"]

SETTLED_AFTER = timedelta(days=2)
"""By then nearly all of a bucket's tiles have come; those that come later are added up a day later."""
TILES_AT_ONCE = 500
_BUCKET_SECONDS = BUCKET_MS // 1000
_TILE = table_of(Tile)
_KEY = tuple(_TILE.primary_key.columns)
_OF_MAP = ("venue", "space", "layer", "length_seconds")


def add_up_fine_tiles(engine: Engine, *, now: datetime) -> Iterator[int]:
    """Replace tiles shorter than 15 minutes by their sums; the tiles that went, by transaction."""
    before_ms = bucket_of(to_ms(now - SETTLED_AFTER))
    for of_map in _maps_with_fine_tiles(engine):
        while gone := _add_up_some(engine, of_map, before_ms):
            yield gone


def _maps_with_fine_tiles(engine: Engine) -> Sequence[TileKey]:
    """Venue, space, layer and length of every heat map that has tiles shorter than a bucket."""
    with reading(engine) as connection:
        return [found for found in _prefixes(connection, {}) if int(found[-1]) < _BUCKET_SECONDS]


def _prefixes(connection: Connection, fixed: dict[str, str | int]) -> Iterator[TileKey]:
    if len(fixed) == len(_OF_MAP):
        yield tuple(fixed.values())
        return
    column = _OF_MAP[len(fixed)]
    for value in distinct_values(connection, Tile, column, **fixed):
        yield from _prefixes(connection, {**fixed, column: value})


def _add_up_some(engine: Engine, of_map: TileKey, before_ms: int) -> int:
    """One transaction's work, under the locks of the boxes whose tiles it takes."""
    query = (
        select(_TILE)
        .where(*(_TILE.c[name] == value for name, value in zip(_OF_MAP, of_map, strict=True)))
        .where(_TILE.c.start_ms < before_ms)
        .order_by(*_KEY)
        .limit(TILES_AT_ONCE)
    )
    with reading(engine) as connection:
        boxes = {str(row["box"]) for row in connection.execute(query).mappings()}
    if not boxes:
        return 0
    with writing(engine) as connection:
        lock_boxes(connection, {box: set() for box in boxes})
        rows = connection.execute(query.where(_TILE.c.box.in_(boxes))).mappings().all()
        add_cells(connection, _sums(rows))
        keys = [tuple(row[column.name] for column in _KEY) for row in rows]
        connection.execute(delete(_TILE).where(tuple_(*_KEY).in_(keys)))
    return len(rows)


def _sums(rows: Sequence[RowMapping]) -> dict[TileKey, Cells]:
    """The cells of each tile of 15 minutes."""
    sums: defaultdict[TileKey, Cells] = defaultdict(lambda: np.zeros((), dtype=np.int64))
    for row in rows:
        longer = {**row, "length_seconds": _BUCKET_SECONDS, "start_ms": bucket_of(row["start_ms"])}
        key = tuple(longer[column.name] for column in _KEY)
        sums[key] = sums[key] + decode_cells(row["cells"])
    return dict(sums)
