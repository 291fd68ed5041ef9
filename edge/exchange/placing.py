"""From parts to items: what waits for UTC, or for its bucket to close, becomes numbered items.

Drafts wait in `part` until their boot can be placed. Tile increments wait in `tile_part` until their bucket is over,
and are then added up; presence turns from milliseconds into tenths of a second there, once.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from edge.anonymity import Moment, Origin, draft
from edge.exchange import boots
from edge.exchange.numbering import Unnumbered, append
from edge.heatmap import to_tenths
from protocol.modes import DISCLOSURE, Mode
from protocol.tiles import MAX_CELLS_PER_ITEM, Layer, Tile

__all__ = ["place_parts", "place_tiles"]

_PARTS_A_TRANSACTION = 2_000


@dataclass(frozen=True, slots=True)
class _TileKey:
    """What tiles must share to be added up; `moment` is that of the bucket's start."""

    origin: Origin
    space: str
    camera: str
    layer: Layer
    tx: int
    ty: int
    moment: Moment


def place_parts(connection: sqlite3.Connection, epoch: str) -> bool:
    """Turn a chunk of waiting drafts whose boot can be placed into items, in the order made; whether more may follow.

    What was made under a configuration that must still wait waits with it, also if its own boot is known.
    """
    known = boots.load(connection)
    rows = connection.execute(
        "SELECT id, boot, mono_ms, venue, config, mode, body FROM part ORDER BY id LIMIT ?", (_PARTS_A_TRANSACTION,)
    ).fetchall()
    placed, ids = [], []
    held: set[str] = set()
    for identity, boot, mono_ms, venue, config, mode, body in rows:
        data = json.loads(body)
        moment = None if config in held else boots.place(known, boot, mono_ms)
        if moment is None and data["type"] == "configuration":
            held.add(config)
        if moment is not None:
            origin = Origin(venue=venue, config=config, mode=Mode(mode))
            placed.append(Unnumbered(body=data, origin=origin, moment=moment))
            ids.append((identity,))
    append(connection, epoch, placed)
    connection.executemany("DELETE FROM part WHERE id = ?", ids)
    return bool(ids) and len(rows) == _PARTS_A_TRANSACTION


def place_tiles(connection: sqlite3.Connection, epoch: str, *, now: datetime | None) -> None:
    """Turn the increments of every bucket over by `now` into tile items; None closes all that can be placed."""
    known = boots.load(connection)
    sums: dict[_TileKey, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    done: list[tuple[int]] = []
    for row in connection.execute(
        "SELECT id, boot, mono_ms, venue, config, mode, space, camera, layer, tx, ty, cells FROM tile_part ORDER BY id"
    ):
        origin = Origin(venue=row[3], config=row[4], mode=Mode(row[5]))
        length = DISCLOSURE[origin.mode].bucket_seconds
        moment = _bucket(boots.place(known, row[1], row[2]), length)
        if moment is None or (now is not None and moment.at is not None and not _over(moment.at, length, now)):
            continue
        key = _TileKey(origin, row[6], row[7], Layer(row[8]), row[9], row[10], moment)
        for cell, value in json.loads(row[11]):
            sums[key][cell] += value
        done.append((row[0],))
    append(connection, epoch, [item for key, cells in sums.items() for item in _tiles(key, cells)])
    connection.executemany("DELETE FROM tile_part WHERE id = ?", done)


def _tiles(key: _TileKey, cells: dict[int, int]) -> Iterable[Unnumbered]:
    values = to_tenths(cells) if key.layer is Layer.PRESENCE else dict(cells)
    rows = sorted((cell, value) for cell, value in values.items() if value)
    for start in range(0, len(rows), MAX_CELLS_PER_ITEM):
        part = rows[start : start + MAX_CELLS_PER_ITEM]
        made = draft(
            Tile,
            at=0.0,
            space=key.space,
            camera=key.camera,
            layer=key.layer,
            tx=key.tx,
            ty=key.ty,
            length_seconds=DISCLOSURE[key.origin.mode].bucket_seconds,
            cells=tuple(cell for cell, _ in part),
            values=tuple(value for _, value in part),
        )
        yield Unnumbered(body=made.body, origin=key.origin, moment=key.moment)


def _bucket(moment: Moment | None, length_seconds: int) -> Moment | None:
    if moment is None or moment.at is None:
        return moment
    start = int(moment.at.timestamp()) // length_seconds * length_seconds
    return Moment(at=datetime.fromtimestamp(start, moment.at.tzinfo))


def _over(start: datetime, length_seconds: int, now: datetime) -> bool:
    return (now - start).total_seconds() >= length_seconds
