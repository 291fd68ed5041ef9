"""Who is in a venue right now: the newest `live` message of each box, put together when it is read.

A box's word is current for a while and then the last known one; the figures say which, so that an old number is never
taken for a new one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, col, select

from cloud.layouts import Place, venue_layout
from cloud.periods import format_local
from cloud.store.tables import Box, Venue
from cloud.store.tables import Live as LiveRow
from cloud.venues import zone_of
from protocol.status import Live, LiveScene

__all__ = ["CURRENT_MS", "Freshness", "LiveBox", "LiveFigures", "LiveZoneFigures", "live_figures", "live_version"]

CURRENT_MS = 90_000
"""A box speaks at least every 30 seconds; what is older than three of those is the last known word, for alerts too.

What is further ahead than that was said by a clock since corrected.
"""


class Freshness(StrEnum):
    """What the number of people rests on."""

    CURRENT = "current"
    PARTIAL = "partial"
    STALE = "stale"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveZoneFigures:
    """People in a zone now."""

    box: str
    zone: str
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBox:
    """When a box last said who is there, on the venue's clock."""

    box: str
    at: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigures:
    """A venue now: people in view of the scenes that count, and in − out of their entrances."""

    venue: str
    freshness: Annotated[
        Freshness,
        Field(
            description="partial: some boxes are silent and left out; stale: all are, and these are their last words"
        ),
    ]
    at: Annotated[str | None, Field(description="when the newest word was said, on the venue's clock")]
    people: int | None
    inside: Annotated[int | None, Field(description="in − out since the venue was last known empty")]
    capacity: int | None
    zones: tuple[LiveZoneFigures, ...]
    boxes: tuple[LiveBox, ...]


def live_figures(session: Session, *, venue: Venue, now_ms: int) -> LiveFigures:
    """Who is there now."""
    rows = _newest(session, venue=venue.venue)
    current = [row for row in rows if _is_current(row, now_ms=now_ms)]
    words = [Live.read(row.body) for row in current or rows]
    counting = venue_layout(session, venue=venue.venue).counting_scenes
    scenes = [
        scene for word in words for scene in word.scenes if counting is None or (word.box, scene.scene) in counting
    ]
    zone = zone_of(venue)
    return LiveFigures(
        venue=venue.venue,
        freshness=_freshness(current=len(current), known=len(rows)),
        at=format_local(max(row.at_ms for row in current or rows), zone=zone) if rows else None,
        people=sum(scene.people for scene in scenes) if scenes else None,
        inside=_inside(scenes),
        capacity=venue.capacity,
        zones=tuple(
            LiveZoneFigures(box=box, zone=name, people=people) for (box, name), people in sorted(_zones(words).items())
        ),
        boxes=tuple(
            LiveBox(box=row.box, at=format_local(row.at_ms, zone=zone), is_current=row in current) for row in rows
        ),
    )


def live_version(session: Session, *, venue: str, now_ms: int) -> str:
    """Names what `live_figures` would say, cheaply: it changes when a box says something new or falls silent."""
    said = [(row.box, row.at_ms, _is_current(row, now_ms=now_ms)) for row in _newest(session, venue=venue)]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _newest(session: Session, *, venue: str) -> Sequence[LiveRow]:
    """The newest word of each box that belongs to the venue still."""
    query = select(LiveRow).join(Box, col(Box.box) == col(LiveRow.box))
    mine = query.where(col(LiveRow.venue) == venue, col(Box.venue) == venue)
    return session.exec(mine.order_by(col(LiveRow.box))).all()


def _is_current(row: LiveRow, *, now_ms: int) -> bool:
    return abs(now_ms - row.at_ms) <= CURRENT_MS


def _freshness(*, current: int, known: int) -> Freshness:
    if not known:
        return Freshness.NONE
    if not current:
        return Freshness.STALE
    return Freshness.CURRENT if current == known else Freshness.PARTIAL


def _inside(scenes: Sequence[LiveScene]) -> int | None:
    known = [scene.inside for scene in scenes if scene.inside is not None]
    return max(0, sum(known)) if known else None


def _zones(words: Sequence[Live]) -> dict[Place, int]:
    return {(word.box, zone.zone): zone.people for word in words for scene in word.scenes for zone in scene.zones}
