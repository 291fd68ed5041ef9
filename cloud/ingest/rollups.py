"""What one item adds to the sums and peaks of its 15-minute bucket: pure arithmetic over one item.

Knows the items and the names of the metrics; refuses to know boxes, venues, databases and whether an item counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch

from cloud.store.metrics import (
    DemographicBin,
    DirectionBin,
    EndBin,
    EngagementBin,
    Metric,
    Peak,
    Scope,
    SignBin,
    UndisclosedBin,
)
from protocol.events import (
    Attention,
    Began,
    Crossing,
    Demographics,
    Flow,
    Item,
    LineCount,
    Occupancy,
    Queue,
    Staff,
    Visit,
)
from protocol.histograms import SCORE_BOUNDS, bin_of

__all__ = ["Increment", "Maximum", "increments", "maxima", "milliseconds", "tenths"]

_COUNTED = frozenset({Began.ENTERED, Began.APPEARED})


@dataclass(frozen=True, slots=True)
class Increment:
    """What to add to one sum."""

    scope: Scope
    subject: str
    metric: Metric
    value: int
    bin: int = 0


@dataclass(frozen=True, slots=True)
class Maximum:
    """What one peak has to reach."""

    scope: Scope
    subject: str
    metric: Peak
    value: int


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def tenths(seconds: float) -> int:
    """Person-seconds as whole tenths."""
    return round(seconds * 10)


@singledispatch
def increments(item: Item) -> Iterable[Increment]:
    """What an item adds to sums; nothing for types that are only stored."""
    del item
    return ()


@singledispatch
def maxima(item: Item) -> Iterable[Maximum]:
    """Which peaks an item may raise."""
    del item
    return ()


@increments.register
def _visit(item: Visit) -> Iterator[Increment]:
    scene = item.scene
    yield Increment(Scope.SCENE, scene, Metric.VISITS if item.began in _COUNTED else Metric.VISITS_RESUMED, 1)
    yield Increment(Scope.SCENE, scene, Metric.VISIT_ENDS, 1, EndBin[item.ended.name])
    yield Increment(Scope.SCENE, scene, Metric.DWELL_MS, milliseconds(item.dwell_seconds))
    yield Increment(Scope.SCENE, scene, Metric.DWELL_HISTOGRAM, 1, bin_of(item.dwell_seconds))
    if item.engagement is not None:
        yield Increment(Scope.SCENE, scene, Metric.VISIT_ENGAGEMENT, 1, EngagementBin[item.engagement.name])
    if item.engagement_score is not None:
        score_bin = bin_of(item.engagement_score, SCORE_BOUNDS)
        yield Increment(Scope.SCENE, scene, Metric.ENGAGEMENT_SCORES, 1, score_bin)
    for stay in item.zones:
        yield Increment(Scope.ZONE, stay.zone, Metric.ZONE_VISITS, 1)
        yield Increment(Scope.ZONE, stay.zone, Metric.ZONE_DWELL_MS, milliseconds(stay.seconds))
        yield Increment(Scope.ZONE, stay.zone, Metric.ZONE_DWELL_HISTOGRAM, 1, bin_of(stay.seconds))


@increments.register
def _crossing(item: Crossing) -> Iterator[Increment]:
    return _directions(Metric.CROSSINGS, item.lines)


@increments.register
def _staff(item: Staff) -> Iterator[Increment]:
    return _directions(Metric.STAFF_CROSSINGS, item.lines)


def _directions(metric: Metric, lines: Iterable[LineCount]) -> Iterator[Increment]:
    for line in lines:
        yield Increment(Scope.LINE, line.line, metric, line.inward, DirectionBin.IN)
        yield Increment(Scope.LINE, line.line, metric, line.outward, DirectionBin.OUT)


@increments.register
def _occupancy(item: Occupancy) -> Iterator[Increment]:
    yield Increment(Scope.SCENE, item.scene, Metric.REPORTS, 1)
    yield Increment(Scope.SCENE, item.scene, Metric.REPORTED_MS, item.length_seconds * 1000)
    if item.drift:
        sign = SignBin.POSITIVE if item.drift > 0 else SignBin.NEGATIVE
        yield Increment(Scope.SCENE, item.scene, Metric.DRIFT, abs(item.drift), sign)
    for camera in item.cameras:
        yield Increment(Scope.CAMERA, camera.camera, Metric.WATCHED_MS, milliseconds(camera.watched_seconds))
        yield Increment(Scope.CAMERA, camera.camera, Metric.ANALYSED_FRAMES, camera.analysed_frames)
        yield Increment(Scope.CAMERA, camera.camera, Metric.DROPPED_FRAMES, camera.dropped_frames)
        yield Increment(Scope.CAMERA, camera.camera, Metric.PERSON_TENTHS, tenths(camera.person_seconds))
    for zone in item.zones:
        yield Increment(Scope.ZONE, zone.zone, Metric.PERSON_TENTHS, tenths(zone.person_seconds))


@maxima.register
def _occupancy_peaks(item: Occupancy) -> Iterator[Maximum]:
    for camera in item.cameras:
        yield Maximum(Scope.CAMERA, camera.camera, Peak.PEOPLE, camera.max_people)
        if item.at is not None:
            yield Maximum(Scope.CAMERA, camera.camera, Peak.REPORTED_AT_MS, milliseconds(item.at.timestamp()))
    for zone in item.zones:
        yield Maximum(Scope.ZONE, zone.zone, Peak.PEOPLE, zone.max_people)
    if item.inside is not None:
        yield Maximum(Scope.SCENE, item.scene, Peak.INSIDE, item.inside)


@increments.register
def _queue(item: Queue) -> Iterator[Increment]:
    for queue in item.queues:
        yield Increment(Scope.ZONE, queue.zone, Metric.QUEUE_REPORTS, 1)
        yield Increment(Scope.ZONE, queue.zone, Metric.QUEUE_LENGTH_MILLI, milliseconds(queue.mean_length))
        yield Increment(Scope.ZONE, queue.zone, Metric.QUEUE_SERVED, queue.served)
        yield Increment(Scope.ZONE, queue.zone, Metric.QUEUE_ABANDONED, queue.abandoned)
        yield from _histogram(queue.zone, Metric.QUEUE_WAITS, queue.waits)


@maxima.register
def _queue_peaks(item: Queue) -> Iterator[Maximum]:
    for queue in item.queues:
        yield Maximum(Scope.ZONE, queue.zone, Peak.QUEUE_LENGTH, queue.max_length)


@increments.register
def _flow(item: Flow) -> Iterator[Increment]:
    return _undisclosed(item.scene, item.undisclosed, UndisclosedBin.FLOW)


@increments.register
def _attention(item: Attention) -> Iterator[Increment]:
    yield from _undisclosed(item.scene, item.undisclosed, UndisclosedBin.ATTENTION)
    for zone in item.zones:
        yield Increment(Scope.ZONE, zone.zone, Metric.ATTENTION_VISITS, zone.visits)
        yield from _histogram(zone.zone, Metric.ATTENTION_SCORES, zone.scores)
        for behaviour in zone.behaviours:
            place = EngagementBin[behaviour.engagement.name]
            yield Increment(Scope.ZONE, zone.zone, Metric.ATTENTION_BEHAVIOURS, behaviour.count, place)


@increments.register
def _demographics(item: Demographics) -> Iterator[Increment]:
    yield from _undisclosed(item.scene, item.undisclosed, UndisclosedBin.DEMOGRAPHICS)
    for group in item.groups:
        place = DemographicBin.of(group.age, group.gender)
        yield Increment(Scope.ZONE, group.zone, Metric.DEMOGRAPHICS, group.count, place)


def _undisclosed(scene: str, count: int, place: UndisclosedBin) -> Iterator[Increment]:
    if count:
        yield Increment(Scope.SCENE, scene, Metric.UNDISCLOSED, count, place)


def _histogram(zone: str, metric: Metric, counts: Sequence[int]) -> Iterator[Increment]:
    return (Increment(Scope.ZONE, zone, metric, count, place) for place, count in enumerate(counts) if count)
