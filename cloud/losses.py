"""What is missing from a venue's numbers, and is said so: declared gaps, and visits in groups too small to show."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, col, or_, select

from cloud.periods import Period
from cloud.store.metrics import Metric, UndisclosedBin
from cloud.store.tables import Enrolment, GapRecord
from cloud.sums import Sum

__all__ = [
    "NOTHING_LOST",
    "Gaps",
    "Undisclosed",
    "gap_rows",
    "gaps_of",
    "lost_by_type",
    "lost_within",
    "undisclosed_of",
]

NOTHING_LOST = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Holes that the venue's boxes declared, by what they say of when and of how many items they lost.

    `merged` ones lost nothing and are left out. Any other may reach over merged items too, so its length says nothing.
    """

    declared: int
    lost_items: int
    lost_by_type: dict[str, int]
    lost_by_reason: dict[str, int]
    without_time: Annotated[int, Field(description="gaps that do not say when; they are counted in each period")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisclosed:
    """Visits left out of grouped figures, because fewer than k shared the group."""

    flow: int
    attention: int
    demographics: int


def gap_rows(session: Session, *, venue: str, period: Period) -> Sequence[GapRecord]:
    """The gaps of a period, of the boxes that were enrolled in the venue at that time."""
    query = (
        select(GapRecord)
        .join(Enrolment, col(Enrolment.box) == col(GapRecord.box))
        .where(
            col(Enrolment.venue) == venue,
            col(GapRecord.reason) != NOTHING_LOST,
            or_(col(GapRecord.start_ms).is_(None), col(GapRecord.start_ms) < period.end_ms),
            or_(col(GapRecord.end_ms).is_(None), col(GapRecord.end_ms) >= period.start_ms),
            or_(col(GapRecord.end_ms).is_(None), col(GapRecord.end_ms) >= col(Enrolment.from_ms)),
            or_(
                col(Enrolment.until_ms).is_(None),
                col(GapRecord.start_ms).is_(None),
                col(GapRecord.start_ms) < col(Enrolment.until_ms),
            ),
        )
        .distinct()
    )
    return session.exec(query).all()


def gaps_of(rows: Sequence[GapRecord]) -> Gaps:
    """What gaps lost together."""
    by_reason, by_type = Counter[str](), Counter[str]()
    for row in rows:
        lost = lost_by_type(row.lost_by_type)
        by_reason[row.reason] += sum(lost.values())
        by_type.update(lost)
    return Gaps(
        declared=len(rows),
        lost_items=by_reason.total(),
        lost_by_type=dict(sorted(by_type.items())),
        lost_by_reason=dict(sorted(by_reason.items())),
        without_time=sum(row.start_ms is None for row in rows),
    )


def lost_within(rows: Iterable[GapRecord], *, period: Period) -> Mapping[str, float]:
    """How many items of each type gaps lost in a period, were each lost evenly over the time that its gap names.

    What a gap lost that names no time lies nowhere.
    """
    found = defaultdict[str, float](float)
    for row in rows:
        if row.start_ms is None or row.end_ms is None:
            continue
        within_ms = min(row.end_ms, period.end_ms) - max(row.start_ms, period.start_ms)
        share = within_ms / (row.end_ms - row.start_ms) if row.end_ms > row.start_ms else 1.0
        for kind, count in lost_by_type(row.lost_by_type).items():
            found[kind] += count * max(0.0, share)
    return found


def lost_by_type(text: str) -> dict[str, int]:
    """How many items of each type a gap lost, as the box said and GapRecord keeps it."""
    return {entry["type"]: entry["count"] for entry in json.loads(text)}


def undisclosed_of(rows: Iterable[Sum]) -> Undisclosed:
    """Sums of what was left out, by the figures it is missing from."""
    counts = Counter[int]()
    for row in rows:
        if row.metric is Metric.UNDISCLOSED:
            counts[row.bin] += row.value
    return Undisclosed(
        flow=counts[UndisclosedBin.FLOW],
        attention=counts[UndisclosedBin.ATTENTION],
        demographics=counts[UndisclosedBin.DEMOGRAPHICS],
    )
