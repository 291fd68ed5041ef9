"""What acks have settled, as ranges of seqs: said back to the cloud, so that one that was restored finds out.

An epoch has its `through`; the ranges beyond it stand under a key of their own, with the store whose acks they are of,
so that a new store makes them void. They only grow, also when an ack names fewer: that is how a restored cloud speaks.
"""

import json
import sqlite3
from collections.abc import Iterable

from edge.exchange.schema import get_meta, set_meta
from protocol.acks import Ack

__all__ = ["epochs", "note", "of_epoch"]

_KEY = "settled."

_Range = tuple[int, int]
"""First and last seq, both included."""

_EPOCHS = """
WITH RECURSIVE held (epoch) AS (
    SELECT min(epoch) FROM item
    UNION ALL
    SELECT (SELECT min(epoch) FROM item WHERE epoch > held.epoch) FROM held WHERE held.epoch IS NOT NULL
)
SELECT epoch.epoch FROM held JOIN epoch ON epoch.epoch = held.epoch
    WHERE EXISTS (SELECT 1 FROM item WHERE item.epoch = held.epoch AND item.seq <= epoch.through)
       OR EXISTS (SELECT 1 FROM meta WHERE meta.key = ? || held.epoch)
    ORDER BY ordinal DESC
"""
"""It leaps from epoch to epoch along the items' index, and never reads all that is held."""


def note(connection: sqlite3.Connection, ack: Ack) -> None:
    """Keep what an ack that was taken settles beyond its epoch's `through`."""
    key = f"{_KEY}{ack.epoch}"
    before = _beyond(connection, key, ack.store)
    through, next_seq = connection.execute(
        "SELECT through, next_seq FROM epoch WHERE epoch = ?", (ack.epoch,)
    ).fetchone()
    acked = [*((span.first, span.last) for span in ack.received), *((seq, seq) for seq in ack.rejected)]
    now = _joined([*before, *acked], above=through, below=next_seq)
    if not now:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    elif now != before:
        set_meta(connection, key, json.dumps({"store": ack.store, "ranges": now}))


def of_epoch(connection: sqlite3.Connection, epoch: str, *, limit: int) -> list[_Range]:
    """The lowest ranges of an epoch that acks of the present store have settled."""
    row = connection.execute("SELECT through, next_seq FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
    if row is None:
        return []
    through, next_seq = row
    beyond = _beyond(connection, f"{_KEY}{epoch}", get_meta(connection, "store"))
    return _joined([*([(1, through)] if through else []), *beyond], above=0, below=next_seq)[:limit]


def epochs(connection: sqlite3.Connection) -> list[str]:
    """Epochs of which something is settled and still held, the newest first."""
    return [str(epoch) for (epoch,) in connection.execute(_EPOCHS, (_KEY,))]


def _beyond(connection: sqlite3.Connection, key: str, store: str | None) -> list[_Range]:
    kept = get_meta(connection, key)
    known = {} if kept is None else json.loads(kept)
    return [(first, last) for first, last in known["ranges"]] if known.get("store") == store and known else []


def _joined(ranges: Iterable[_Range], *, above: int, below: int) -> list[_Range]:
    """What lies between the two, in order, as ranges that never touch."""
    found: list[_Range] = []
    for first, last in sorted((max(first, above + 1), min(last, below - 1)) for first, last in ranges):
        if first > last:
            continue
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
