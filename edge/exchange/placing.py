"""From parts to items: what waits for UTC, or for its bucket to close, becomes numbered items.

Drafts wait in `part` until their boot can be placed. Tile increments wait in `tile_part` until their bucket is over,
and are then added up; presence turns from milliseconds into tenths of a second there, once.

What must wait is given its name at once, in the early epoch of its run. So whichever copy of this file makes an item of
it, the cloud counts it once. A sum of increments has the name of the first, the others are declared merged; increments
of different runs are not added up, for a copy may hold some of the one and none of the other.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from edge.anonymity import Moment, Origin, draft
from edge.exchange import boots
from edge.exchange.numbering import Name, Unnumbered, append, declare_names, take_seqs
from edge.heatmap import to_tenths
from protocol.envelope import GapReason
from protocol.modes import DISCLOSURE, Mode
from protocol.tiles import MAX_CELLS_PER_ITEM, Layer, Tile
from protocol.wire import early_epoch

__all__ = ["name_what_waits", "place_parts", "place_tiles"]

_PARTS_A_TRANSACTION = 2_000

_NAMING = (
    (
        "SELECT id FROM part WHERE seq IS NULL ORDER BY json_extract(body, '$.type'), id",
        "UPDATE part SET epoch = ?, seq = ? WHERE id = ?",
    ),
    ("SELECT id FROM tile_part WHERE seq IS NULL ORDER BY id", "UPDATE tile_part SET epoch = ?, seq = ? WHERE id = ?"),
)
"""What has no name, and how it gets one. One type after the other, so that what is dropped together is one gap."""


@dataclass(frozen=True, slots=True)
class _TileKey:
    """What tiles must share to be added up; `moment` is that of the bucket's start, `epoch` that of their names."""

    epoch: str | None
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
        "SELECT id, boot, mono_ms, venue, config, mode, body, epoch, seq FROM part ORDER BY id LIMIT ?",
        (_PARTS_A_TRANSACTION,),
    ).fetchall()
    placed, ids = [], []
    held: set[str] = set()
    for identity, boot, mono_ms, venue, config, mode, body, *name in rows:
        data = json.loads(body)
        moment = None if config in held else boots.place(known, boot, mono_ms)
        if moment is None and data["type"] == "configuration":
            held.add(config)
        if moment is not None:
            origin = Origin(venue=venue, config=config, mode=Mode(mode))
            placed.append(Unnumbered(body=data, origin=origin, moment=moment, name=_name(*name)))
            ids.append((identity,))
    append(connection, epoch, placed)
    connection.executemany("DELETE FROM part WHERE id = ?", ids)
    return bool(ids) and len(rows) == _PARTS_A_TRANSACTION


def place_tiles(connection: sqlite3.Connection, epoch: str, *, now: datetime | None) -> None:
    """Turn the increments of every bucket over by `now` into tile items; None closes all that can be placed."""
    known = boots.load(connection)
    sums: dict[_TileKey, _Sum] = defaultdict(_Sum)
    done: list[tuple[int]] = []
    for row in connection.execute(
        "SELECT id, boot, mono_ms, venue, config, mode, space, camera, layer, tx, ty, cells, epoch, seq FROM tile_part"
        " ORDER BY id"
    ):
        origin = Origin(venue=row[3], config=row[4], mode=Mode(row[5]))
        length = DISCLOSURE[origin.mode].bucket_seconds
        moment = _bucket(boots.place(known, row[1], row[2]), length)
        if moment is None or (now is not None and moment.at is not None and not _over(moment.at, length, now)):
            continue
        key = _TileKey(row[12], origin, row[6], row[7], Layer(row[8]), row[9], row[10], moment)
        sums[key].add(json.loads(row[11]), _name(*row[12:]))
        done.append((row[0],))
    items = [item for key, sum_ in sums.items() for item in _tiles(key, sum_)]
    append(connection, epoch, items)
    used = {item.name for item in items}
    left = (name for sum_ in sums.values() for name in sum_.names if name not in used)
    declare_names(connection, ((*name, "tile", None) for name in left), GapReason.MERGED)
    connection.executemany("DELETE FROM tile_part WHERE id = ?", done)


def name_what_waits(connection: sqlite3.Connection, epoch: str) -> None:
    """Give what could not be placed at once its name, in the early epoch of this run."""
    early = early_epoch(epoch)
    for nameless, update in _NAMING:
        rows = connection.execute(nameless).fetchall()
        if rows:
            first = take_seqs(connection, early, len(rows))
            connection.executemany(update, [(early, first + index, identity) for index, (identity,) in enumerate(rows)])


class _Sum:
    """Increments of one tile, added up, and the names that they had."""

    def __init__(self) -> None:
        self.cells: dict[int, int] = defaultdict(int)
        self.names: list[Name] = []

    def add(self, cells: Iterable[tuple[int, int]], name: Name | None) -> None:
        for cell, value in cells:
            self.cells[cell] += value
        if name is not None:
            self.names.append(name)


def _tiles(key: _TileKey, sum_: _Sum) -> Iterable[Unnumbered]:
    """The item of a tile, more where it has many cells, none where nothing is left of it once it is rounded."""
    values = to_tenths(sum_.cells) if key.layer is Layer.PRESENCE else dict(sum_.cells)
    rows = sorted((cell, value) for cell, value in values.items() if value)
    names = iter(sum_.names)
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
        yield Unnumbered(body=made.body, origin=key.origin, moment=key.moment, name=next(names, None))


def _name(epoch: str | None, seq: int | None) -> Name | None:
    return None if epoch is None or seq is None else (epoch, seq)


def _bucket(moment: Moment | None, length_seconds: int) -> Moment | None:
    if moment is None or moment.at is None:
        return moment
    start = int(moment.at.timestamp()) // length_seconds * length_seconds
    return Moment(at=datetime.fromtimestamp(start, moment.at.tzinfo))


def _over(start: datetime, length_seconds: int, now: datetime) -> bool:
    return (now - start).total_seconds() >= length_seconds
