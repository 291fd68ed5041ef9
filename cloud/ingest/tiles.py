"""Adding heat-map tiles up exactly: each increment at its own length, and again into its hour and its day in UTC.

A stored tile is every cell as little-endian int32, zlib-compressed. Tiles of one box are read and written under that
box's lock, so read-modify-write loses nothing. Knows tiles and their table, nothing of receipts.
"""

import logging
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, tuple_

from cloud.errors import Damaged, Invalid
from cloud.store import tables
from cloud.store.upsert import Row, replace, table_of
from protocol.tiles import CELLS_PER_TILE, DIRECTIONS, Layer, Tile

__all__ = ["Cells", "PlacedTile", "TileKey", "add_cells", "decode_cells", "encode_cells", "merge_tiles", "told"]

LEVELS_SECONDS = (3_600, 86_400)
_MAX_CELL = 2**31 - 1
_KEYS_PER_QUERY = 200
_COMPRESSION = 1
_SIZES = frozenset({CELLS_PER_TILE, CELLS_PER_TILE * DIRECTIONS})
_TABLE = table_of(tables.Tile)
_LOG = logging.getLogger(__name__)
_KEY_COLUMNS = tuple(column for column in _TABLE.c if column.primary_key)
_KEY_NAMES = tuple(column.name for column in _KEY_COLUMNS)

Cells = NDArray[np.int64]
"""Every cell of a tile: shape (1024,), or (8192,) for flow."""

TileKey = tuple[str | int, ...]
"""A stored tile's primary key, its columns in the order of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedTile:
    """A tile increment of a box, and when its bucket starts."""

    box: str
    at_ms: int
    tile: Tile


def merge_tiles(connection: Connection, placed: Iterable[PlacedTile]) -> None:
    """Add increments to the stored tiles; raises Invalid when a cell would not fit.

    A stored tile that is damaged begins anew with its increment, for it is no fault of what came.
    """
    add_cells(connection, _sums(placed), may_begin_anew=True)


def add_cells(connection: Connection, added: Mapping[TileKey, Cells], *, may_begin_anew: bool = False) -> None:
    """Add cells to the stored tiles of these keys; raises Invalid when one would not fit.

    A stored tile that is damaged raises Damaged, or, where it may, is told in the log and begins anew.
    """
    keys = sorted(added)
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        chunk = keys[start : start + _KEYS_PER_QUERY]
        stored = _stored(connection, chunk)
        rows = [_row(key, added[key], stored.get(key), may_begin_anew=may_begin_anew) for key in chunk]
        replace(connection, tables.Tile, rows)


def decode_cells(blob: bytes, *, sizes: Collection[int] = _SIZES) -> NDArray[np.int32]:
    """Every cell of a stored tile: shape (1024,), or (8192,) for flow; raises Damaged."""
    try:
        cells: NDArray[np.int32] = np.frombuffer(zlib.decompress(blob), dtype="<i4")
    except (ValueError, zlib.error) as error:
        raise Damaged(f"a stored heat-map tile is damaged: {error}") from error
    if cells.size not in sizes:
        raise Damaged(f"a stored heat-map tile is damaged: it has {cells.size} cells")
    return cells


def encode_cells(cells: Cells) -> bytes:
    """Cells as they are stored."""
    return zlib.compress(cells.astype("<i4").tobytes(), _COMPRESSION)


def told(key: TileKey) -> str:
    """A stored tile's key in words."""
    return ", ".join(f"{name} {part}" for name, part in zip(_KEY_NAMES, key, strict=True))


def _sums(placed: Iterable[PlacedTile]) -> dict[TileKey, Cells]:
    """All increments of equal keys added up, at every level."""
    sums: dict[TileKey, Cells] = {}
    for one in placed:
        tile = one.tile
        where, values = np.asarray(tile.cells), np.asarray(tile.values, dtype=np.int64)
        for length_seconds, start_ms in _levels(one):
            place: TileKey = (one.box, tile.camera, tile.tx, tile.ty)
            key = (tile.venue, tile.space, str(tile.layer), length_seconds, start_ms, *place)
            cells = sums.get(key)
            if cells is None:
                cells = sums[key] = np.zeros(_cell_count(tile.layer), dtype=np.int64)
            cells[where] += values
    return sums


def _levels(one: PlacedTile) -> Iterator[tuple[int, int]]:
    """The lengths and starts of the tiles that an increment belongs to."""
    own = one.tile.length_seconds
    yield own, one.at_ms
    for length_seconds in LEVELS_SECONDS:
        if own < length_seconds:
            yield length_seconds, one.at_ms - one.at_ms % (length_seconds * 1000)


def _cell_count(layer: Layer) -> int:
    return CELLS_PER_TILE if layer in {Layer.PRESENCE, Layer.ENTRIES} else CELLS_PER_TILE * DIRECTIONS


def _stored(connection: Connection, keys: Sequence[TileKey]) -> dict[TileKey, bytes]:
    query = select(*_KEY_COLUMNS, _TABLE.c.cells).where(tuple_(*_KEY_COLUMNS).in_(keys))
    return {tuple(row[:-1]): row[-1] for row in connection.execute(query)}


def _row(key: TileKey, cells: Cells, stored: bytes | None, *, may_begin_anew: bool) -> Row:
    total = cells
    try:
        total = cells if stored is None else cells + decode_cells(stored, sizes={cells.size})
    except Damaged as error:
        if not may_begin_anew:
            raise Damaged(f"{told(key)}: {error}") from error
        _LOG.error("%s: %s; it begins anew with what came", told(key), error, extra={"action": "commit"})
    if total.max(initial=0) > _MAX_CELL:
        raise Invalid(f"A heat-map cell would pass {_MAX_CELL}: {told(key)}")
    return {**dict(zip(_KEY_NAMES, key, strict=True)), "cells": encode_cells(total)}
