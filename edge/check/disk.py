"""Room for the exchange, and the right to write it."""

import os

from edge.check.findings import Finding, fail, ok, warn
from edge.exchange.schema import FILE_NAME
from edge.settings import ExchangeSettings

__all__ = ["check_disk"]

_LEAST_BYTES = 32 * 2**20
"""With less than this a box could not even write down what it loses."""


def check_disk(settings: ExchangeSettings) -> Finding:
    """The exchange's folder can be written, and its disk has the room that the exchange may take."""
    folder = settings.folder.absolute()
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return fail(
            "disk",
            f"{folder} cannot be written by this user",
            f"let user or group write {there}, or set exchange.folder; run this check as the user that vision runs as",
        )
    disk = os.statvfs(there)
    free = disk.f_bavail * disk.f_frsize
    file = folder / FILE_NAME
    used = file.stat().st_size if file.is_file() else 0
    needed = max(0, settings.room_mb * 2**20 - used)
    said = f"{folder}: the exchange has {_mb(used)} and may grow by {_mb(needed)}; {_mb(free)} are free"
    if not os.access(folder, os.F_OK):
        said += "; the folder is made at the first start"
    if free < _LEAST_BYTES:
        return fail("disk", said, f"free some space on the disk of {there}")
    if free < needed:
        return warn("disk", said, "free some space, or set exchange.room_mb to what there is")
    return ok("disk", said)


def _mb(size: float) -> str:
    return f"{size / 2**20:,.0f} MB"
