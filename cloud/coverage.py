"""How much of the time that a venue was open its cameras really watched: silence is not emptiness.

A camera is expected to watch from the first bucket that it ever reported on; one that never did, for the whole period.
Watching outside the opening hours neither helps nor harms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlmodel import Session, col, select

from cloud.layouts import Place
from cloud.opening import OpeningHours, scheduled_ms_by_bucket
from cloud.periods import Period
from cloud.store.metrics import Metric, Scope
from cloud.store.tables import Camera
from cloud.sums import first_watched_ms, values_by_place

__all__ = ["Coverage", "Watch", "coverage_of", "read_watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Watched and scheduled seconds, summed over cameras; `fraction` is null where nothing was scheduled."""

    watched_seconds: Annotated[float, Field(description="all that was watched, opening hours or not")]
    scheduled_seconds: Annotated[float, Field(description="opening hours so far, times the cameras expected")]
    fraction: Annotated[
        float | None, Field(description="watched within opening hours ÷ scheduled; null where nothing was scheduled")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What each camera watched, from when it was expected to, and what was scheduled: milliseconds by bucket."""

    watched: Mapping[Place, Mapping[int, int]]
    expected_from: Mapping[Place, int]
    scheduled: Mapping[int, int]


def read_watch(
    session: Session, *, venue: str, hours: OpeningHours, zone: ZoneInfo, period: Period, now_ms: int
) -> Watch:
    """All that coverage is computed from."""
    watched = values_by_place(session, venue=venue, scope=Scope.CAMERA, metric=Metric.WATCHED_MS, period=period)
    query = select(Camera.box, Camera.camera).where(col(Camera.venue) == venue)
    places = sorted({*watched, *((box, camera) for box, camera in session.exec(query))})
    firsts = {place: first_watched_ms(session, venue=venue, place=place) for place in places}
    return Watch(
        watched={place: watched.get(place, {}) for place in places},
        expected_from={place: first or 0 for place, first in firsts.items()},
        scheduled=scheduled_ms_by_bucket(hours, period=period, until_ms=now_ms, zone=zone),
    )


def coverage_of(watch: Watch, *, buckets: Sequence[int] | None = None, place: Place | None = None) -> Coverage:
    """The coverage of all buckets or of some, of all cameras or of one."""
    seen_ms = due_ms = counted_ms = 0
    for camera in watch.watched if place is None else [place]:
        watched = _of(watch.watched.get(camera, {}), buckets)
        since = watch.expected_from.get(camera, 0)
        due = {bucket: open_ms for bucket, open_ms in _of(watch.scheduled, buckets).items() if bucket >= since}
        seen_ms += sum(watched.values())
        due_ms += sum(due.values())
        counted_ms += sum(min(watched_ms, due.get(bucket, 0)) for bucket, watched_ms in watched.items())
    return Coverage(
        watched_seconds=seen_ms / 1000,
        scheduled_seconds=due_ms / 1000,
        fraction=round(counted_ms / due_ms, 6) if due_ms else None,
    )


def _of(values: Mapping[int, int], buckets: Sequence[int] | None) -> Mapping[int, int]:
    return values if buckets is None else {bucket: values[bucket] for bucket in buckets if bucket in values}
