"""Every client's certificate that was signed, a line each, in a file beside the authority that only grows.

The database knows them too. But one that is restored has forgotten what came after its back-up, and what it does not
know it cannot revoke: so whoever revokes reads both. Knows one file; nothing of the database.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cloud.errors import StoreError

__all__ = ["Entry", "Journal"]

FILE = "issued.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A certificate that was signed: its serial, for whom, and its time."""

    serial: str
    holder: str
    name: str
    issued: datetime
    expires: datetime


_ENTRY = TypeAdapter(Entry)


class Journal:
    """What an authority has signed for clients; `folder` is the authority's own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def append(self, entry: Entry) -> None:
        """Remember a certificate for good, before it is given away; raises StoreError."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                if os.geteuid() == 0:
                    owner = self._path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                # In front, so that a line which a power cut spoilt spoils no other.
                file.write(b"\n" + _ENTRY.dump_json(entry))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written, so nothing was signed: {error.strerror}") from error

    def __iter__(self) -> Iterator[Entry]:
        """All of them, in the order in which they were signed; a line that a power cut spoilt is passed over."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}") from error
        for line in lines:
            try:
                yield _ENTRY.validate_json(line)
            except ValidationError:
                continue
