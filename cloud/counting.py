"""A venue's visitors, counted as the layouts in force in each bucket say, and not those of today.

A box's layout is in force from the change to it until the next, in the venue that it names and while the box is
enrolled there; the first one also before. A bucket is counted by entrance lines where some box names one all through.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sqlmodel import Session, col, select

from cloud.layouts import Place, venue_layout
from cloud.periods import Period
from cloud.store.metrics import BUCKET_MS, Metric, Scope, bucket_of
from cloud.store.tables import Enrolment, LayoutChange
from cloud.store.tables import Layout as LayoutRow
from cloud.sums import totals_by_bucket
from protocol.configuration import Layout, LineKind

__all__ = ["CountedBy", "Counting", "counted_by", "counting_of", "visitors_by_bucket"]

_FOR_EVER_MS = 2**62


class CountedBy(StrEnum):
    """What a number of visitors was counted from."""

    ENTRANCE_LINES = "entrance-lines"
    VISITS = "visits"
    MIXED = "mixed"
    """Some of the period by entrance lines, some by visits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """A part of a period and what its visitors are counted from: entrance lines, or without any the scenes' visits.

    `scenes` is None for all of them, where no layout is known.
    """

    period: Period
    entrances: frozenset[Place]
    scenes: frozenset[Place] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """A layout in force, from `start_ms` until before `end_ms`."""

    box: str
    start_ms: int
    end_ms: int
    entrances: frozenset[Place]
    scenes: frozenset[Place]


def counting_of(session: Session, *, venue: str, period: Period) -> tuple[Counting, ...]:
    """The parts of a period in order, without those in which no layout was in force; never empty."""
    spans = [span for span in _spans(session, venue=venue) if _overlaps(span, period)]
    parts: list[Counting] = []
    for part in _parts(spans, period):
        in_force = [span for span in spans if _overlaps(span, part)]
        if in_force:
            parts.append(_counting(in_force, part))
    if parts:
        return tuple(parts)
    newest = venue_layout(session, venue=venue)
    return (Counting(period=period, entrances=newest.entrances, scenes=newest.counting_scenes),)


def counted_by(counting: Iterable[Counting]) -> CountedBy:
    """How all of a period was counted."""
    ways = {CountedBy.ENTRANCE_LINES if part.entrances else CountedBy.VISITS for part in counting}
    return CountedBy.MIXED if len(ways) > 1 else ways.pop()


def visitors_by_bucket(session: Session, *, venue: str, counting: Iterable[Counting]) -> dict[int, int]:
    """Visitors that came in each bucket; staff who came in earlier can make one negative."""
    visitors: dict[int, int] = {}
    for part in counting:
        visitors |= _visitors_of_part(session, venue=venue, part=part)
    return visitors


def _visitors_of_part(session: Session, *, venue: str, part: Counting) -> dict[int, int]:
    def totals(scope: Scope, metric: Metric, places: frozenset[Place] | None) -> dict[int, int]:
        return totals_by_bucket(session, venue=venue, scope=scope, metric=metric, period=part.period, places=places)

    # Bin 0 of a line's crossings are those inwards.
    if part.entrances:
        staff = totals(Scope.LINE, Metric.STAFF_CROSSINGS, part.entrances)
        everyone = totals(Scope.LINE, Metric.CROSSINGS, part.entrances)
        return {bucket: everyone.get(bucket, 0) - staff.get(bucket, 0) for bucket in {*everyone, *staff}}
    return totals(Scope.SCENE, Metric.VISITS, part.scenes)


def _counting(in_force: list[_Span], part: Period) -> Counting:
    steady = {span.box for span in in_force} - {span.box for span in in_force if not span.entrances}
    entrances = frozenset[Place]().union(*(span.entrances for span in in_force)) if steady else frozenset[Place]()
    scenes = frozenset[Place]().union(*(span.scenes for span in in_force))
    return Counting(period=part, entrances=entrances, scenes=scenes)


def _parts(spans: list[_Span], period: Period) -> Iterator[Period]:
    """The stretches between changes; a bucket in which something changes stands alone."""
    cuts = {period.start_ms, period.end_ms}
    for moment in {moment for span in spans for moment in (span.start_ms, span.end_ms)}:
        bucket = bucket_of(moment)
        cuts |= {bucket, bucket if bucket == moment else bucket + BUCKET_MS}
    within = sorted(cut for cut in cuts if period.start_ms <= cut <= period.end_ms)
    return (Period(start_ms=start, end_ms=end) for start, end in pairwise(within))


def _overlaps(span: _Span, period: Period) -> bool:
    return span.start_ms < period.end_ms and period.start_ms < span.end_ms


def _spans(session: Session, *, venue: str) -> Iterator[_Span]:
    """What was in force in a venue; neighbours of one configuration are one."""
    rows = session.exec(select(LayoutRow).where(col(LayoutRow.venue) == venue)).all()
    layouts = {(row.box, row.config): _ways(row) for row in rows}
    boxes = {row.box for row in rows}
    for box in sorted(boxes):
        enrolments = session.exec(
            select(Enrolment).where(col(Enrolment.box) == box, col(Enrolment.venue) == venue)
        ).all()
        for start_ms, end_ms, config in _changes(session, box=box, venue=venue):
            entrances, scenes = layouts[box, config]
            for enrolled in enrolments:
                start = max(start_ms, enrolled.from_ms)
                end = min(end_ms, _FOR_EVER_MS if enrolled.until_ms is None else enrolled.until_ms)
                if start < end:
                    yield _Span(box=box, start_ms=start, end_ms=end, entrances=entrances, scenes=scenes)


def _changes(session: Session, *, box: str, venue: str) -> Iterator[tuple[int, int, str]]:
    """From when until when a box had which configuration in a venue."""
    order = (col(LayoutChange.at_ms), col(LayoutChange.received_ms), col(LayoutChange.seq))
    rows = session.exec(select(LayoutChange).where(col(LayoutChange.box) == box).order_by(*order)).all()
    changes = [
        row
        for before, row in zip([None, *rows], rows, strict=False)
        if before is None or (before.venue, before.config) != (row.venue, row.config)
    ]
    starts = [0, *(row.at_ms for row in changes[1:]), _FOR_EVER_MS]
    for row, (start_ms, end_ms) in zip(changes, pairwise(starts), strict=False):
        if row.venue == venue:
            yield start_ms, end_ms, row.config


def _ways(row: LayoutRow) -> tuple[frozenset[Place], frozenset[Place]]:
    """A layout's entrance lines and its scenes that count."""
    layout = Layout.read(row.body)
    entrances = frozenset((row.box, line.line) for line in layout.lines if line.kind is LineKind.ENTRANCE)
    return entrances, frozenset((row.box, scene.scene) for scene in layout.scenes if scene.counting)
