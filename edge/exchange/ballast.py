"""A file that takes room while there is plenty, to be given up when the disk is full. Knows nothing of SQLite."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["BALLAST_BYTES", "Ballast"]

BALLAST_BYTES = 8 * 2**20
"""Twice what the log is kept to, so that on a full disk all of it can be moved into the file, and both get spare room.

Of a log that somebody's long reading has let grow beyond that, as much is moved as there is room for.
"""

_PLENTY_BYTES = 2 * BALLAST_BYTES
"""The ballast is laid only where it does not take the last room there is."""

_LITTLE_BYTES = 2**20


class Ballast:
    """The ballast file of one exchange folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "exchange.ballast"

    @property
    def lies(self) -> bool:
        """Whether it is there."""
        return self._path.exists()

    def give_up(self) -> bool:
        """Leave its room to others; whether it was there."""
        was_there = self.lies
        self._path.unlink(missing_ok=True)
        return was_there

    @property
    def is_affordable(self) -> bool:
        """Whether the disk has plenty of room, the ballast's own not counted."""
        return self._free_bytes() >= _PLENTY_BYTES

    @property
    def is_missed(self) -> bool:
        """Whether it is gone and the disk has next to nothing."""
        return not self.lies and self._free_bytes() < _LITTLE_BYTES

    def lay(self) -> bool:
        """Lay it where it is not there yet and can be afforded; whether it lies."""
        if self.lies:
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
        return self.lies

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize
