"""What one item adds to the sums and peaks of its 15-minute bucket: pure arithmetic over one item.

Knows the items and the names of the metrics; refuses to know boxes, venues, databases and whether an item counts.
"""

from collections.abc import Iterable, Iterator, Sequence

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

__all__ = ["Increment", "Maximum", "PeakKey", "SumKey", "increments", "maxima", "milliseconds", "tenths"]

_COUNTED = frozenset({Began.ENTERED, Began.APPEARED})


# Plain tuples, and not classes: an item makes a dozen of them, which are at once the keys of what they are added to.
SumKey = tuple[Scope, str, Metric, int]
"""One sum of a bucket: scope, subject, metric and bin."""
Increment = tuple[SumKey, int]
"""What to add to a sum."""
PeakKey = tuple[Scope, str, Peak]
"""One peak of a bucket: scope, subject and metric."""
Maximum = tuple[PeakKey, int]
"""What a peak has to reach."""


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def tenths(seconds: float) -> int:
    """Person-seconds as whole tenths."""
    return round(seconds * 10)


def increments(item: Item) -> Iterable[Increment]:  # noqa: PLR0911  a table of the types, in the order of how many come
    """What an item adds to sums; nothing for types that are only stored."""
    match item:
        case Occupancy():
            return _occupancy(item)
        case Queue():
            return _queue(item)
        case Visit():
            return _visit(item)
        case Crossing():
            return _directions(Metric.CROSSINGS, item.lines)
        case Staff():
            return _directions(Metric.STAFF_CROSSINGS, item.lines)
        case Flow():
            return _undisclosed(item.scene, item.undisclosed, UndisclosedBin.FLOW)
        case Attention():
            return _attention(item)
        case Demographics():
            return _demographics(item)
        case _:
            return ()


def maxima(item: Item) -> Iterable[Maximum]:
    """Which peaks an item may raise."""
    match item:
        case Occupancy():
            return _occupancy_peaks(item)
        case Queue():
            return _queue_peaks(item)
        case _:
            return ()


def _visit(item: Visit) -> Iterator[Increment]:
    scene = item.scene
    yield (Scope.SCENE, scene, Metric.VISITS if item.began in _COUNTED else Metric.VISITS_RESUMED, 0), 1
    yield (Scope.SCENE, scene, Metric.VISIT_ENDS, EndBin[item.ended.name]), 1
    yield (Scope.SCENE, scene, Metric.DWELL_MS, 0), milliseconds(item.dwell_seconds)
    yield (Scope.SCENE, scene, Metric.DWELL_HISTOGRAM, bin_of(item.dwell_seconds)), 1
    if item.engagement is not None:
        yield (Scope.SCENE, scene, Metric.VISIT_ENGAGEMENT, EngagementBin[item.engagement.name]), 1
    if item.engagement_score is not None:
        score_bin = bin_of(item.engagement_score, SCORE_BOUNDS)
        yield (Scope.SCENE, scene, Metric.ENGAGEMENT_SCORES, score_bin), 1
    for stay in item.zones:
        yield (Scope.ZONE, stay.zone, Metric.ZONE_VISITS, 0), 1
        yield (Scope.ZONE, stay.zone, Metric.ZONE_DWELL_MS, 0), milliseconds(stay.seconds)
        yield (Scope.ZONE, stay.zone, Metric.ZONE_DWELL_HISTOGRAM, bin_of(stay.seconds)), 1


def _directions(metric: Metric, lines: Iterable[LineCount]) -> Iterator[Increment]:
    for line in lines:
        yield (Scope.LINE, line.line, metric, DirectionBin.IN), line.inward
        yield (Scope.LINE, line.line, metric, DirectionBin.OUT), line.outward


def _occupancy(item: Occupancy) -> Iterator[Increment]:
    yield (Scope.SCENE, item.scene, Metric.REPORTS, 0), 1
    yield (Scope.SCENE, item.scene, Metric.REPORTED_MS, 0), item.length_seconds * 1000
    if item.drift:
        sign = SignBin.POSITIVE if item.drift > 0 else SignBin.NEGATIVE
        yield (Scope.SCENE, item.scene, Metric.DRIFT, sign), abs(item.drift)
    for camera in item.cameras:
        yield (Scope.CAMERA, camera.camera, Metric.WATCHED_MS, 0), milliseconds(camera.watched_seconds)
        yield (Scope.CAMERA, camera.camera, Metric.ANALYSED_FRAMES, 0), camera.analysed_frames
        yield (Scope.CAMERA, camera.camera, Metric.DROPPED_FRAMES, 0), camera.dropped_frames
        yield (Scope.CAMERA, camera.camera, Metric.PERSON_TENTHS, 0), tenths(camera.person_seconds)
    for zone in item.zones:
        yield (Scope.ZONE, zone.zone, Metric.PERSON_TENTHS, 0), tenths(zone.person_seconds)


def _occupancy_peaks(item: Occupancy) -> Iterator[Maximum]:
    for camera in item.cameras:
        yield (Scope.CAMERA, camera.camera, Peak.PEOPLE), camera.max_people
        if item.at is not None:
            yield (Scope.CAMERA, camera.camera, Peak.REPORTED_AT_MS), milliseconds(item.at.timestamp())
    for zone in item.zones:
        yield (Scope.ZONE, zone.zone, Peak.PEOPLE), zone.max_people
    if item.inside is not None:
        yield (Scope.SCENE, item.scene, Peak.INSIDE), item.inside


def _queue(item: Queue) -> Iterator[Increment]:
    for queue in item.queues:
        yield (Scope.ZONE, queue.zone, Metric.QUEUE_REPORTS, 0), 1
        yield (Scope.ZONE, queue.zone, Metric.QUEUE_LENGTH_MILLI, 0), milliseconds(queue.mean_length)
        yield (Scope.ZONE, queue.zone, Metric.QUEUE_SERVED, 0), queue.served
        yield (Scope.ZONE, queue.zone, Metric.QUEUE_ABANDONED, 0), queue.abandoned
        yield from _histogram(queue.zone, Metric.QUEUE_WAITS, queue.waits)


def _queue_peaks(item: Queue) -> Iterator[Maximum]:
    for queue in item.queues:
        yield (Scope.ZONE, queue.zone, Peak.QUEUE_LENGTH), queue.max_length


def _attention(item: Attention) -> Iterator[Increment]:
    yield from _undisclosed(item.scene, item.undisclosed, UndisclosedBin.ATTENTION)
    for zone in item.zones:
        yield (Scope.ZONE, zone.zone, Metric.ATTENTION_VISITS, 0), zone.visits
        yield from _histogram(zone.zone, Metric.ATTENTION_SCORES, zone.scores)
        for behaviour in zone.behaviours:
            place = EngagementBin[behaviour.engagement.name]
            yield (Scope.ZONE, zone.zone, Metric.ATTENTION_BEHAVIOURS, place), behaviour.count


def _demographics(item: Demographics) -> Iterator[Increment]:
    yield from _undisclosed(item.scene, item.undisclosed, UndisclosedBin.DEMOGRAPHICS)
    for group in item.groups:
        place = DemographicBin.of(group.age, group.gender)
        yield (Scope.ZONE, group.zone, Metric.DEMOGRAPHICS, place), group.count


def _undisclosed(scene: str, count: int, place: UndisclosedBin) -> Iterator[Increment]:
    if count:
        yield (Scope.SCENE, scene, Metric.UNDISCLOSED, place), count


def _histogram(zone: str, metric: Metric, counts: Sequence[int]) -> Iterator[Increment]:
    return (((Scope.ZONE, zone, metric, place), count) for place, count in enumerate(counts) if count)
