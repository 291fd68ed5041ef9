"""The cloud has a new store: everything held waits again, a step at a time.

What an older store settled is told by its `settled_ms` alone, since whatever the new one settles is stamped no sooner
than the moment of its coming. So nothing but a mark is written when it comes; steps, each a short transaction, then go
through what is older, oldest first, and let wait again what the new store has not yet passed. Between the steps vision
and uplink go on, and after a crash so do the steps.
"""

import sqlite3

from edge.exchange.schema import State, get_meta, set_meta
from protocol.envelope import GapReason

__all__ = ["STEP_ROWS", "begin", "go_on", "held_back", "is_under_way", "left", "reached_ms", "stamp_ms"]

STEP_ROWS = 1_000
"""So many rows touch a few hundred neighbouring pages, or, however scattered, no more than the log is kept to."""

_NOT_BEFORE = "again.not_before"
_REACHED = "again.reached"

_COLUMNS = "SELECT settled_ms, id, epoch, seq, type, at_ms, state FROM item WHERE state >= ?"

_Held = tuple[int, int, str, int, str, int | None, int]
"""A row: settled_ms, id, epoch, seq, type, UTC in ms, state."""


def begin(connection: sqlite3.Connection, *, age_ms: int) -> None:
    """Mark all that is settled as settled by an older store, and declare expired what is gone.

    Configurations and what is claimed wait again at once: they are few, and items need their configuration.
    """
    (newest,) = connection.execute("SELECT max(settled_ms) FROM item WHERE state >= ?", (State.SETTLED,)).fetchone()
    set_meta(connection, _NOT_BEFORE, str(age_ms if newest is None else max(age_ms, newest + 1)))
    set_meta(connection, _REACHED, "-1 0")
    rows = connection.execute("SELECT id FROM item WHERE state = ?", (State.CLAIMED,)).fetchall()
    rows += connection.execute(
        "SELECT id FROM item WHERE type = 'configuration' AND state IN (?, ?)", (State.SETTLED, State.REJECTED)
    )
    _wait_again(connection, [identity for (identity,) in rows])
    connection.execute("UPDATE epoch SET through = 0")
    connection.execute("UPDATE gap SET settled = 0")
    connection.execute("DELETE FROM gap WHERE reason = ?", (str(GapReason.EXPIRED),))
    connection.execute(
        "INSERT INTO gap (epoch, from_seq, to_seq, reason, start_ms, end_ms, lost)"
        " SELECT epoch, from_seq, to_seq, ?, start_ms, end_ms, counts FROM history WHERE true"
        " ON CONFLICT DO NOTHING",
        (str(GapReason.EXPIRED),),
    )


def is_under_way(connection: sqlite3.Connection) -> bool:
    """Whether there may be something left to go through."""
    return get_meta(connection, _REACHED) is not None


def go_on(connection: sqlite3.Connection) -> int:
    """Take a step; how many rows it went through."""
    if not is_under_way(connection):
        return 0
    rows = held_back(connection, STEP_ROWS)
    if not rows:
        connection.execute("DELETE FROM meta WHERE key = ?", (_REACHED,))
        return 0
    through = dict(connection.execute("SELECT epoch, through FROM epoch").fetchall())
    lacking = [row[1] for row in rows if row[6] != State.QUARANTINED and row[3] > through[row[2]]]
    _wait_again(connection, lacking)
    set_meta(connection, _REACHED, f"{rows[-1][0]} {rows[-1][1]}")
    return len(rows)


def held_back(connection: sqlite3.Connection, limit: int) -> list[_Held]:
    """The next rows to go through."""
    ms, identity = _reached(connection)
    rows: list[_Held] = connection.execute(
        f"{_COLUMNS} AND settled_ms = ? AND id > ? ORDER BY id LIMIT ?", (State.SETTLED, ms, identity, limit)
    ).fetchall()
    rows += connection.execute(
        f"{_COLUMNS} AND settled_ms > ? AND settled_ms < ? ORDER BY settled_ms, id LIMIT ?",
        (State.SETTLED, ms, stamp_ms(connection), limit - len(rows)),
    )
    return rows


def left(connection: sqlite3.Connection) -> int:
    """How many rows there may be left to go through."""
    if not is_under_way(connection):
        return 0
    ms, identity = _reached(connection)
    (count,) = connection.execute(
        "SELECT (SELECT count(*) FROM item WHERE state >= ?1 AND settled_ms = ?2 AND id > ?3)"
        " + (SELECT count(*) FROM item WHERE state >= ?1 AND settled_ms > ?2 AND settled_ms < ?4)",
        (State.SETTLED, ms, identity, stamp_ms(connection)),
    ).fetchone()
    return int(count)


def reached_ms(connection: sqlite3.Connection) -> int | None:
    """What was settled before this has been gone through; None when all has."""
    return _reached(connection)[0] if is_under_way(connection) else None


def stamp_ms(connection: sqlite3.Connection) -> int:
    """The earliest age at which the present store can have settled anything."""
    return int(get_meta(connection, _NOT_BEFORE) or 0)


def _reached(connection: sqlite3.Connection) -> tuple[int, int]:
    ms, identity = (get_meta(connection, _REACHED) or "-1 0").split()
    return int(ms), int(identity)


def _wait_again(connection: sqlite3.Connection, identities: list[int]) -> None:
    """Let these wait as if sent once: the cloud may have them, so they must not merge."""
    connection.executemany(
        "UPDATE item SET state = ?, attempts = 1, retry_ms = 0, settled_ms = NULL WHERE id = ?",
        [(State.WAITING, identity) for identity in identities],
    )
