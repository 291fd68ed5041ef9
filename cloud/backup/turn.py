"""One back-up at a time into a target: by a lease in the database, prolonged by a thread for as long as it takes.

A database that cannot be written, say on a full disk, can be kept all the same, and then nobody looks out for others.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from cloud.backup.target import Target
from cloud.errors import BackupError, StoreError
from cloud.store.lease import Leaseholder
from cloud.store.moments import utc_now

__all__ = ["alone"]

PROLONG_SECONDS = 20.0
"""Shorter than a lease."""
_LOG = logging.getLogger(__name__)


@contextmanager
def alone(engine: Engine, target: Target) -> Iterator[None]:
    """Raises BackupError where another back-up of the database into the target is being made."""
    lease = Leaseholder(engine, task=f"backup {target.url}", clock=utc_now)
    try:
        is_ours = lease.hold() is not None
    except StoreError as error:
        _LOG.warning("%s; another back-up at the same time would not be noticed", error, extra={"action": "backup"})
        yield
        return
    if not is_ours:
        raise BackupError(
            f"Another back-up into {target.url} is being made, or was broken off less than a minute ago: try again then"
        )
    done = threading.Event()
    prolonging = threading.Thread(target=_prolong, args=(lease, done), name="backup-lease", daemon=True)
    prolonging.start()
    try:
        yield
    finally:
        done.set()
        prolonging.join()
        lease.leave()


def _prolong(lease: Leaseholder, done: threading.Event) -> None:
    while not done.wait(PROLONG_SECONDS):
        try:
            lease.hold()
        except StoreError as error:
            _LOG.warning("%s; the back-up goes on", error, extra={"action": "backup"})
