"""What the alert rules look at: how full each venue is, and when each box was last heard.

People in a venue are in − out of its entrances where any are watched, else those in view of the scenes that count. A
box's newest live message says so, or, without a recent one, its newest minute reports. Queries take a session.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session, col, select

from cloud.alerts.rules import BoxContact, Facts, VenueLoad
from cloud.layouts import Place, venue_layout
from cloud.live import CURRENT_MS
from cloud.store.tables import Box, Event, Venue
from cloud.store.tables import Live as LiveRow
from protocol.events import Occupancy
from protocol.status import BoxState, Live

__all__ = ["read_facts"]

REPORT_MS = 300_000
"""How old a minute report may be, from the start of its minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Presence:
    """People of one scene: in view, and in − out where its entrances are watched."""

    in_view: float
    inside: int | None


def read_facts(session: Session, *, now_ms: int, watching_since_ms: int) -> Facts:
    """All facts of the venues in use and of the boxes that belong to them."""
    limited = select(Venue.venue, Venue.capacity).where(
        col(Venue.capacity).is_not(None), col(Venue.archived_ms).is_(None)
    )
    return Facts(
        loads=tuple(
            VenueLoad(venue=venue, capacity=capacity, people=_people(session, venue=venue, now_ms=now_ms))
            for venue, capacity in session.exec(limited.order_by(col(Venue.venue)))
            if capacity is not None
        ),
        contacts=tuple(_contacts(session)),
        watching_since_ms=watching_since_ms,
    )


def _contacts(session: Session) -> Iterator[BoxContact]:
    query = (
        select(Box)
        .join(Venue, col(Venue.venue) == col(Box.venue))
        .where(col(Venue.archived_ms).is_(None), col(Box.revoked_ms).is_(None))
        .order_by(col(Box.box))
    )
    for row in session.exec(query):
        if row.venue is not None and row.last_seen_ms is not None:
            is_offline = row.state == BoxState.OFFLINE
            yield BoxContact(box=row.box, venue=row.venue, is_offline=is_offline, last_seen_ms=row.last_seen_ms)


def _people(session: Session, *, venue: str, now_ms: int) -> int | None:
    live = _live(session, venue=venue, now_ms=now_ms)
    boxes = {box for box, _ in live}
    reported = _reported(session, venue=venue, now_ms=now_ms)
    scenes = live | {place: presence for place, presence in reported.items() if place[0] not in boxes}
    counting = venue_layout(session, venue=venue).counting_scenes if scenes else None
    present = [presence for place, presence in scenes.items() if counting is None or place in counting]
    if not present:
        return None
    insides = [presence.inside for presence in present if presence.inside is not None]
    return max(0, sum(insides)) if insides else round(sum(presence.in_view for presence in present))


def _live(session: Session, *, venue: str, now_ms: int) -> dict[Place, _Presence]:
    query = (
        select(LiveRow)
        .join(Box, col(Box.box) == col(LiveRow.box))
        .where(col(Box.venue) == venue, col(LiveRow.venue) == venue)
        .where(col(LiveRow.at_ms).between(now_ms - CURRENT_MS, now_ms + CURRENT_MS))
    )
    return {
        (row.box, scene.scene): _Presence(in_view=scene.people, inside=scene.inside)
        for row in session.exec(query)
        for scene in Live.read(row.body).scenes
    }


def _reported(session: Session, *, venue: str, now_ms: int) -> dict[Place, _Presence]:
    """The newest minute report of each scene."""
    query = (
        select(Event.box, Event.body)
        .where(
            col(Event.venue) == venue,
            col(Event.type) == "occupancy",
            col(Event.at_ms) >= now_ms - REPORT_MS,
            col(Event.at_ms) <= now_ms,
        )
        .order_by(col(Event.at_ms), col(Event.received_ms))
    )
    found: dict[Place, _Presence] = {}
    for box, body in session.exec(query):
        report = Occupancy.read(body)
        found[box, report.scene] = _Presence(in_view=_mean_people(report), inside=report.inside)
    return found


def _mean_people(report: Occupancy) -> float:
    """People in view, averaged over what each camera watched and added up over cameras."""
    return sum(camera.person_seconds / camera.watched_seconds for camera in report.cameras if camera.watched_seconds)
