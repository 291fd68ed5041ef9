"""Certificates of lines: how well each was found to count by hand, and whether that still holds.

A certificate holds as long as the layout gives its line the same setup, and for counts from before it too; of several
with one setup the newest counts. It ends when a camera of the line's scene is said to look elsewhere, unless the same
run of the box takes that back: a box that starts anew no longer knows where the camera looked. Which cameras those are
is told by the layouts that give the line the setup that was checked, as all of one setup have the same.

What a box made without knowing the time stands where it was made at the latest, by the box's own word: the start of
the next run that knew, and so after all that was timed before and before all that was timed since. When it came in says
nothing: it may have waited for days, and a box sends its newest first. Of one moment, seq tells the order within an
epoch; of two epochs, a camera that looks elsewhere counts as the later, which claims less.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlalchemy import or_
from sqlmodel import Session, col, select

from cloud.certainty import Accuracy, RestsOn, accuracy
from cloud.layouts import Place, VenueLayout, known_layouts
from cloud.periods import format_local
from cloud.store.metrics import BUCKET_MS, DirectionBin
from cloud.store.tables import CameraState, Certificate, Venue
from cloud.venues import zone_of
from protocol.events import CameraState as State
from protocol.events import HealthReason
from protocol.proportions import wilson

__all__ = ["CertificateEnd", "Certificates", "CheckedDirection", "LineCertificate", "certificates_of", "shown"]

_Span = tuple[float, float] | None


class CertificateEnd(StrEnum):
    """Why a certificate holds no more."""

    CHANGED = "changed"
    """The line, its cameras or the model are not those that were checked."""
    MOVED = "moved"
    """A camera of the line's scene looks elsewhere than it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDirection:
    """What the box and a person counted beside each other; shares have Wilson's 95 % intervals."""

    counted: int
    by_hand: int
    matched: int
    recall: Annotated[float | None, Field(description="matched ÷ by_hand")]
    recall_interval: _Span
    precision: Annotated[float | None, Field(description="matched ÷ counted; null where nothing was counted")]
    precision_interval: _Span


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCertificate:
    """The newest certificate of a line; `taken_in` is on the venue's clock, null where the box knew none."""

    line: str
    taken_in: str | None
    holds: bool
    ended: CertificateEnd | None
    method: str
    model: str
    model_digest: str | None
    length_seconds: int
    inward: CheckedDirection | None
    outward: CheckedDirection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """A venue's certificates by line and setup, and since when cameras have looked elsewhere than these say."""

    newest: Mapping[tuple[Place, str], Certificate]
    moved_ms: Mapping[tuple[Place, str], int]

    def accuracy(self, line: Place, setup: str | None, direction: DirectionBin, *, bucket_ms: int) -> Accuracy | None:
        """What is known of a line's counts of a bucket; None where nothing is."""
        row = self.newest.get((line, setup or ""))
        if row is None or bucket_ms + BUCKET_MS > self.moved_ms.get((line, row.setup), bucket_ms + BUCKET_MS):
            return None
        checked = _checked(row, direction)
        if checked is None:
            return None
        counted, by_hand, matched = checked
        return accuracy(counted=counted, true=by_hand, matched=matched, rests_on=RestsOn.CERTIFICATE)


def certificates_of(session: Session, *, venue: str) -> Certificates:
    """All that may hold; read once a session, which is one answer."""
    kept: dict[str, Certificates] = session.info.setdefault("certificates", {})
    if venue not in kept:
        kept[venue] = _read(session, venue=venue)
    return kept[venue]


def shown(
    certificates: Certificates, *, layout: VenueLayout, camera: Place, venue: Venue
) -> tuple[LineCertificate, ...]:
    """Of each line of a camera the certificate of its present setup, or one of an earlier setup where there is none."""
    by_line: dict[str, Certificate] = {}
    for (line, setup), row in certificates.newest.items():
        if (row.box, row.camera) == camera and (row.line not in by_line or _present(layout, line) == setup):
            by_line[row.line] = row
    return tuple(
        _shown(by_line[line], certificates=certificates, layout=layout, venue=venue) for line in sorted(by_line)
    )


def _present(layout: VenueLayout, line: Place) -> str | None:
    known = layout.lines.get(line)
    return None if known is None else known.setup


def _shown(row: Certificate, *, certificates: Certificates, layout: VenueLayout, venue: Venue) -> LineCertificate:
    line = (row.box, row.line)
    ended = None
    if _present(layout, line) != row.setup:
        ended = CertificateEnd.CHANGED
    elif (line, row.setup) in certificates.moved_ms:
        ended = CertificateEnd.MOVED
    return LineCertificate(
        line=row.line,
        taken_in=None if row.at_ms is None else format_local(row.at_ms, zone=zone_of(venue)),
        holds=ended is None,
        ended=ended,
        method=row.method,
        model=row.model,
        model_digest=row.model_digest,
        length_seconds=row.length_seconds,
        inward=_shown_direction(row, DirectionBin.IN),
        outward=_shown_direction(row, DirectionBin.OUT),
    )


def _shown_direction(row: Certificate, direction: DirectionBin) -> CheckedDirection | None:
    checked = _checked(row, direction)
    if checked is None:
        return None
    counted, by_hand, matched = checked
    return CheckedDirection(
        counted=counted,
        by_hand=by_hand,
        matched=matched,
        recall=_share(matched, by_hand),
        recall_interval=_rounded(wilson(matched, by_hand)),
        precision=_share(matched, counted),
        precision_interval=_rounded(wilson(matched, counted)),
    )


def _read(session: Session, *, venue: str) -> Certificates:
    age = col(Certificate.latest_ms), col(Certificate.seq), col(Certificate.received_ms)
    rows = session.exec(select(Certificate).where(col(Certificate.venue) == venue).order_by(*age)).all()
    newest = {((row.box, row.line), row.setup): row for row in rows}
    moved_ms: dict[tuple[Place, str], int] = {}
    for key, cameras in _cameras(session, venue=venue, newest=newest).items():
        moved = [_moved_ms(session, row=newest[key], camera=camera) for camera in cameras]
        if since := [at_ms for at_ms in moved if at_ms is not None]:
            moved_ms[key] = min(since)
    return Certificates(newest=newest, moved_ms=moved_ms)


def _cameras(
    session: Session, *, venue: str, newest: Mapping[tuple[Place, str], Certificate]
) -> dict[tuple[Place, str], set[str]]:
    """The cameras of each line's scene in the setup that was checked; of one that no layout has, its own alone."""
    cameras = {key: {row.camera} for key, row in newest.items()}
    boxes = {row.box for row in newest.values()}
    for row in known_layouts(session, venue=venue) if boxes else ():
        layout = row.layout
        for line in layout.lines if row.box in boxes else ():
            known = cameras.get(((row.box, line.line), line.setup or ""))
            if known is not None:
                known |= {camera.camera for camera in layout.cameras if camera.scene == line.scene}
    return cameras


def _moved_ms(session: Session, *, row: Certificate, camera: str) -> int | None:
    """Since when a camera has looked elsewhere, after the certificate; None where it does not, or does no more."""
    query = select(CameraState).where(
        col(CameraState.box) == row.box,
        col(CameraState.camera) == camera,
        col(CameraState.at_ms) >= row.latest_ms,
        or_(col(CameraState.epoch) != row.epoch, col(CameraState.seq) > row.seq),
    )
    order = (col(CameraState.at_ms), col(CameraState.seq), col(CameraState.received_ms))
    moved: CameraState | None = None
    for state in session.exec(query.order_by(*order)):
        if state.reason == HealthReason.MOVED:
            moved = moved or state
        elif moved is not None and state.epoch == moved.epoch and _looks_where_it_did(state):
            moved = None
    return None if moved is None else moved.at_ms


def _looks_where_it_did(state: CameraState) -> bool:
    """Whether the box's finding leaves no room for a camera that was turned: it tells what is worst."""
    return state.state == State.ONLINE or state.reason == HealthReason.OVERLOADED


def _checked(row: Certificate, direction: DirectionBin) -> tuple[int, int, int] | None:
    """Counted, by hand and matched; None of a direction that was not checked."""
    found = (
        (row.in_counted, row.in_by_hand, row.in_matched)
        if direction is DirectionBin.IN
        else (row.out_counted, row.out_by_hand, row.out_matched)
    )
    counted, by_hand, matched = found
    return None if counted is None or by_hand is None or matched is None else (counted, by_hand, matched)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(span: _Span) -> _Span:
    return None if span is None else (round(span[0], 4), round(span[1], 4))
