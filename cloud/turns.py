"""Turns at work that takes much memory: a few have theirs at once, a few more wait, and the others come back later."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloud.errors import Busy

__all__ = ["Turns"]


class Turns:
    """So many at once, while so many wait, each of whom holds a thread of the server."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._turns = threading.BoundedSemaphore(at_once)
        self._places = threading.BoundedSemaphore(at_once + waiting)

    @contextmanager
    def take(self, refusal: str) -> Iterator[None]:
        """Wait for a turn, and have it until the end of the block; raises Busy with the refusal."""
        if not self._places.acquire(blocking=False):
            raise Busy(refusal)
        try:
            with self._turns:
                yield
        finally:
            self._places.release()
