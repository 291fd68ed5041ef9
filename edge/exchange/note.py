"""A few bytes laid while there is room, to say on a full disk what had to be let go. Knows nothing of SQLite."""

import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Note", "Noted"]

_SIZE_BYTES = 4096
_BLANK = b" " * _SIZE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was let go, by type, under a name by which it is known whether that has been declared."""

    name: str
    lost: Mapping[str, int]

    @classmethod
    def read(cls, payload: bytes) -> Self | None:
        """From its bytes; None when there is nothing in them, or not all of it."""
        try:
            data = json.loads(payload)
            return cls(name=str(data["name"]), lost={str(kind): int(count) for kind, count in data["lost"].items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Note:
    """The note of one exchange folder: overwritten where it lies, it needs no room."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "exchange.lost"

    def lay(self) -> None:
        """Lay it where it is not there yet and there is room."""
        if not self._path.exists() and not self._write(_BLANK):
            self._path.unlink(missing_ok=True)

    def read(self) -> Noted | None:
        """What it says."""
        try:
            return Noted.read(self._path.read_bytes())
        except OSError:
            return None

    def add(self, lost: Mapping[str, int]) -> bool:
        """Say this too; whether it is said durably."""
        noted = self.read()
        counts = Counter(noted.lost if noted else {}) + Counter(lost)
        payload = json.dumps({"name": secrets.token_hex(8), "lost": counts}).encode().ljust(_SIZE_BYTES)
        return len(payload) == _SIZE_BYTES and self._write(payload)

    def clear(self) -> None:
        """Say nothing any more."""
        if self._path.exists():
            self._write(_BLANK)

    def _write(self, payload: bytes) -> bool:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o660)
            try:
                written = os.write(descriptor, payload)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return written == len(payload)
