"""Whoever wants to know how the ingest does; nobody, unless told otherwise."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

__all__ = ["Meter", "Unmetered", "Verdicts"]


class Verdicts(StrEnum):
    """What became of an item."""

    COUNTED = "counted"
    HELD = "held"
    REJECTED = "rejected"
    REPEATED = "repeated"


class Meter(Protocol):
    """Is told after each try to commit."""

    def committed(self, *, seconds: float, envelopes: int, refused: int, items: Mapping[Verdicts, int]) -> None:
        """A batch was committed within `seconds`: envelopes, payloads refused, items by what became of them."""
        ...

    def failed(self) -> None:
        """The database did not take a batch."""
        ...


class Unmetered:
    """Wants to know nothing."""

    def committed(self, *, seconds: float, envelopes: int, refused: int, items: Mapping[Verdicts, int]) -> None:
        """Let it pass."""

    def failed(self) -> None:
        """Let it pass."""
