"""How much of the time that a venue was open its cameras really watched: silence is not emptiness.

A camera is expected to watch from the first bucket that it ever watched in, and there from the moment at which it first
came online; one that came online and never watched, from then on; one that did neither, for the whole period. What it
could not tell of yet, the running minute and what is on its way, is not expected of it. Watching outside the opening
hours neither helps nor harms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import func
from sqlmodel import Session, col, select

from cloud.layouts import Place
from cloud.opening import OpeningHours, scheduled_ms_by_bucket
from cloud.periods import Period
from cloud.store.metrics import BUCKET_MS, Metric, Scope
from cloud.store.tables import Camera, CameraState
from cloud.sums import first_watched_ms, values_by_place
from protocol.events import CameraState as State

__all__ = ["TELLING_MS", "Coverage", "Watch", "coverage_of", "read_watch"]

TELLING_MS = 75_000
"""A minute is told of when it is over, and takes a moment on its way."""
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Watched and scheduled seconds, summed over cameras; `fraction` is null where nothing was scheduled."""

    watched_seconds: Annotated[float, Field(description="all that was watched, opening hours or not")]
    scheduled_seconds: Annotated[float, Field(description="opening hours up to the last minute told of, times cameras")]
    fraction: Annotated[
        float | None, Field(description="watched within opening hours ÷ scheduled; null where nothing was scheduled")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What each camera watched, and what was expected of it: milliseconds by bucket."""

    watched: Mapping[Place, Mapping[int, int]]
    due: Mapping[Place, Mapping[int, int]]


def read_watch(
    session: Session, *, venue: str, hours: OpeningHours, zone: ZoneInfo, period: Period, now_ms: int
) -> Watch:
    """All that coverage is computed from."""
    watched = values_by_place(session, venue=venue, scope=Scope.CAMERA, metric=Metric.WATCHED_MS, period=period)
    query = select(Camera.box, Camera.camera, Camera.last_report_ms).where(col(Camera.venue) == venue)
    last_reports = {(box, camera): last_ms or 0 for box, camera, last_ms in session.exec(query)}
    online = _first_online_ms(session, venue=venue)

    @cache
    def scheduled(begins_ms: int, ends_ms: int) -> Mapping[int, int]:
        return scheduled_ms_by_bucket(
            hours, period=Period(start_ms=begins_ms, end_ms=period.end_ms), until_ms=ends_ms, zone=zone
        )

    def due(place: Place) -> Mapping[int, int]:
        since = online.get(place, 0)
        first = first_watched_ms(session, venue=venue, place=place) or since
        begins_ms = since if first <= since < first + BUCKET_MS else first
        told_ms = min(now_ms, last_reports.get(place, 0) + _MINUTE_MS)
        return scheduled(max(period.start_ms, begins_ms), max(now_ms - TELLING_MS, told_ms))

    places = sorted({*watched, *last_reports})
    return Watch(
        watched={place: watched.get(place, {}) for place in places}, due={place: due(place) for place in places}
    )


def coverage_of(
    watch: Watch, *, buckets: Sequence[int] | None = None, places: Iterable[Place] | None = None
) -> Coverage:
    """The coverage of all buckets or of some, of all cameras or of some."""
    seen_ms = due_ms = counted_ms = 0
    for camera in watch.watched if places is None else places:
        watched, due = _of(watch.watched.get(camera, {}), buckets), _of(watch.due.get(camera, {}), buckets)
        seen_ms += sum(watched.values())
        due_ms += sum(due.values())
        counted_ms += sum(min(watched_ms, due.get(bucket, 0)) for bucket, watched_ms in watched.items())
    return Coverage(
        watched_seconds=seen_ms / 1000,
        scheduled_seconds=due_ms / 1000,
        fraction=round(counted_ms / due_ms, 6) if due_ms else None,
    )


def _first_online_ms(session: Session, *, venue: str) -> dict[Place, int]:
    """When each camera was first said to be online."""
    columns = col(CameraState.box), col(CameraState.camera)
    query = (
        select(*columns, func.min(col(CameraState.at_ms)))
        .where(col(CameraState.venue) == venue, col(CameraState.state) == str(State.ONLINE))
        .group_by(*columns)
    )
    return {(box, camera): at_ms for box, camera, at_ms in session.exec(query)}


def _of(values: Mapping[int, int], buckets: Sequence[int] | None) -> Mapping[int, int]:
    return values if buckets is None else {bucket: values[bucket] for bucket in buckets if bucket in values}
