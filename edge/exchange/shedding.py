"""Making room: what is settled goes first, then equal things merge, then the least valuable is dropped and declared.

What still waits for UTC or for its bucket to close never merges, as nobody can say yet which minutes share a bucket.
Merging touches only rows of this run that were never claimed, so the cloud cannot have them; it might have those of
an earlier run, if this exchange is an older copy that was put back. The sum takes a new seq and is sent together with
the declaration that the old ones are `merged`: were it to go with the disk in between, an older copy would still have
them. Dropping declares `dropped`. Visits and certificates never merge, and go last; configurations never go.
What was settled and is gone is remembered by its seqs alone, and so is what was merged between it, so that weeks of
both are one line.
Rows are deleted before anything is written in their place, so that a file which may not grow has room for it.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from edge.anonymity import Moment, Origin
from edge.clock import to_utc
from edge.exchange import again
from edge.exchange.numbering import (
    NamedSpan,
    Span,
    Unnumbered,
    append,
    declare_names,
    declare_spans,
    named_spans,
    read_spans,
)
from edge.exchange.schema import State, get_meta, set_meta
from edge.exchange.summing import SumKey, sum_bodies, sum_key
from protocol.catalogue import ITEM_TYPES
from protocol.envelope import GapReason
from protocol.modes import Mode
from protocol.wire import early_epoch

__all__ = ["drop_oldest", "drop_stretch", "merge_equal", "purge_settled"]

_CHUNK = 500
_STRETCH = 4_000
_EVER = 2**62
_MOST_MERGED = 100
"""So many spans of seqs one sum stands for at most: their declaration must fit into its envelope."""
_LOOKED = "merge.looked"
_OPEN_BUCKETS = 2
"""A bucket's last rows come when the next one has begun."""
_DROP_ORDER = (
    ("tile",),
    tuple(sorted(ITEM_TYPES.keys() - {"tile", "visit", "camera-certificate", "configuration"})),
    ("visit", "camera-certificate"),
)


_NEIGHBOURS = (
    (
        (
            "SELECT from_seq, to_seq, start_ms, end_ms, counts FROM history WHERE epoch = ?1 AND from_seq BETWEEN"
            " coalesce((SELECT max(from_seq) FROM history WHERE epoch = ?1 AND from_seq < ?2), ?2) AND ?3"
        ),
        "DELETE FROM history WHERE epoch = ? AND from_seq = ? AND to_seq = ?",
    ),
    (
        (
            "SELECT from_seq, to_seq, start_ms, end_ms, '{}' FROM gap"
            " WHERE epoch = ?1 AND settled = 1 AND reason = 'merged'"
            " AND from_seq IN ((SELECT max(from_seq) FROM gap WHERE epoch = ?1 AND from_seq < ?2), ?3)"
        ),
        "DELETE FROM gap WHERE epoch = ? AND from_seq = ? AND to_seq = ? AND settled = 1 AND reason = 'merged'",
    ),
)
"""How to find what may border on a span, with what was lost in it, and how to forget it in favour of the span."""

_Named = tuple[int, str, int, str, int | None]
"""A row to drop: id, epoch, seq, type, UTC in ms."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An unclaimed item that might merge."""

    identity: int
    epoch: str
    seq: int
    type: str
    origin: Origin
    at_ms: int
    body: str
    instead_of: str | None


def purge_settled(connection: sqlite3.Connection, *, settled_before_ms: int | None) -> int:
    """Delete a chunk of settled items, oldest first, leaving their ranges and counts; how many went.

    `settled_before_ms` (the exchange's age) spares newer ones; None spares none. A configuration stays while any
    item made under it does, and so does what a new store may lack.
    """
    bounds = (settled_before_ms, again.reached_ms(connection))
    rows = connection.execute(
        "SELECT id, epoch, seq, type, at_ms FROM item WHERE state >= ? AND settled_ms < ?"
        " AND NOT (type = 'configuration' AND EXISTS"
        "   (SELECT 1 FROM item AS other WHERE other.config = item.config AND other.type <> 'configuration'))"
        " ORDER BY settled_ms LIMIT ?",
        (State.SETTLED, min((bound for bound in bounds if bound is not None), default=_EVER), _CHUNK),
    ).fetchall()
    _delete_and_remember(connection, rows)
    return len(rows)


def merge_equal(connection: sqlite3.Connection, epoch: str) -> int:
    """Merge equal tiles and minute reports of one bucket, never claimed; how many rows that saved.

    Looks at one stretch after another, and again only at what more may still come beside, so that a large exchange is
    not read through for each chunk; what is merged stands at the end, and is looked at again beside what came in later.
    """
    saved, is_full = 0, True
    while is_full and not saved:
        rows = _next_stretch(connection, epoch)
        is_full = len(rows) == _STRETCH
        groups: dict[tuple[Origin, int, SumKey], list[_Row]] = defaultdict(list)
        for row in rows:
            summed = sum_key(row.type, row.at_ms, row.body, row.origin.mode)
            if summed is not None:
                groups[row.origin, *summed].append(row)
        for (_, bucket_ms, _), equal in groups.items():
            saved += len(equal) > 1 and _merge(connection, epoch, equal, bucket_ms=bucket_ms)
        first_of_bucket: dict[int, int] = {}
        for (_, bucket_ms, _), (first, *_) in groups.items():
            first_of_bucket[bucket_ms] = min(first.identity, first_of_bucket.get(bucket_ms, first.identity))
        _note_looked(connection, rows, first_of_bucket)
    return saved


def drop_oldest(connection: sqlite3.Connection) -> int:
    """Drop and declare a chunk of the least valuable unsent items or waiting parts; how many went."""
    for kinds in _DROP_ORDER:
        rows = sorted(row for kind in kinds for row in _oldest(connection, kind))[:_CHUNK]
        if rows:
            return _drop(connection, rows)
        if dropped := _drop_parts(connection, kinds):
            return dropped
    return 0


def drop_stretch(connection: sqlite3.Connection) -> int:
    """Drop and declare the oldest unsent items, else waiting parts, whatever they are worth; how many went.

    Neighbours free whole pages and need a line of declaration. It is for when there is no room to declare many holes.
    Last goes what a new store of the cloud may lack.
    """
    rows: list[_Named] = connection.execute(
        "SELECT id, epoch, seq, type, at_ms FROM item WHERE state = ? AND type <> 'configuration' ORDER BY id LIMIT ?",
        (State.WAITING, _CHUNK),
    ).fetchall()
    if rows:
        return _drop(connection, rows)
    parts = (dropped for kinds in _DROP_ORDER if (dropped := _drop_parts(connection, kinds)))
    return next(parts, 0) or _let_expire(connection)


def _let_expire(connection: sqlite3.Connection) -> int:
    """Delete and declare what a new store may lack and does not wait again yet; how many went."""
    if not again.is_under_way(connection):
        return 0
    rows = [(row[1], row[2], row[3], row[4], row[5]) for row in again.held_back(connection, _CHUNK)]
    merged = _delete_and_remember(connection, rows)
    declare_names(connection, (row[1:] for row in rows), GapReason.EXPIRED)
    declare_spans(connection, merged, GapReason.EXPIRED)
    return len(rows)


def _delete_and_remember(connection: sqlite3.Connection, rows: list[_Named]) -> list[NamedSpan]:
    """Delete settled items, and remember them; what they were the sums of, which counts for nothing beside them."""
    merged = [(epoch, replace(span, counts=Counter())) for epoch, span in _delete(connection, rows)]
    for epoch, span in (*named_spans(row[1:] for row in rows), *merged):
        _remember(connection, epoch, span)
    return merged


def _drop(connection: sqlite3.Connection, rows: list[_Named]) -> int:
    """Drop and declare items; a sum is one, and what it stood for was merged."""
    merged = _delete(connection, rows)
    declare_names(connection, (row[1:] for row in rows), GapReason.DROPPED)
    declare_spans(connection, merged, GapReason.MERGED)
    return len(rows)


def _delete(connection: sqlite3.Connection, rows: list[_Named]) -> list[NamedSpan]:
    """Delete items; what they were the sums of."""
    ids = [row[0] for row in rows]
    sums = connection.execute(
        "SELECT instead_of FROM item WHERE id IN (SELECT value FROM json_each(?)) AND instead_of IS NOT NULL",
        (json.dumps(ids),),
    ).fetchall()
    connection.executemany("DELETE FROM item WHERE id = ?", [(identity,) for identity in ids])
    return [named for (stored,) in sums for named in read_spans(stored)]


def _drop_parts(connection: sqlite3.Connection, kinds: tuple[str, ...]) -> int:
    """Drop a chunk of the oldest tile increments, or drafts of these types, that wait to be placed."""
    if kinds == ("tile",):
        parts = connection.execute(
            "SELECT id, epoch, seq, 'tile', NULL FROM tile_part ORDER BY id LIMIT ?", (_CHUNK,)
        ).fetchall()
        connection.executemany("DELETE FROM tile_part WHERE id = ?", [(part[0],) for part in parts])
    else:
        parts = connection.execute(
            "SELECT id, epoch, seq, json_extract(body, '$.type') AS type, NULL FROM part"
            " WHERE type IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
            (json.dumps(kinds), _CHUNK),
        ).fetchall()
        connection.executemany("DELETE FROM part WHERE id = ?", [(part[0],) for part in parts])
    declare_names(connection, (part[1:] for part in parts), GapReason.DROPPED)
    return len(parts)


def _oldest(connection: sqlite3.Connection, kind: str) -> list[_Named]:
    return connection.execute(
        "SELECT id, epoch, seq, type, at_ms FROM item WHERE state = ? AND type = ? ORDER BY id LIMIT ?",
        (State.WAITING, kind, _CHUNK),
    ).fetchall()


def _merge(connection: sqlite3.Connection, epoch: str, rows: list[_Row], *, bucket_ms: int) -> int:
    rows = sorted(rows, key=lambda row: (row.at_ms, row.identity))
    body = sum_bodies(rows[0].type, [json.loads(row.body) for row in rows])
    merged = _stood_for(rows)
    if body is None or len(merged) > _MOST_MERGED:
        return 0
    moment = Moment(at=to_utc(bucket_ms))
    connection.executemany("DELETE FROM item WHERE id = ?", [(row.identity,) for row in rows])
    append(connection, epoch, [Unnumbered(body=body, origin=rows[0].origin, moment=moment, instead_of=merged)])
    return len(rows) - 1


def _stood_for(rows: list[_Row]) -> list[NamedSpan]:
    """What a sum of these rows stands for; those that are sums themselves have no counts, as nobody else has them."""
    plain, sums = (
        named_spans((row.epoch, row.seq, row.type, row.at_ms) for row in rows if (row.instead_of is not None) is is_sum)
        for is_sum in (False, True)
    )
    parts = [named for row in rows for named in read_spans(row.instead_of)]
    return [*plain, *((epoch, replace(span, counts=Counter())) for epoch, span in sums), *parts]


def _next_stretch(connection: sqlite3.Connection, epoch: str) -> list[_Row]:
    """The next items of this run that might merge."""
    looked = int(get_meta(connection, _LOOKED) or 0)
    epochs = (epoch, early_epoch(epoch))
    own = [
        connection.execute("SELECT id FROM item WHERE epoch = ? ORDER BY seq LIMIT 1", (one,)).fetchone()
        for one in epochs
    ]
    first = min((int(row[0]) for row in own if row is not None), default=_EVER)
    rows = connection.execute(
        "SELECT id, epoch, seq, type, venue, config, mode, at_ms, body, instead_of FROM item"
        " WHERE state = ? AND id > ? AND attempts = 0 AND at_ms IS NOT NULL"
        " AND type IN ('tile', 'occupancy', 'crossing') AND epoch IN (?, ?) ORDER BY id LIMIT ?",
        (State.WAITING, max(looked, first - 1), *epochs, _STRETCH),
    ).fetchall()
    return [
        _Row(row[0], row[1], row[2], row[3], Origin(venue=row[4], config=row[5], mode=Mode(row[6])), *row[7:10])
        for row in rows
    ]


def _note_looked(connection: sqlite3.Connection, rows: list[_Row], first_of_bucket: dict[int, int]) -> None:
    """Note how far nothing more can merge: before the two newest buckets, to which rows are still added.

    A full stretch of those alone is passed over all the same. Where the newest rows went, their ids are given again.
    """
    if not rows:
        return
    newest = sorted(first_of_bucket)[-_OPEN_BUCKETS:]
    looked = min((first_of_bucket[bucket_ms] - 1 for bucket_ms in newest), default=rows[-1].identity)
    if looked < rows[0].identity and len(rows) == _STRETCH:
        looked = rows[-1].identity
    last = connection.execute("SELECT max(id) FROM item").fetchone()[0] or 0
    set_meta(connection, _LOOKED, str(looked if last >= rows[-1].identity else 0))


def _remember(connection: sqlite3.Connection, epoch: str, gone: Span) -> None:
    """Keep a span as gone, together with its neighbours that are, and with what is kept of it already."""
    span = replace(gone, counts=gone.counts.copy())
    while _take_neighbours(connection, epoch, span):
        continue
    connection.execute(
        "INSERT INTO history (epoch, from_seq, to_seq, start_ms, end_ms, counts) VALUES (?, ?, ?, ?, ?, ?)",
        (epoch, *span.columns()),
    )


def _take_neighbours(connection: sqlite3.Connection, epoch: str, span: Span) -> bool:
    """Let a span grow by what is gone beside it, and by what was merged there and need not be said any more."""
    grown = False
    for find, forget in _NEIGHBOURS:
        for neighbour in connection.execute(find, (epoch, span.first, span.last + 1)).fetchall():
            if span.touches(other := Span.of(*neighbour)):
                span.take(other)
                connection.execute(forget, (epoch, *neighbour[:2]))
                grown = True
    return grown
