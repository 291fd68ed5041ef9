"""Tiles of a minute become tiles of 15 minutes once they are two days old: the shortest that any period asks for.

A box in live mode sends fifteen tiles where one in statistics mode sends one. The cells are added up exactly and in the
transaction that takes the short tiles away, so that no heat map changes.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine, RowMapping, Select, delete, select, tuple_

from cloud.errors import CloudError, Damaged, Invalid, PartlyDone
from cloud.ingest.boxes import lock_boxes
from cloud.ingest.tiles import Cells, TileKey, add_cells, decode_cells, told
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
_LOG = logging.getLogger(__name__)
_BUCKET_SECONDS = BUCKET_MS // 1000
_TILE = table_of(Tile)
_KEY = tuple(_TILE.primary_key.columns)
_OF_MAP = ("venue", "space", "layer", "length_seconds")


def add_up_fine_tiles(engine: Engine, *, now: datetime) -> Iterator[int]:
    """Replace tiles shorter than 15 minutes by their sums; the tiles that went, by transaction.

    Those that cannot be added up, since they or their sum are damaged, stay, and PartlyDone names one at the end.
    """
    before_ms = bucket_of(to_ms(now - SETTLED_AFTER))
    left_out: list[CloudError] = []
    for of_map in _maps_with_fine_tiles(engine):
        yield from _add_up_map(engine, of_map, before_ms, left_out)
    if left_out:
        raise PartlyDone(f"{len(left_out)} heat-map tiles could not be added up, such as {left_out[0]}")


def _add_up_map(engine: Engine, of_map: TileKey, before_ms: int, left_out: list[CloudError]) -> Iterator[int]:
    """Some tiles a transaction, and where they cannot be added up together, each alone."""
    tiles = _fine_tiles(of_map, before_ms)
    after: TileKey | None = ()
    while after is not None:
        place = after
        try:
            gone, after = _add_up_some(engine, tiles, place, limit=TILES_AT_ONCE)
        except (Damaged, Invalid):
            gone, after = _add_up_each(engine, tiles, place, left_out)
        if gone:
            yield gone


def _add_up_each(
    engine: Engine, tiles: Select[tuple[object, ...]], after: TileKey, left_out: list[CloudError]
) -> tuple[int, TileKey | None]:
    gone, place = 0, after
    for _ in range(TILES_AT_ONCE):
        try:
            one, following = _add_up_some(engine, tiles, place, limit=1)
        except (Damaged, Invalid) as error:
            _LOG.error("%s; it is left out", error, extra={"action": "upkeep", "job": "compaction"})
            left_out.append(error)
            one, following = 0, _key_after(engine, tiles, place)
        gone += one
        if following is None:
            return gone, None
        place = following
    return gone, place


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


def _fine_tiles(of_map: TileKey, before_ms: int) -> Select[tuple[object, ...]]:
    """The tiles of a heat map to be added up, in the order of their keys."""
    return (
        select(_TILE)
        .where(*(_TILE.c[name] == value for name, value in zip(_OF_MAP, of_map, strict=True)))
        .where(_TILE.c.start_ms < before_ms)
        .order_by(*_KEY)
    )


def _add_up_some(
    engine: Engine, tiles: Select[tuple[object, ...]], after: TileKey, *, limit: int
) -> tuple[int, TileKey | None]:
    """One transaction, under the locks of the boxes whose tiles it takes: how many went, and the last key, if any."""
    query = _behind(tiles, after).limit(limit)
    with reading(engine) as connection:
        boxes = {str(row["box"]) for row in connection.execute(query).mappings()}
    if not boxes:
        return 0, None
    with writing(engine) as connection:
        lock_boxes(connection, {box: set() for box in boxes})
        rows = connection.execute(query.where(_TILE.c.box.in_(boxes))).mappings().all()
        add_cells(connection, _sums(rows))
        keys = [_key_of(row) for row in rows]
        connection.execute(delete(_TILE).where(tuple_(*_KEY).in_(keys)))
    return len(rows), keys[-1] if keys else None


def _key_after(engine: Engine, tiles: Select[tuple[object, ...]], after: TileKey) -> TileKey | None:
    """The key of the next tile, if there is one."""
    with reading(engine) as connection:
        row = connection.execute(_behind(tiles, after).limit(1)).mappings().first()
    return None if row is None else _key_of(row)


def _behind(tiles: Select[tuple[object, ...]], after: TileKey) -> Select[tuple[object, ...]]:
    return tiles.where(tuple_(*_KEY) > tuple_(*after)) if after else tiles


def _key_of(row: RowMapping) -> TileKey:
    return tuple(row[column.name] for column in _KEY)


def _sums(rows: Sequence[RowMapping]) -> dict[TileKey, Cells]:
    """The cells of each tile of 15 minutes; raises Damaged, saying which tile is."""
    sums: defaultdict[TileKey, Cells] = defaultdict(lambda: np.zeros((), dtype=np.int64))
    for row in rows:
        longer = {**row, "length_seconds": _BUCKET_SECONDS, "start_ms": bucket_of(row["start_ms"])}
        key = tuple(longer[column.name] for column in _KEY)
        try:
            sums[key] = sums[key] + decode_cells(row["cells"])
        except Damaged as error:
            raise Damaged(f"{told(_key_of(row))}: {error}") from error
    return dict(sums)
