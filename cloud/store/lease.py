"""A task that only one of several processes may do: whoever holds its lease, until it lapses.

A lease is a row that one statement takes or leaves, which both databases do one process at a time. A holder that dies
is followed by another as soon as its lease has lapsed. One that ends later than any that could be taken now was taken
under a clock that ran ahead, and has lapsed too.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Engine, case, or_, update

from cloud.errors import StoreError
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.tables import Lease
from cloud.store.upsert import insert_missing, table_of

__all__ = ["LEASE_MS", "Leaseholder", "hold_lease", "leave_lease"]

LEASE_MS = 60_000
"""Longer than any pause of a holder that is alive; clocks of several machines may differ by less than this."""

_LEASE = table_of(Lease)
_LOG = logging.getLogger(__name__)


class Leaseholder:
    """One process that would do a task."""

    def __init__(self, engine: Engine, *, task: str, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._task = task
        self._clock = clock
        self._holder = secrets.token_hex(8)

    def hold(self) -> int | None:
        """Take or prolong the lease, as `hold_lease` does."""
        with writing(self._engine) as connection:
            return self.hold_within(connection)

    def hold_within(self, connection: Connection) -> int | None:
        """The same in a transaction of the caller's, until whose end nobody else can take it."""
        return hold_lease(connection, task=self._task, holder=self._holder, now_ms=to_ms(self._clock()))

    def leave(self) -> None:
        """Let another take over at once; where the database fails, a minute later."""
        try:
            with writing(self._engine) as connection:
                leave_lease(connection, task=self._task, holder=self._holder, now_ms=to_ms(self._clock()))
        except StoreError as error:
            _LOG.warning("%s; others take over in a minute", error, extra={"action": self._task})


def hold_lease(connection: Connection, *, task: str, holder: str, now_ms: int) -> int | None:
    """Take or prolong a lease: since when the task is done without a break, in ms; None while another holds it.

    Until the transaction ends nobody else can take it. A break is longer than one more lease.
    """
    insert_missing(connection, Lease, [{"task": task, "holder": holder, "since_ms": now_ms, "until_ms": now_ms}])
    is_impossible = _LEASE.c.until_ms > now_ms + 2 * LEASE_MS
    is_free = or_(_LEASE.c.holder == holder, _LEASE.c.until_ms <= now_ms, is_impossible)
    is_anew = or_(_LEASE.c.until_ms < now_ms - LEASE_MS, is_impossible)
    since_ms = case((is_anew, now_ms), else_=_LEASE.c.since_ms)
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
