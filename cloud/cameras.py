"""Cameras and their health: what each does, since when and why, how much of today it watched, and its past states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, col, select

from cloud.certificates import LineCertificate, certificates_of, shown
from cloud.coverage import Coverage, coverage_of, read_watch
from cloud.errors import NotFound
from cloud.layouts import venue_layout
from cloud.periods import Period, day_of, format_local
from cloud.store.tables import Camera, CameraState, Venue
from cloud.venues import hours_of, zone_of

__all__ = ["CameraFigures", "CameraHealth", "Stretch", "camera_health", "list_cameras"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFigures:
    """A camera now; times are on the venue's clock."""

    box: str
    camera: str
    scene: str
    space: str
    state: str
    reason: str
    since: str | None
    last_report: str | None
    today: Coverage
    certificates: Annotated[
        tuple[LineCertificate, ...], Field(description="the newest of each of its lines that was checked by hand")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A camera was in one state from `start` until `end`, cut to the period asked for."""

    start: str
    end: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraHealth:
    """A camera now, its coverage of a period, and its states in it."""

    now: CameraFigures
    coverage: Coverage
    timeline: tuple[Stretch, ...]


def list_cameras(session: Session, *, venue: Venue, now_ms: int) -> tuple[CameraFigures, ...]:
    """All cameras of a venue."""
    query = select(Camera).where(col(Camera.venue) == venue.venue).order_by(col(Camera.box), col(Camera.camera))
    return _figures(session, session.exec(query).all(), venue=venue, now_ms=now_ms)


def camera_health(
    session: Session, *, venue: Venue, box: str, camera: str, period: Period, now_ms: int
) -> CameraHealth:
    """One camera over a period; raises NotFound."""
    row = session.get(Camera, (box, camera))
    if row is None or row.venue != venue.venue:
        raise NotFound(f"venue {venue.venue} has no camera {camera} on a box {box}")
    (figures,) = _figures(session, [row], venue=venue, now_ms=now_ms)
    watch = read_watch(
        session, venue=venue.venue, hours=hours_of(venue), zone=zone_of(venue), period=period, now_ms=now_ms
    )
    return CameraHealth(
        now=figures,
        coverage=coverage_of(watch, places=[(box, camera)]),
        timeline=_timeline(_states(session, row=row, period=period), venue=venue, period=period, now_ms=now_ms),
    )


def _figures(session: Session, rows: Sequence[Camera], *, venue: Venue, now_ms: int) -> tuple[CameraFigures, ...]:
    zone = zone_of(venue)
    today = day_of(now_ms, zone=zone)
    layout = venue_layout(session, venue=venue.venue)
    certificates = certificates_of(session, venue=venue.venue)
    watch = read_watch(session, venue=venue.venue, hours=hours_of(venue), zone=zone, period=today, now_ms=now_ms)
    return tuple(
        CameraFigures(
            box=row.box,
            camera=row.camera,
            scene=row.scene,
            space=row.space,
            state=row.state,
            reason=row.reason,
            since=None if row.state_since_ms is None else format_local(row.state_since_ms, zone=zone),
            last_report=None if row.last_report_ms is None else format_local(row.last_report_ms, zone=zone),
            today=coverage_of(watch, places=[(row.box, row.camera)]),
            certificates=shown(certificates, layout=layout, camera=(row.box, row.camera), venue=venue),
        )
        for row in rows
    )


def _states(session: Session, *, row: Camera, period: Period) -> list[CameraState]:
    """The changes within a period, and before them the one that it began with."""
    of_camera = select(CameraState).where(
        col(CameraState.box) == row.box,
        col(CameraState.camera) == row.camera,
        col(CameraState.venue) == row.venue,
    )
    earlier = of_camera.where(col(CameraState.at_ms) < period.start_ms)
    order = (col(CameraState.at_ms), col(CameraState.received_ms), col(CameraState.seq))
    latest = earlier.order_by(*(column.desc() for column in order)).limit(1)
    within = of_camera.where(col(CameraState.at_ms) >= period.start_ms, col(CameraState.at_ms) < period.end_ms)
    return [*session.exec(latest), *session.exec(within.order_by(*order))]


def _timeline(states: list[CameraState], *, venue: Venue, period: Period, now_ms: int) -> tuple[Stretch, ...]:
    zone, last_ms = zone_of(venue), min(period.end_ms, now_ms)
    ends = [*(state.at_ms for state in states[1:]), last_ms]
    return tuple(
        Stretch(
            start=format_local(max(state.at_ms, period.start_ms), zone=zone),
            end=format_local(end, zone=zone),
            state=state.state,
            reason=state.reason,
        )
        for state, end in zip(states, ends, strict=False)  # a camera that has said nothing yet has no stretch at all
        if end > max(state.at_ms, period.start_ms)
    )
