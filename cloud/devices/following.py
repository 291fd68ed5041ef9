"""When the program beside the broker last asked who may come: a dead one revokes nothing, and nobody would see it.

It names itself by a header, so that whoever else looks at the list is not taken for it.
It is kept as a lease, which lapses by itself and is in no back-up.
"""

import logging
from datetime import datetime

from sqlalchemy import Connection, Engine, select

from cloud.errors import StoreError
from cloud.store.engine import reading, writing
from cloud.store.lease import LEASE_MS, hold_lease
from cloud.store.moments import to_ms
from cloud.store.tables import Lease
from cloud.store.upsert import table_of

__all__ = ["FOLLOWER_HEADER", "last_asked", "note_asked"]

FOLLOWER_HEADER = "Footfall-Follower"
TASK, HOLDER = "broker-follower", "whoever asks"
NOTE_MS = 10_000
"""Written no oftener than that: it is asked every five seconds."""

_LEASE = table_of(Lease)
_LOG = logging.getLogger(__name__)


def note_asked(engine: Engine, *, now: datetime) -> None:
    """Remember that it asks now; a database that cannot be written is no reason not to answer."""
    now_ms = to_ms(now)
    try:
        with reading(engine) as connection:
            before_ms = last_asked(connection)
        if before_ms is None or abs(now_ms - before_ms) >= NOTE_MS:
            with writing(engine) as connection:
                hold_lease(connection, task=TASK, holder=HOLDER, now_ms=now_ms)
    except StoreError as error:
        _LOG.warning("%s; that the broker's side asked is not noted", error, extra={"action": "follow"})


def last_asked(connection: Connection) -> int | None:
    """When somebody last asked, in ms and to ten seconds; None where nobody ever did."""
    until_ms: int | None = connection.execute(
        select(_LEASE.c.until_ms).where(_LEASE.c.task == TASK)
    ).scalar_one_or_none()
    return None if until_ms is None else until_ms - LEASE_MS
