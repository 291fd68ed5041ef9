"""The lock that whoever writes an exchange holds: vision, or a back-up that is being restored."""

import fcntl
import os
from pathlib import Path

from edge.errors import ExchangeError

__all__ = ["take_lock"]


def take_lock(folder: Path) -> int:
    """An open file whose closing gives the lock back; raises ExchangeError while another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "exchange.lock", os.O_CREAT | os.O_RDWR, 0o660)
    except OSError as error:
        msg = f"exchange folder {folder}: {error.strerror}; it must be a folder this user may write to"
        raise ExchangeError(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        msg = f"exchange {folder}: another vision process already writes it; stop that one first"
        raise ExchangeError(msg) from error
    return descriptor
