"""What an acknowledgement settles: rows that wait or are claimed, so many in one transaction at most.

They are found by the small indexes of what waits and what is claimed, so that a wide range over much that was settled
long ago costs nothing. What had its name early may come below `through` and among other ids, on a copy of the exchange;
it is settled once it was sent.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

from edge.exchange.schema import State
from protocol.acks import Ack

__all__ = ["settle_epoch"]

_MOST_WAITING = 2_000
"""So many that wait are settled at a time; the rest, of an old copy of an exchange say, by the next answers."""

_Range = tuple[int, int]
_Named = tuple[int, int]
"""A row: id, seq."""


def settle_epoch(connection: sqlite3.Connection, ack: Ack, *, age_ms: int) -> None:
    """Settle what an answer names of its epoch; `through` rises as far as all is settled that was held before it."""
    epoch = str(ack.epoch)
    before, next_seq = connection.execute("SELECT through, next_seq FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
    through = min(ack.through or 0, next_seq - 1)
    connection.executemany(
        "UPDATE item SET state = ?, settled_ms = ? WHERE epoch = ? AND seq = ? AND state <= ?",
        [(State.REJECTED, age_ms, epoch, seq, State.CLAIMED) for seq in ack.rejected],
    )
    received = [(span.first, span.last) for span in ack.received]
    settled = _claimed(connection, epoch, sorted([(1, max(before, through)), *received]))
    waiting = _waiting(connection, epoch, (before + 1, through), _MOST_WAITING)
    if len(waiting) == _MOST_WAITING:
        through = waiting[-1][1]
    for seqs in received:
        waiting += _waiting(connection, epoch, seqs, _MOST_WAITING - len(waiting))
    connection.executemany(
        "UPDATE item SET state = ?, settled_ms = ? WHERE id = ?",
        [(State.SETTLED, age_ms, identity) for identity, _ in (*settled, *waiting)],
    )
    connection.execute("UPDATE epoch SET through = max(through, ?) WHERE epoch = ?", (through, epoch))
    _settle_gaps(connection, epoch, sorted([(1, max(before, through)), *received]))


def _settle_gaps(connection: sqlite3.Connection, epoch: str, ranges: Sequence[_Range]) -> None:
    """Say no more that seqs will not come of all of which the cloud knows."""
    firsts = [first for first, _ in ranges]
    rows = connection.execute("SELECT from_seq, to_seq FROM gap WHERE epoch = ? AND settled = 0", (epoch,)).fetchall()
    found = [(row, bisect_right(firsts, row[0]) - 1) for row in rows]
    known = [(epoch, *row) for row, index in found if index >= 0 and row[1] <= ranges[index][1]]
    connection.executemany("UPDATE gap SET settled = 1 WHERE epoch = ? AND from_seq = ? AND to_seq = ?", known)


def _claimed(connection: sqlite3.Connection, epoch: str, ranges: Sequence[_Range]) -> list[_Named]:
    """What is claimed in these ranges, sorted by where they begin."""
    firsts = [first for first, _ in ranges]
    rows = connection.execute("SELECT id, seq FROM item WHERE state = ? AND +epoch = ?", (State.CLAIMED, epoch))
    found = [(row, bisect_right(firsts, row[1]) - 1) for row in rows]
    return [row for row, index in found if index >= 0 and row[1] <= ranges[index][1]]


def _waiting(connection: sqlite3.Connection, epoch: str, seqs: _Range, limit: int) -> list[_Named]:
    """The first that wait in a range."""
    one = "SELECT id FROM item WHERE epoch = ? AND seq"
    first = connection.execute(f"{one} >= ? ORDER BY seq LIMIT 1", (epoch, seqs[0])).fetchone()
    last = connection.execute(f"{one} <= ? ORDER BY seq DESC LIMIT 1", (epoch, seqs[1])).fetchone()
    if first is None or last is None:
        return []
    return connection.execute(
        "SELECT id, seq FROM item WHERE state = ? AND id BETWEEN ? AND ? AND +epoch = ? AND +seq BETWEEN ? AND ?"
        " ORDER BY id LIMIT ?",
        (State.WAITING, first[0], last[0], epoch, *seqs, limit),
    ).fetchall()
