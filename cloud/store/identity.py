"""Which database this is: a ULID made with it, and made anew when it turns out to have been restored.

A new ULID always sorts after the one it follows, also when the clock went back, because boxes ignore older stores.
So a box that saw a store which was made while the cloud's clock ran ahead is believed, whatever the clock says now.
Its last characters stay, and tell to which database it belongs, however often that one was restored.
A renewal makes every box send again all that it holds, so a box's word renews an identity only once it is an hour old;
until then the box keeps what it holds.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update
from ulid import ULID

from cloud.store.moments import to_ms
from cloud.store.tables import StoreIdentity
from cloud.store.upsert import table_of

__all__ = ["create_identity", "is_ahead", "lineage_of", "read_identity", "renew_identity", "replace_identity"]

_STORE = table_of(StoreIdentity)
CLOCK_MAY_HAVE_BEEN_AHEAD = timedelta(days=100 * 365)
"""Clocks that lost their time say 2036, 2038, 2099 or 2106. Much later than that is nothing that can be followed."""
RENEWAL_PAUSE = timedelta(hours=1)
LINEAGE_LENGTH = 10
"""Fifty of a ULID's eighty random bits; the rest tells databases apart that were restored from one back-up at once."""
_MILLISECOND = timedelta(milliseconds=1)


def create_identity(connection: Connection, now: datetime) -> str:
    """The store's ULID, made now if there is none yet."""
    found = connection.execute(select(_STORE.c.store)).scalar_one_or_none()
    if found is not None:
        return str(found)
    store = str(ULID.from_datetime(now))
    connection.execute(insert(_STORE).values(id=1, store=store, created_ms=to_ms(now)))
    return store


def read_identity(connection: Connection) -> str:
    """The store's ULID."""
    return str(connection.execute(select(_STORE.c.store)).scalar_one())


def lineage_of(store: str) -> str:
    """What a database's identity has in common with those of all that were restored from its back-ups."""
    return store[-LINEAGE_LENGTH:]


def is_ahead(*, seen_store: str, seen_position: int, store: str, position: int, now: datetime) -> bool:
    """Whether a box has seen more than this database holds, so that the database must have been restored.

    That is a higher position in this store, or a store made after this one; one from the far future is not believed.
    """
    if seen_store == store:
        return seen_position > position
    seen = ULID.from_str(seen_store)
    return seen > ULID.from_str(store) and seen.milliseconds <= to_ms(now + CLOCK_MAY_HAVE_BEEN_AHEAD)


def renew_identity(connection: Connection, *, old: str, after: str, now: datetime) -> str:
    """Replace `old`, once it is an hour old, by a ULID that sorts after it and after `after`; the store's ULID then.

    Another worker's new one is taken as it is. An identity made in the future, under a clock since corrected, is old.
    """
    store = _following(old, after, now=now)
    is_recent = _STORE.c.created_ms.between(to_ms(now - RENEWAL_PAUSE) + 1, to_ms(now))
    connection.execute(
        update(_STORE).where(_STORE.c.store == old, ~is_recent).values(store=store, created_ms=to_ms(now))
    )
    return read_identity(connection)


def replace_identity(connection: Connection, *, after: Iterable[str], now: datetime) -> str:
    """Give a restored database an identity of its own at once, which sorts after those given and after its present one.

    Every box then sends again all that it holds.
    """
    store = _following(read_identity(connection), *after, now=now)
    connection.execute(update(_STORE).values(store=store, created_ms=to_ms(now)))
    return store


def _following(own: str, *others: str, now: datetime) -> str:
    """A ULID that sorts after all of these, of the lineage of `own`."""
    newest = max(ULID.from_str(store) for store in (own, *others)).datetime
    return str(ULID.from_datetime(max(now, newest + _MILLISECOND)))[:-LINEAGE_LENGTH] + lineage_of(own)
