"""Cameras and their health."""

from fastapi import APIRouter

from cloud.access.roles import Role
from cloud.api.dependencies import BoxId, CameraId, NowMs, PeriodOfVenue, ReadSession, VenueRow
from cloud.api.guard import GuardedRoute
from cloud.api.needs import needs
from cloud.cameras import CameraFigures, CameraHealth, camera_health, list_cameras

__all__ = ["router"]

router = APIRouter(prefix="/venues/{venue}/cameras", tags=["cameras"], route_class=GuardedRoute)


@router.get("")
@needs(Role.VIEWER)
def show_all(session: ReadSession, row: VenueRow, now_ms: NowMs) -> tuple[CameraFigures, ...]:
    """List a venue's cameras: state, since when, why, last report, and today's coverage."""
    return list_cameras(session, venue=row, now_ms=now_ms)


@router.get("/{box}/{camera}")
@needs(Role.VIEWER)
def show(
    session: ReadSession, row: VenueRow, box: BoxId, camera: CameraId, period: PeriodOfVenue, now_ms: NowMs
) -> CameraHealth:
    """One camera over a period: its coverage, and the states that it went through."""
    return camera_health(session, venue=row, box=box, camera=camera, period=period, now_ms=now_ms)
