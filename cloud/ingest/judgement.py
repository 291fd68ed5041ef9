"""May this item count now? One pure decision, the same for an item that arrives and for one that was held.

Knows the rules of the wire for what waits; refuses to know receipts, which decide earlier, and the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cloud.store.moments import to_ms
from protocol.envelope import ReadItem, Unsettled
from protocol.events import Item
from protocol.tiles import Layer, Tile

__all__ = ["FUTURE_TOLERANCE_MS", "Counted", "Enrolled", "HeldBack", "HoldReason", "Rejected", "Verdict", "judge"]

FUTURE_TOLERANCE_MS = 5 * 60_000
"""A box's clock may be this far ahead before its items wait until their time has come."""


class HoldReason(StrEnum):
    """Why an item is kept without counting."""

    UNKNOWN_TYPE = "unknown-type"
    NEWER_SCHEMA = "newer-schema"
    FUTURE = "future"
    NOT_ENROLLED = "not-enrolled"
    CLONE = "clone"
    OVERLAP = "overlap"
    """A sum of which a part came by itself, from a copy of the box's disk, while another part did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A box belonged to a venue from `from_ms` until before `until_ms` (None for still)."""

    venue: str
    from_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Store it and count it; at_ms is None for an item without a place in time, which counts nowhere.

    latest_ms is at_ms, or by when such an item must have been made: what orders it among others of its box.
    """

    item: Item
    at_ms: int | None
    latest_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Keep it aside."""

    reason: HoldReason
    due_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It breaks its model."""

    reason: str


Verdict = Counted | HeldBack | Rejected

_OF_UNSETTLED = {Unsettled.UNKNOWN_TYPE: HoldReason.UNKNOWN_TYPE, Unsettled.NEWER_SCHEMA: HoldReason.NEWER_SCHEMA}


def judge(
    read: ReadItem, *, enrolments: Iterable[Enrolled], cloned: bool, now_ms: int, overlaps: bool = False
) -> Verdict:
    """Whether an item counts, waits or is rejected."""
    if read.item is None:
        reason = _OF_UNSETTLED.get(read.unsettled) if read.unsettled else None
        return HeldBack(reason=reason) if reason else Rejected(reason=read.detail or "it breaks its model")
    if isinstance(read.item, Tile) and read.item.layer is Layer.UNKNOWN:
        return HeldBack(reason=HoldReason.NEWER_SCHEMA)  # two later layers must not add up in one tile
    if cloned or overlaps:
        return HeldBack(reason=HoldReason.OVERLAP if overlaps else HoldReason.CLONE)
    at_ms = to_ms(read.item.at) if read.item.at else None
    if at_ms is not None and at_ms > now_ms + FUTURE_TOLERANCE_MS:
        return HeldBack(reason=HoldReason.FUTURE, due_ms=at_ms)
    if not any(_covers(enrolled, read.item) for enrolled in enrolments):
        return HeldBack(reason=HoldReason.NOT_ENROLLED)
    return Counted(item=read.item, at_ms=at_ms, latest_ms=_latest_ms(read.item, now_ms) if at_ms is None else at_ms)


def _latest_ms(item: Item, now_ms: int) -> int:
    """By when an item without a place in time was made; not after now, whatever its box took the time for."""
    return now_ms if item.latest is None else min(to_ms(item.latest), now_ms)


def _covers(enrolled: Enrolled, item: Item) -> bool:
    """Whether the item was, or may have been, made while the box was enrolled in the item's venue."""
    first, last = item.at or item.earliest, item.at or item.latest
    if item.venue != enrolled.venue or first is None or last is None:
        return False
    return to_ms(last) >= enrolled.from_ms and (enrolled.until_ms is None or to_ms(first) < enrolled.until_ms)
