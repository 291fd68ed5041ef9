"""A task that only one of several processes may do: whoever holds its lease, until it lapses.

A lease is a row that one statement takes or leaves, which both databases do one process at a time. A holder that dies
is followed by another as soon as its lease has lapsed.
"""

from sqlalchemy import Connection, case, or_, update

from cloud.store.tables import Lease
from cloud.store.upsert import insert_missing, table_of

__all__ = ["LEASE_MS", "hold_lease", "leave_lease"]

LEASE_MS = 60_000
"""Longer than any pause of a holder that is alive; clocks of several machines may differ by less than this."""

_LEASE = table_of(Lease)


def hold_lease(connection: Connection, *, task: str, holder: str, now_ms: int) -> int | None:
    """Take or prolong a lease: since when the task is done without a break, in ms; None while another holds it.

    Until the transaction ends nobody else can take it. A break is longer than one more lease.
    """
    insert_missing(connection, Lease, [{"task": task, "holder": holder, "since_ms": now_ms, "until_ms": now_ms}])
    is_free = or_(_LEASE.c.holder == holder, _LEASE.c.until_ms <= now_ms)
    since_ms = case((_LEASE.c.until_ms < now_ms - LEASE_MS, now_ms), else_=_LEASE.c.since_ms)
    taken = (
        update(_LEASE)
        .where(_LEASE.c.task == task, is_free)
        .values(holder=holder, since_ms=since_ms, until_ms=now_ms + LEASE_MS)
        .returning(_LEASE.c.since_ms)
    )
    return connection.execute(taken).scalar_one_or_none()


def leave_lease(connection: Connection, *, task: str, holder: str, now_ms: int) -> None:
    """Let another take the lease at once, if it is ours."""
    mine = (_LEASE.c.task == task) & (_LEASE.c.holder == holder)
    connection.execute(update(_LEASE).where(mine).values(until_ms=now_ms))
