"""A venue's visitors, counted as the layouts in force in each bucket say, and not those of today.

A box's layout is in force from the change to it until the next, in the venue that it names and while the box is
enrolled there; the first one also before. A bucket is counted by entrance lines where some box names one all through.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select
from sqlmodel import Session

from cloud.certainty import BENCHMARK_CROSSINGS, BENCHMARK_VISITS, Counts, Source, added
from cloud.certificates import Certificates, certificates_of
from cloud.layouts import KnownLayout, Place, known_layouts, venue_layout
from cloud.periods import LocalPart, PartKey, Period, Step
from cloud.store.metrics import BUCKET_MS, DirectionBin, Metric, Scope, bucket_of
from cloud.store.tables import Enrolment, LayoutChange
from cloud.store.upsert import table_of
from cloud.sums import sums, sums_by_part
from protocol.configuration import Line, LineKind

__all__ = [
    "CountedBy",
    "Counting",
    "Visitors",
    "counted_by",
    "counting_of",
    "crossings_by_line",
    "visitors_by_part",
    "visitors_of",
]

_FOR_EVER_MS = 2**62
_NO_TIME = Period(start_ms=0, end_ms=0)
_ENROLMENT, _CHANGE = table_of(Enrolment), table_of(LayoutChange)
# Making a statement takes longer than what it reads.
_ENROLMENTS = select(_ENROLMENT.c.from_ms, _ENROLMENT.c.until_ms).where(
    _ENROLMENT.c.box == bindparam("box"), _ENROLMENT.c.venue == bindparam("venue")
)
_CHANGES = (
    select(_CHANGE.c.at_ms, _CHANGE.c.venue, _CHANGE.c.config)
    .where(_CHANGE.c.box == bindparam("box"))
    .order_by(_CHANGE.c.at_ms, _CHANGE.c.received_ms, _CHANGE.c.seq)
)


class CountedBy(StrEnum):
    """What a number of visitors was counted from."""

    ENTRANCE_LINES = "entrance-lines"
    VISITS = "visits"
    MIXED = "mixed"
    """Some of the period by entrance lines, some by visits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """A part of a period and what its visitors are counted from: entrance lines, or without any the scenes' visits.

    `scenes` is None for all of them, where no layout is known, and so are `cameras`, those of the scenes. `lines` are
    all lines in force.
    """

    period: Period
    entrances: frozenset[Place]
    scenes: frozenset[Place] | None
    lines: Mapping[Place, Line]
    cameras: frozenset[Place] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitors:
    """Who came in each part of a period, by where they were counted; staff who came in earlier can make one negative.

    `counted` are stretches of the period, each with what might have counted in it; `else_counted` is what the newest
    layout says of all others, in which none was in force.
    """

    counted: tuple[tuple[Period, Counts], ...]
    else_counted: Counts
    by_part: Mapping[PartKey, Counts]

    def within(self, part: LocalPart) -> Counts:
        """Those of a part."""
        first, last = part.buckets[0], part.buckets[-1]
        there = [zeros for period, zeros in self.counted if period.start_ms <= last and first < period.end_ms]
        counts = self.by_part.get(part.key)
        if len(there) == 1:
            return there[0] if counts is None else counts
        return added([*there, counts or {}]) if there else self.else_counted

    @property
    def totals(self) -> dict[PartKey, int]:
        """How many came in each part in which anybody did."""
        return {key: sum(counts.values()) for key, counts in self.by_part.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """How a layout says to count."""

    entrances: frozenset[Place]
    scenes: frozenset[Place]
    lines: Mapping[Place, Line]
    cameras: frozenset[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """A layout in force, from `start_ms` until before `end_ms`."""

    box: str
    start_ms: int
    end_ms: int
    ways: _Ways


def counting_of(session: Session, *, venue: str, period: Period) -> tuple[Counting, ...]:
    """The parts of a period in order, without those in which no layout was in force; never empty."""
    spans = [span for span in _spans_of(session, venue=venue) if _overlaps(span, period)]
    parts: list[Counting] = []
    moved_ms = certificates_of(session, venue=venue).moved_ms.values()
    for part in _parts(spans, period, moved_ms):
        in_force = [span for span in spans if _overlaps(span, part)]
        if in_force:
            parts.append(_counting(in_force, part))
    if parts:
        return tuple(parts)
    return (_by_newest(session, venue, period),)


def counted_by(counting: Iterable[Counting]) -> CountedBy:
    """How all of a period was counted."""
    ways = {CountedBy.ENTRANCE_LINES if part.entrances else CountedBy.VISITS for part in counting}
    return CountedBy.MIXED if len(ways) > 1 else ways.pop()


def visitors_of(session: Session, *, venue: str, counting: Iterable[Counting]) -> Counts:
    """Those who came in all of a period."""
    certificates = certificates_of(session, venue=venue)
    return added(_counts_of_part(session, venue, part, certificates) for part in counting)


def visitors_by_part(
    session: Session, *, venue: str, counting: Iterable[Counting], zone: ZoneInfo, step: Step
) -> Visitors:
    """Those who came in each hour, day, week or month."""
    certificates = certificates_of(session, venue=venue)
    counted: list[tuple[Period, Counts]] = []
    by_part: dict[PartKey, Counter[Source]] = {}
    for part in counting:
        sources = _sources(part, certificates)
        zeros = Counter[Source](dict.fromkeys(sources.values(), 0))
        counted.append((part.period, zeros))
        signs = _signs(part)
        values = sums_by_part(
            session, venue=venue, scope=_scope(part), metrics=[*signs], period=part.period, zone=zone, step=step,
            number=DirectionBin.IN,
        )  # fmt: skip
        for (metric, place), found in values.items():
            if (source := _source_of(place, part, sources)) is not None:
                for key, value in found.items():
                    counts = by_part.get(key)
                    if counts is None:
                        counts = by_part[key] = zeros.copy()
                    counts[source] += signs[metric] * value
    by_newest = dict.fromkeys(_sources(_by_newest(session, venue, _NO_TIME), certificates).values(), 0)
    return Visitors(counted=tuple(counted), else_counted=by_newest, by_part=by_part)


def crossings_by_line(
    session: Session, *, venue: str, period: Period, direction: DirectionBin
) -> dict[Place, dict[Source, int]]:
    """Crossings of each line in one direction, staff's too, by how well they were counted."""

    def crossings(within: Period) -> dict[Place, int]:
        rows = sums(session, venue=venue, scope=Scope.LINE, metrics=[Metric.CROSSINGS], period=within)
        return {row.place: row.value for row in rows if row.bin == direction}

    certificates = certificates_of(session, venue=venue)
    found = defaultdict[Place, Counter[Source]](Counter)
    for part in counting_of(session, venue=venue, period=period):
        counted = crossings(part.period)
        for place in part.lines:
            found[place][_source(place, part, direction, certificates)] += counted.get(place, 0)
    # What no layout in force explains was counted all the same.
    unexplained = Source(accuracy=BENCHMARK_CROSSINGS, cameras=None)
    for place, count in crossings(period).items():
        if count > (explained := sum(found[place].values())):
            found[place][unexplained] += count - explained
    return {place: dict(counts) for place, counts in found.items()}


def _by_newest(session: Session, venue: str, period: Period) -> Counting:
    """A period in which no layout was in force, as the newest one says."""
    newest = venue_layout(session, venue=venue)
    return Counting(
        period=period,
        entrances=newest.entrances,
        scenes=newest.counting_scenes,
        lines=newest.lines,
        cameras=newest.counting_cameras,
    )


def _counts_of_part(session: Session, venue: str, part: Counting, certificates: Certificates) -> Counts:
    sources = _sources(part, certificates)
    counts = Counter[Source](dict.fromkeys(sources.values(), 0))
    signs = _signs(part)
    for row in sums(session, venue=venue, scope=_scope(part), metrics=[*signs], period=part.period):
        source = _source_of(row.place, part, sources)
        if source is not None and row.bin == DirectionBin.IN:
            counts[source] += signs[row.metric] * row.value
    return counts


def _signs(part: Counting) -> dict[Metric, int]:
    """What is added and what is taken away; visits have a bin 0 as ways in do."""
    return {Metric.CROSSINGS: 1, Metric.STAFF_CROSSINGS: -1} if part.entrances else {Metric.VISITS: 1}


def _scope(part: Counting) -> Scope:
    return Scope.LINE if part.entrances else Scope.SCENE


def _sources(part: Counting, certificates: Certificates) -> dict[Place | None, Source]:
    """What counts in a part of a period: each entrance, or all scenes together."""
    if part.entrances:
        return {place: _source(place, part, DirectionBin.IN, certificates) for place in part.entrances}
    return {None: Source(accuracy=BENCHMARK_VISITS, cameras=part.cameras)}


def _source_of(place: Place, part: Counting, sources: Mapping[Place | None, Source]) -> Source | None:
    """Where a line's or a scene's counts belong; None for those that do not count."""
    if part.entrances:
        return sources.get(place)
    return sources[None] if part.scenes is None or place in part.scenes else None


def _source(place: Place, part: Counting, direction: DirectionBin, certificates: Certificates) -> Source:
    """How well a line counted in a part of a period, and which camera had to watch it."""
    line = part.lines[place]
    certified = certificates.accuracy(place, line.setup, direction, bucket_ms=part.period.start_ms)
    return Source(accuracy=certified or BENCHMARK_CROSSINGS, cameras=frozenset({(place[0], line.camera)}))


def _counting(in_force: list[_Span], part: Period) -> Counting:
    ways = [span.ways for span in in_force]
    steady = {span.box for span in in_force} - {span.box for span in in_force if not span.ways.entrances}
    none = frozenset[Place]()
    return Counting(
        period=part,
        entrances=none.union(*(way.entrances for way in ways)) if steady else none,
        scenes=none.union(*(way.scenes for way in ways)),
        lines={place: line for way in ways for place, line in way.lines.items()},
        cameras=none.union(*(way.cameras for way in ways)),
    )


def _parts(spans: list[_Span], period: Period, moved_ms: Iterable[int]) -> Iterator[Period]:
    """The stretches between changes; a bucket in which something changes stands alone.

    A camera that moves ends certificates from the bucket on in which it does.
    """
    cuts = {period.start_ms, period.end_ms, *map(bucket_of, moved_ms)}
    for moment in {moment for span in spans for moment in (span.start_ms, span.end_ms)}:
        bucket = bucket_of(moment)
        cuts |= {bucket, bucket if bucket == moment else bucket + BUCKET_MS}
    within = sorted(cut for cut in cuts if period.start_ms <= cut <= period.end_ms)
    return (Period(start_ms=start, end_ms=end) for start, end in pairwise(within))


def _overlaps(span: _Span, period: Period) -> bool:
    return span.start_ms < period.end_ms and period.start_ms < span.end_ms


def _spans_of(session: Session, *, venue: str) -> tuple[_Span, ...]:
    """All of a venue; read once a session, which is one answer."""
    known: dict[str, tuple[_Span, ...]] = session.info.setdefault("spans", {})
    if venue not in known:
        known[venue] = tuple(_spans(session, venue=venue))
    return known[venue]


def _spans(session: Session, *, venue: str) -> Iterator[_Span]:
    """What was in force in a venue; neighbours of one configuration are one."""
    rows = known_layouts(session, venue=venue)
    layouts = {(row.box, row.config): _ways(row) for row in rows}
    boxes = {row.box for row in rows}
    for box in sorted(boxes):
        enrolments = session.connection().execute(_ENROLMENTS, {"box": box, "venue": venue}).all()
        for start_ms, end_ms, config in _changes(session, box=box, venue=venue):
            for enrolled in enrolments:
                start = max(start_ms, enrolled.from_ms)
                end = min(end_ms, _FOR_EVER_MS if enrolled.until_ms is None else enrolled.until_ms)
                if start < end:
                    yield _Span(box=box, start_ms=start, end_ms=end, ways=layouts[box, config])


def _changes(session: Session, *, box: str, venue: str) -> Iterator[tuple[int, int, str]]:
    """From when until when a box had which configuration in a venue."""
    rows = session.connection().execute(_CHANGES, {"box": box}).all()
    changes = [
        row
        for before, row in zip([None, *rows], rows, strict=False)
        if before is None or (before.venue, before.config) != (row.venue, row.config)
    ]
    starts = [0, *(row.at_ms for row in changes[1:]), _FOR_EVER_MS]
    for row, (start_ms, end_ms) in zip(changes, pairwise(starts), strict=False):
        if row.venue == venue:
            yield start_ms, end_ms, row.config


def _ways(row: KnownLayout) -> _Ways:
    layout = row.layout
    scenes = {scene.scene for scene in layout.scenes if scene.counting}
    return _Ways(
        entrances=frozenset((row.box, line.line) for line in layout.lines if line.kind is LineKind.ENTRANCE),
        scenes=frozenset((row.box, scene) for scene in scenes),
        lines={(row.box, line.line): line for line in layout.lines},
        cameras=frozenset((row.box, camera.camera) for camera in layout.cameras if camera.scene in scenes),
    )
