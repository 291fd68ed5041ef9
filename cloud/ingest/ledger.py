"""The rows of one transaction: gathered item by item, written at the end in key order.

Sums are added up in memory first, so that a thousand visits of one bucket touch a handful of rows. The caller holds
the locks of all boxes that it writes for. Knows the tables, and nothing of receipts, acks or why an item counts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select, update

from cloud.ingest.cameras import CameraNews, keep_cameras
from cloud.ingest.certificates import certificate_row
from cloud.ingest.gaps import still_lost
from cloud.ingest.intake import Refused
from cloud.ingest.judgement import Counted, HeldBack, Rejected, Verdict
from cloud.ingest.receipts import Range
from cloud.ingest.rollups import PeakKey, SumKey, increments, maxima
from cloud.ingest.tiles import PlacedTile, merge_tiles
from cloud.store.body import body_of
from cloud.store.metrics import bucket_of, day_start
from cloud.store.moments import to_ms
from cloud.store.tables import Box, Certificate, DeadLetter, Event, GapRecord, Held, Rollup, RollupDue, RollupPeak
from cloud.store.upsert import Row, add_to, append_rows, insert_missing, insert_rows, raise_to, table_of
from protocol.envelope import Gap, ReadItem
from protocol.events import CameraCertificate
from protocol.tiles import Tile
from protocol.wire import JsonObject

__all__ = ["Arrival", "Ledger"]

_BOX, _DEAD = table_of(Box), table_of(DeadLetter)
_Bucket = tuple[str, str, int]
"""A venue, a box in it, and when the bucket starts."""
_SUM_COLUMNS = ("venue", "metric", "scope", "bucket_ms", "box", "subject", "bin", "value")
_PEAK_COLUMNS = ("venue", "metric", "scope", "bucket_ms", "box", "subject", "value")
_SLUG: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What names an item for ever, and when it came."""

    box: str
    epoch: str
    seq: int
    received_ms: int


@dataclass(kw_only=True, slots=True)
class Ledger:
    """What one transaction will write."""

    now_ms: int
    events: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)
    gaps: list[tuple[Gap, int, Row]] = field(default_factory=list)
    """A gap, how many of its seqs are new, and the row of one of its parts."""
    sums: defaultdict[_Bucket, Counter[SumKey]] = field(default_factory=lambda: defaultdict(Counter))
    peaks: defaultdict[_Bucket, dict[PeakKey, int]] = field(default_factory=lambda: defaultdict(dict))
    tiles: list[PlacedTile] = field(default_factory=list)
    cameras: CameraNews = field(default_factory=CameraNews)
    certificates: list[Row] = field(default_factory=list)

    def enter(self, arrival: Arrival, read: ReadItem, verdict: Verdict) -> None:
        """Take a newly received item as its verdict says."""
        match verdict:
            case Counted():
                self._count(arrival, read, verdict)
            case HeldBack():
                self._hold(arrival, read, verdict)
            case Rejected():
                self.bury(arrival, read, verdict.reason)

    def bury(self, arrival: Arrival, read: ReadItem, reason: str) -> None:
        """Keep an item that breaks its model as a dead letter."""
        body = body_of(read.raw)
        self.dead_letters.append(
            {
                "id": f"{arrival.box}:{arrival.epoch}:{arrival.seq}",
                "box": arrival.box,
                "epoch": arrival.epoch,
                "seq": arrival.seq,
                "sha256": hashlib.sha256(body.encode()).hexdigest(),
                "reason": reason,
                "received_ms": arrival.received_ms,
                "body": body,
            }
        )

    def bury_payload(self, refused: Refused) -> None:
        """Keep a payload that could not be taken as a dead letter; a second time changes nothing."""
        self.dead_letters.append(
            {
                "id": f"{refused.box}:{refused.sha256}",
                "box": refused.box,
                "epoch": None,
                "seq": None,
                "sha256": refused.sha256,
                "reason": refused.reason,
                "received_ms": self.now_ms,
                "body": refused.body,
            }
        )

    def enter_gap(self, box: str, gap: Gap, parts: Iterable[Range]) -> None:
        """Keep the parts of a gap that nothing was received of; what it lost by type stands with the first."""
        parts = tuple(parts)
        new_seqs = sum(last - first + 1 for first, last in parts)
        for number, (first, last) in enumerate(parts):
            row = {
                "box": box,
                "epoch": gap.epoch,
                "first_seq": first,
                "last_seq": last,
                "reason": str(gap.reason),
                "start_ms": to_ms(gap.start) if gap.start else None,
                "end_ms": to_ms(gap.end) if gap.end else None,
                "received_ms": self.now_ms,
            }
            self.gaps.append((gap if number == 0 else gap.model_copy(update={"lost_by_type": ()}), new_seqs, row))

    def write(self, connection: Connection) -> None:
        """Write everything, each table in the order of its key."""
        append_rows(connection, Event, sorted(self.events, key=_by_name))
        insert_rows(connection, Held, sorted(self.held, key=_by_name))
        _keep_dead_letters(connection, self.dead_letters)
        insert_rows(connection, GapRecord, [_gap_row(connection, *one) for one in self.gaps])
        insert_missing(connection, RollupDue, _due_rows({*self.sums, *self.peaks}))
        add_to(connection, Rollup, _sum_rows(self.sums))
        raise_to(connection, RollupPeak, _peak_rows(self.peaks))
        merge_tiles(connection, self.tiles)
        keep_cameras(connection, self.cameras, now_ms=self.now_ms)
        insert_rows(connection, Certificate, sorted(self.certificates, key=_by_name))

    def _count(self, arrival: Arrival, read: ReadItem, counted: Counted) -> None:
        item = counted.item
        self.events.append(
            {
                "box": arrival.box,
                "epoch": arrival.epoch,
                "seq": arrival.seq,
                "type": item.type,
                "venue": item.venue,
                "scene": getattr(item, "scene", None),
                "config": item.config,
                "at_ms": counted.at_ms,
                "received_ms": arrival.received_ms,
                "body": body_of(read.raw),
            }
        )
        self.cameras.note(
            box=arrival.box, epoch=arrival.epoch, read=read, counted=counted, received_ms=arrival.received_ms
        )
        if isinstance(item, CameraCertificate):
            row = certificate_row(item, counted, box=arrival.box, epoch=arrival.epoch, received_ms=arrival.received_ms)
            self.certificates.append(row)
        if counted.at_ms is None:
            return
        if isinstance(item, Tile):
            self.tiles.append(PlacedTile(box=arrival.box, at_ms=counted.at_ms, tile=item))
        self._roll_up(arrival.box, counted, bucket_of(counted.at_ms))

    def _roll_up(self, box: str, counted: Counted, bucket_ms: int) -> None:
        bucket = (counted.item.venue, box, bucket_ms)
        sums, peaks = self.sums[bucket], self.peaks[bucket]
        for one, value in increments(counted.item):
            if value:
                sums[one] += value
        for peak, value in maxima(counted.item):
            peaks[peak] = max(value, peaks.get(peak, value))

    def _hold(self, arrival: Arrival, read: ReadItem, verdict: HeldBack) -> None:
        self.held.append(
            {
                "box": arrival.box,
                "epoch": arrival.epoch,
                "seq": arrival.seq,
                "type": read.type,
                "venue": _venue_of(read.raw),
                "reason": verdict.reason,
                "due_ms": verdict.due_ms,
                "received_ms": arrival.received_ms,
                "body": body_of(read.raw),
            }
        )


def _venue_of(raw: JsonObject) -> str:
    """The venue of an item that may be of a later version; empty when it is nothing like a venue."""
    venue = raw.get("venue")
    return venue if isinstance(venue, str) and 0 < len(venue) < 64 and _SLUG.issuperset(venue) else ""


def _keep_dead_letters(connection: Connection, rows: Iterable[Row]) -> None:
    """Keep what is not kept already, and count it for its box."""
    letters = {str(row["id"]): row for row in rows}
    if not letters:
        return
    payloads = [letter for letter, row in letters.items() if row["seq"] is None]
    known = connection.execute(select(_DEAD.c.id).where(_DEAD.c.id.in_(payloads))).scalars()
    for letter in list(known):
        del letters[letter]
    insert_missing(connection, DeadLetter, [letters[letter] for letter in sorted(letters)])
    for box, count in sorted(Counter(str(row["box"]) for row in letters.values()).items()):
        more = {"dead_letters": _BOX.c.dead_letters + count}
        connection.execute(update(_BOX).where(_BOX.c.box == box).values(more))


def _gap_row(connection: Connection, gap: Gap, new_seqs: int, row: Row) -> Row:
    lost = still_lost(connection, box=str(row["box"]), gap=gap, new_seqs=new_seqs) if gap.lost_by_type else ()
    return {**row, "lost_by_type": body_of([one.to_object() for one in lost])}


def _by_name(row: Row) -> tuple[object, ...]:
    return row["box"], row["epoch"], row["seq"]


def _due_rows(buckets: Iterable[_Bucket]) -> list[Row]:
    """The days whose sums over hours and days hold no more."""
    days = {(venue, day_start(bucket_ms), box) for venue, box, bucket_ms in buckets}
    return [{"venue": venue, "day_ms": day_ms, "box": box} for venue, day_ms, box in sorted(days)]


def _sum_rows(buckets: Mapping[_Bucket, Mapping[SumKey, int]]) -> list[Row]:
    rows = (
        (venue, metric, scope, bucket_ms, box, subject, place, value)
        for (venue, box, bucket_ms), sums in buckets.items()
        for (scope, subject, metric, place), value in sums.items()
    )
    return [dict(zip(_SUM_COLUMNS, row, strict=True)) for row in sorted(rows)]


def _peak_rows(buckets: Mapping[_Bucket, Mapping[PeakKey, int]]) -> list[Row]:
    rows = (
        (venue, metric, scope, bucket_ms, box, subject, value)
        for (venue, box, bucket_ms), peaks in buckets.items()
        for (scope, subject, metric), value in peaks.items()
    )
    return [dict(zip(_PEAK_COLUMNS, row, strict=True)) for row in sorted(rows)]
