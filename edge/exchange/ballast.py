"""A file that takes room while there is plenty, to be given up when the disk is full. Knows nothing of SQLite."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["BALLAST_BYTES", "Ballast"]

BALLAST_BYTES = 8 * 2**20
"""Twice what the log grows to, so that all of it can be moved into the file when the disk is full."""

_PLENTY_BYTES = 2 * BALLAST_BYTES
"""The ballast is laid only where it does not take the last room there is."""


class Ballast:
    """The ballast file of one exchange folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "exchange.ballast"

    def give_up(self) -> bool:
        """Leave its room to others; whether it was there."""
        was_there = self._path.exists()
        self._path.unlink(missing_ok=True)
        return was_there

    @property
    def is_affordable(self) -> bool:
        """Whether the disk has plenty of room, the ballast's own not counted."""
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize >= _PLENTY_BYTES

    def lay(self) -> bool:
        """Lay it where it is not there yet and can be afforded; whether it lies."""
        if self._path.exists():
            return True
        if not self.is_affordable:
            return False
        with suppress(OSError):  # no ballast is worse than one, but no reason to stop
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o660)
            try:
                os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
            except OSError:
                self._path.unlink()
            finally:
                os.close(descriptor)
        return self._path.exists()
