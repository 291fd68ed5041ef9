"""How much of the time that a venue was open its cameras really watched: silence is not emptiness.

A camera is expected to watch from the first bucket that it ever watched in, and there from the moment at which it first
came online; one that came online and never watched, from then on; one that did neither, for the whole period. What it
could not tell of yet, the running minute and what is on its way, is not expected of it. Watching outside the opening
hours neither helps nor harms.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Annotated, cast
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import bindparam, func, select
from sqlmodel import Session

from cloud.layouts import Place
from cloud.opening import OpeningHours, Span, ms_by_bucket, open_spans
from cloud.periods import LocalPart, PartKey, Period, Step
from cloud.store.metrics import BUCKET_MS, DAY_SECONDS, HOUR_SECONDS, Metric, Scope
from cloud.store.tables import Camera, CameraState
from cloud.store.upsert import table_of
from cloud.sums import (
    MOST_STRETCHES,
    except_for,
    first_watched_ms,
    stretches,
    sums,
    sums_by_part,
    values_by_place,
    watched_within,
)
from protocol.events import CameraState as State

__all__ = ["TELLING_MS", "Coverage", "Part", "Watch", "coverage_of", "read_watch", "read_watch_by_part"]

TELLING_MS = 75_000
"""A minute is told of when it is over, and takes a moment on its way."""
_MINUTE_MS = 60_000
_HOUR_MS = HOUR_SECONDS * 1000
_CAMERA, _STATE = table_of(Camera), table_of(CameraState)
_LAST_REPORTS = select(_CAMERA.c.box, _CAMERA.c.camera, _CAMERA.c.last_report_ms).where(
    _CAMERA.c.venue == bindparam("venue")
)
_FIRST_ONLINE = (
    select(_STATE.c.box, _STATE.c.camera, func.min(_STATE.c.at_ms))
    .where(_STATE.c.venue == bindparam("venue"), _STATE.c.state == str(State.ONLINE))
    .group_by(_STATE.c.box, _STATE.c.camera)
)

Spans = tuple[Span, ...]
"""When a camera was expected to watch."""
Part = PartKey | None
"""An hour, day, week or month of the venue's clock, or None for a whole period."""


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
    """What each camera watched, what was expected of it, and how much of that it did: milliseconds by part."""

    watched: Mapping[Place, Mapping[Part, int]]
    due: Mapping[Place, Mapping[Part, int]]
    counted: Mapping[Place, Mapping[Part, int]]


def read_watch(
    session: Session, *, venue: str, hours: OpeningHours, zone: ZoneInfo, period: Period, now_ms: int
) -> Watch:
    """All that coverage of a whole period is computed from."""
    seen = sums(session, venue=venue, scope=Scope.CAMERA, metrics=[Metric.WATCHED_MS], period=period)
    watched: dict[Place, Mapping[Part, int]] = {one.place: {None: one.value} for one in seen}
    due = _due(session, watched, venue=venue, hours=hours, zone=zone, period=period, now_ms=now_ms)
    known = stretches(session, venue=venue, period=period, seconds=DAY_SECONDS).long
    whole = _fully_due(known, {*due.values()}, step_ms=DAY_SECONDS * 1000)
    counted = defaultdict[Place, Counter[Part]](Counter)
    for place, values in watched_within(session, venue=venue, periods=whole, seconds=DAY_SECONDS).items():
        counted[place][None] += sum(values.values())
    for place, values in _counted_by_bucket(session, due, venue=venue, fine=except_for(whole, period=period)):
        counted[place][None] += sum(values.values())
    return Watch(
        watched={place: watched.get(place, {}) for place in due},
        due={place: {None: sum(end - start for start, end in spans)} for place, spans in due.items()},
        counted=counted,
    )


def read_watch_by_part(
    session: Session,
    *,
    venue: str,
    hours: OpeningHours,
    zone: ZoneInfo,
    period: Period,
    now_ms: int,
    step: Step,
    local: Sequence[LocalPart],
) -> Watch:
    """The same for each of a period's parts, which are `local`."""
    seen = sums_by_part(
        session, venue=venue, scope=Scope.CAMERA, metrics=[Metric.WATCHED_MS], period=period, zone=zone, step=step
    )
    watched = {place: cast("Mapping[Part, int]", values) for (_, place), values in seen.items()}
    due = _due(session, watched, venue=venue, hours=hours, zone=zone, period=period, now_ms=now_ms)
    whole: Sequence[Period] = []
    if all(part.buckets[0] % _HOUR_MS == 0 for part in local[1:]):
        known = stretches(session, venue=venue, period=period, seconds=HOUR_SECONDS).long
        whole = _fully_due(known, {*due.values()}, step_ms=_HOUR_MS)
    starts, keys = [part.buckets[0] for part in local], [part.key for part in local]
    counted = defaultdict[Place, Counter[Part]](Counter)
    of_hours = watched_within(session, venue=venue, periods=whole, seconds=HOUR_SECONDS)
    of_buckets = _counted_by_bucket(session, due, venue=venue, fine=except_for(whole, period=period))
    for place, values in chain(of_hours.items(), of_buckets):
        for start_ms, value in values.items():
            counted[place][keys[bisect_right(starts, start_ms) - 1]] += value
    by_part = {spans: _ms_by_part(spans, local) for spans in {*due.values()}}
    return Watch(
        watched={place: watched.get(place, {}) for place in due},
        due={place: by_part[spans] for place, spans in due.items()},
        counted=counted,
    )


def coverage_of(watch: Watch, *, part: Part = None, places: Iterable[Place] | None = None) -> Coverage:
    """The coverage of the whole period or of a part of it, of all cameras or of some."""
    seen_ms = due_ms = counted_ms = 0
    for camera in watch.due if places is None else places:
        if camera in watch.due:
            seen_ms += watch.watched[camera].get(part, 0)
            due_ms += watch.due[camera].get(part, 0)
            counted_ms += watch.counted[camera].get(part, 0)
    return Coverage(
        watched_seconds=seen_ms / 1000,
        scheduled_seconds=due_ms / 1000,
        fraction=round(counted_ms / due_ms, 6) if due_ms else None,
    )


def _due(
    session: Session,
    watched: Iterable[Place],
    *,
    venue: str,
    hours: OpeningHours,
    zone: ZoneInfo,
    period: Period,
    now_ms: int,
) -> dict[Place, Spans]:
    """When each camera was expected to watch."""
    reported = session.connection().execute(_LAST_REPORTS, {"venue": venue})
    last_reports = {(box, camera): last_ms or 0 for box, camera, last_ms in reported}
    online = _first_online_ms(session, venue=venue)

    @cache
    def scheduled(begins_ms: int, ends_ms: int) -> Spans:
        within = Period(start_ms=begins_ms, end_ms=period.end_ms)
        return tuple(open_spans(hours, period=within, until_ms=ends_ms, zone=zone))

    def due(place: Place) -> Spans:
        since = online.get(place, 0)
        first = first_watched_ms(session, venue=venue, place=place) or since
        begins_ms = since if first <= since < first + BUCKET_MS else first
        told_ms = min(now_ms, last_reports.get(place, 0) + _MINUTE_MS)
        ends_ms = max(now_ms - TELLING_MS, told_ms)
        return scheduled(max(period.start_ms, begins_ms), min(period.end_ms, ends_ms))

    return {place: due(place) for place in sorted({*watched, *last_reports})}


def _fully_due(known: Sequence[Period], expected: Iterable[Spans], *, step_ms: int) -> Sequence[Period]:
    """The whole hours or days among the known through all of which every camera was expected to watch."""
    for spans in expected:
        known = [part for one in known for part in _within(one, spans, step_ms=step_ms)]
    return known if len(known) <= MOST_STRETCHES else []


def _within(one: Period, spans: Spans, *, step_ms: int) -> Iterator[Period]:
    for start, end in spans:
        first = max(one.start_ms, -(-start // step_ms) * step_ms)
        last = min(one.end_ms, end // step_ms * step_ms)
        if first < last:
            yield Period(start_ms=first, end_ms=last)


def _counted_by_bucket(
    session: Session, due: Mapping[Place, Spans], *, venue: str, fine: Sequence[Period]
) -> Iterator[tuple[Place, Mapping[int, int]]]:
    """What each camera watched of what it was expected to, by 15 minutes of some stretches."""
    found = values_by_place(session, venue=venue, scope=Scope.CAMERA, metric=Metric.WATCHED_MS, periods=fine)
    expected: dict[Spans, Mapping[int, int]] = {}
    for place, values in found.items():
        spans = due.get(place, ())
        if spans not in expected:
            expected[spans] = ms_by_bucket(chain(*(_cut(spans, part) for part in fine)))
        due_ms = expected[spans]
        yield place, {bucket: min(value, due_ms.get(bucket, 0)) for bucket, value in values.items()}


def _cut(spans: Spans, part: Period) -> Iterator[Span]:
    for start, end in spans:
        if start < part.end_ms and part.start_ms < end:
            yield max(start, part.start_ms), min(end, part.end_ms)


def _ms_by_part(spans: Spans, local: Sequence[LocalPart]) -> Mapping[Part, int]:
    """How much of each part lies in spans, both in order."""
    found = dict[Part, int]()
    first = 0
    for part in local:
        begins, ends = part.buckets[0], part.buckets[-1] + BUCKET_MS
        while first < len(spans) and spans[first][1] <= begins:
            first += 1
        number, within_ms = first, 0
        while number < len(spans) and spans[number][0] < ends:
            within_ms += min(spans[number][1], ends) - max(spans[number][0], begins)
            number += 1
        if within_ms:
            found[part.key] = within_ms
    return found


def _first_online_ms(session: Session, *, venue: str) -> dict[Place, int]:
    """When each camera was first said to be online."""
    found = session.connection().execute(_FIRST_ONLINE, {"venue": venue})
    return {(box, camera): at_ms for box, camera, at_ms in found}
