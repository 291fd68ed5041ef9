"""What a scene saw, as drafts: the door's list of everything that may be said.

Each function takes an internal value and names, field by field, what of it leaves. Seconds leave with one decimal.
"""

from collections.abc import Sequence
from dataclasses import replace

from edge.anonymity import Draft, draft
from edge.camera.health import HealthChange, HealthState, Note
from edge.exchange.batch import TilePart
from edge.minute import Minute
from edge.scene import Scene
from edge.visits import Visit
from protocol.configuration import Layout
from protocol.events import (
    CameraHealth,
    CameraState,
    CameraWatch,
    Configuration,
    Crossing,
    HealthReason,
    LineCount,
    NamedSeconds,
    Occupancy,
    Queue,
    QueueReport,
    ZoneWatch,
)
from protocol.events import Visit as VisitItem
from protocol.status import LiveScene, LiveZone
from protocol.tiles import Layer
from protocol.wire import JsonObject

__all__ = [
    "camera_state",
    "configuration",
    "crossings",
    "health",
    "health_reason",
    "live_scene",
    "minutely",
    "occupancy",
    "playing_state",
    "queues",
    "self_check",
    "tiles",
    "visit",
]

_STATES = {
    HealthState.STARTING: CameraState.STARTING,
    HealthState.ONLINE: CameraState.ONLINE,
    HealthState.OFFLINE: CameraState.OFFLINE,
    HealthState.FINISHED: CameraState.OFFLINE,
}
_HARMLESS = {HealthReason.NONE, HealthReason.STATIC_OBJECT}
_REASONS = {
    Note.PLAYING: HealthReason.NONE,
    Note.RESOLUTION_CHANGED: HealthReason.RESOLUTION_CHANGED,
    Note.END_OF_VIDEO: HealthReason.ENDED,
}


def visit(ended: Visit) -> Draft:
    """A stay that is over, placed where it began."""
    made = draft(
        VisitItem,
        at=ended.first_seen,
        scene=ended.scene,
        dwell_seconds=round(ended.dwell_seconds, 1),
        began=ended.began,
        ended=ended.ended,
        zones=[
            NamedSeconds(zone=zone, seconds=seconds)
            for zone, spent in ended.zone_milliseconds.items()
            if (seconds := _seconds(spent))
        ],
        lines=[
            LineCount(line=line, inward=counts.get("in", 0), outward=counts.get("out", 0))
            for line, counts in ended.crossings.items()
        ],
        frames_seen=ended.frames,
        mean_confidence=round(min(1.0, ended.mean_confidence), 3),
    )
    return replace(made, ends=ended.number)


def minutely(minutes: Sequence[Minute]) -> list[Draft]:
    """All that is said of a minute but its tiles, one scene after the other."""
    by_scene: dict[str, list[Minute]] = {}
    for minute in minutes:
        by_scene.setdefault(minute.scene, []).append(minute)
    drafts = [occupancy(together) for together in by_scene.values()]
    for report in (crossings, queues):
        drafts += [draft for draft in map(report, minutes) if draft is not None]
    return drafts


def occupancy(minutes: Sequence[Minute]) -> Draft:
    """One minute of one scene, from each of its cameras."""
    first = minutes[0]
    return draft(
        Occupancy,
        at=first.at,
        scene=first.scene,
        cameras=[
            CameraWatch(
                camera=minute.camera,
                watched_seconds=_seconds(minute.watched_ms),
                analysed_frames=minute.analysed_frames,
                dropped_frames=minute.dropped_frames,
                person_seconds=_seconds(minute.person_ms),
                max_people=minute.max_people,
            )
            for minute in minutes
        ],
        zones=[
            ZoneWatch(zone=zone.zone, person_seconds=_seconds(zone.person_ms), max_people=zone.max_people)
            for minute in minutes
            for zone in minute.zones
        ],
        inside=first.inside,
        drift=first.drift,
    )


def crossings(minute: Minute) -> Draft | None:
    """The minute's crossings; None when nobody crossed."""
    if not minute.lines:
        return None
    lines = [LineCount(line=line.line, inward=line.inward, outward=line.outward) for line in minute.lines]
    return draft(Crossing, at=minute.at, scene=minute.scene, lines=lines)


def queues(minute: Minute) -> Draft | None:
    """The minute's lines of people; None where there are none, or nobody watched them."""
    queues = [queue for queue in minute.queues if queue.watched_ms]
    if not queues:
        return None
    return draft(
        Queue,
        at=minute.at,
        scene=minute.scene,
        queues=[
            QueueReport(
                zone=queue.zone,
                mean_length=round(queue.person_ms / queue.watched_ms, 3),
                max_length=queue.max_length,
                waits=queue.waits,
                served=queue.served,
                abandoned=queue.abandoned,
            )
            for queue in queues
        ],
    )


def tiles(minute: Minute) -> list[TilePart]:
    """The minute's increments of heat-map tiles."""
    return [
        TilePart(
            at=minute.at,
            space=minute.space,
            camera=minute.camera,
            layer=Layer(tile.layer),
            tx=tile.tx,
            ty=tile.ty,
            cells=tile.cells,
        )
        for tile in minute.tiles
    ]


def health(change: HealthChange, *, scene: str) -> Draft:
    """A camera's new state; the detail stays on the box."""
    return draft(
        CameraHealth,
        at=change.at,
        scene=scene,
        camera=change.camera,
        state=camera_state(change.state),
        reason=health_reason(change),
    )


def self_check(reason: HealthReason, *, camera: str, scene: str, at: float) -> Draft:
    """What a playing camera found out about itself; NONE where all is well again."""
    return draft(CameraHealth, at=at, scene=scene, camera=camera, state=playing_state(reason), reason=reason)


def playing_state(reason: HealthReason) -> CameraState:
    """Of a camera that plays, and found this out about itself: what is degraded is unfit to count in."""
    return CameraState.ONLINE if reason in _HARMLESS else CameraState.DEGRADED


def camera_state(state: HealthState) -> CameraState:
    """The wire's word for a camera's state."""
    return _STATES[state]


def health_reason(change: HealthChange) -> HealthReason:
    """The wire's word for why."""
    return _REASONS[change.reason] if isinstance(change.reason, Note) else HealthReason(str(change.reason))


def live_scene(scene: Scene, now: float) -> JsonObject:
    """Who is in a scene right now."""
    people = scene.people_at(now)
    zones = [LiveZone(zone=zone, people=count if people else 0) for zone, count in scene.zone_people.items()]
    return LiveScene(scene=scene.id, people=people, inside=scene.inside, zones=tuple(zones)).to_object()


def configuration(layout: Layout, *, at: float) -> Draft:
    """The layout that items are made under from now on."""
    return draft(Configuration, at=at, layout=layout)


def _seconds(milliseconds: int) -> float:
    return round(milliseconds / 1000, 1)
