"""A box's own account of what it appended, kept outside the exchange: written by its vision, read by the oracle.

    {"epoch", "base_ms"}            an epoch began, whose items are placed before this UTC
    {"epoch", "first", "parts"}     these names, from seq `first` on, were given to what was made (several for a sum)
    {"epoch", "returned"}           the append of this serial, and of all before it, returned

A naming stands in the transaction that gives it. One that was rolled back is followed by another of the same name, or
by nothing; so the last one counts, as far as the exchange says that it gave the name at all.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.end_to_end.faults.items import Made

__all__ = ["Account", "Witness"]

Name = tuple[str, int]
"""Epoch and seq."""


class Witness:
    """Writes the account of one epoch; each line is with the system before the next step is taken."""

    def __init__(self, path: Path, *, epoch: str, base_ms: int) -> None:
        self._path, self._epoch, self._base_ms = path, epoch, base_ms

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._note(base_ms=self._base_ms)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def named(self, first: int, parts: Sequence[Sequence[Made]]) -> None:
        """The transaction under way gave these names."""
        self._note(first=first, parts=parts)

    def returned(self, serial: int) -> None:
        """The append of all up to this serial returned."""
        self._note(returned=serial)

    def _note(self, **what: object) -> None:
        line = json.dumps({"epoch": self._epoch, **what}) + "\n"
        os.write(self._file, line.encode())


@dataclass(slots=True, kw_only=True)
class Account:
    """What a box says that it appended: what each name was given to, and how far each epoch came for certain."""

    base_ms: dict[str, int] = field(default_factory=dict)
    names: dict[Name, tuple[Made, ...]] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The account as far as it is written; the last line may be half a line."""
        told = cls()
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                told._take(**json.loads(line))
        return told

    def _take(
        self,
        *,
        epoch: str,
        base_ms: int | None = None,
        first: int | None = None,
        parts: Sequence[Sequence[Made]] = (),
        returned: int = 0,
    ) -> None:
        if base_ms is not None:
            self.base_ms[epoch] = base_ms
        for seq, ones in enumerate(parts, start=first or 0):
            self.names.pop((epoch, seq), None)  # so that names stand in the order in which they were given
            self.names[epoch, seq] = tuple((of, serial) for of, serial in ones)
        self.returned[epoch] = max(returned, self.returned.get(epoch, 0))
