"""Boxes under lock: who they are, where they were enrolled, which epoch writes, and whether two write at once.

A box row is locked before anything of the box is read, always in key order. Knows the box's tables, no items.

An epoch that was never seen takes over by its arrival, because a box's clock may step back between two epochs. The one
before is a clone of the box's exchange when it brings news that was sent later than all that can still be on its way.
Only where the newcomer seems to be the older, it may itself have been long on its way: then the one before may come
back once.
"""

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from cloud.ingest.judgement import Enrolled
from cloud.store.moments import to_ms
from cloud.store.tables import Box, Enrolment, EpochRecord
from cloud.store.upsert import insert_missing, replace, table_of
from protocol.envelope import Header
from protocol.wire import early_epoch

__all__ = ["LockedBox", "lock_boxes"]

CLOCK_STEP_MS = 30_000
"""What a head sent this much later than anything known of it was not on its way when another took over."""
_BOX, _ENROLMENT, _EPOCH = table_of(Box), table_of(Enrolment), table_of(EpochRecord)
_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class _Head:
    """An epoch as head, as EpochRecord has it."""

    last_ms: int
    superseded_ms: int | None = None
    doubted: bool = False
    cloned: bool = False


@dataclass(kw_only=True, slots=True)
class LockedBox:
    """A box's row, its enrolments and its heads, as this transaction changes them."""

    box: str
    position: int
    head: str | None
    state: str
    session: str | None
    status: str
    first_seen_ms: int | None
    last_seen_ms: int | None
    revoked: bool
    enrolments: list[Enrolled] = field(default_factory=list)
    heads: dict[str, _Head] = field(default_factory=dict)
    changed_heads: set[str] = field(default_factory=set)
    ahead_at: int | None = None
    """The position that the box has seen, where it knows more than this database, which may not be renewed yet."""

    def next_position(self) -> int:
        """Count one more acknowledgement.

        A box that is ahead is given none that it would take: it goes on holding what this database may have lost, and
        saying that it is ahead, until the database is renewed.
        """
        if self.ahead_at is None:
            self.position += 1
            return self.position
        return max(min(self.position, self.ahead_at), 1)

    def is_ahead_at(self, position: int) -> None:
        """Note that the box knows more than this database, and has seen this position."""
        self.ahead_at = position if self.ahead_at is None else min(position, self.ahead_at)

    def saw(self, moment_ms: int) -> None:
        """Note that the box lived then."""
        self.first_seen_ms = moment_ms if self.first_seen_ms is None else self.first_seen_ms
        self.last_seen_ms = max(moment_ms, self.last_seen_ms or moment_ms)

    def is_cloned(self, epoch: str) -> bool:
        """Whether this epoch's items wait for a person's decision: that of a clone, or the early one beside it."""
        return any(record.cloned and epoch in {head, early_epoch(head)} for head, record in self.heads.items())

    def note_head(self, header: Header, *, now_ms: int, brings_news: bool) -> None:
        """Follow the box's head: a new one takes over, a late one changes nothing, a returning one is a clone."""
        sent_ms = to_ms(header.sent_at) if header.sent_at else None
        record = self.heads.get(header.head)
        if record is None:
            self._take_over(header.head, now_ms if sent_ms is None else sent_ms, now_ms, is_new=True)
        elif header.head == self.head:
            self._go_on(header.head, record, sent_ms)
        elif sent_ms is not None and brings_news and not record.cloned and _returned(record, sent_ms):
            if record.doubted:
                self._take_over(header.head, sent_ms, now_ms, is_new=False)
            else:
                self._flag_clone(header.head, record)

    def _take_over(self, epoch: str, sent_ms: int, now_ms: int, *, is_new: bool) -> None:
        before = self.heads.get(self.head) if self.head else None
        if self.head is not None and before is not None:
            before.superseded_ms = max(now_ms, sent_ms, before.last_ms)
            before.doubted = is_new and sent_ms <= before.last_ms
            self.changed_heads.add(self.head)
        self.heads[epoch] = _Head(last_ms=sent_ms)
        self.head = epoch
        self.changed_heads.add(epoch)

    def _go_on(self, epoch: str, record: _Head, sent_ms: int | None) -> None:
        if sent_ms is not None and sent_ms > record.last_ms:
            record.last_ms = sent_ms
            self.changed_heads.add(epoch)

    def _flag_clone(self, epoch: str, record: _Head) -> None:
        record.cloned = True
        self.changed_heads.add(epoch)
        _LOG.warning(
            "Box %s writes in two places: epoch %s returned after %s took over; its items wait for a decision",
            self.box, epoch, self.head, extra={"action": "clone", "box": self.box, "epoch": epoch},
        )  # fmt: skip

    def save(self, connection: Connection) -> None:
        """Write back what changed."""
        values = {
            "position": self.position,
            "head": self.head,
            "state": self.state,
            "session": self.session,
            "status": self.status,
            "first_seen_ms": self.first_seen_ms,
            "last_seen_ms": self.last_seen_ms,
        }
        connection.execute(update(_BOX).where(_BOX.c.box == self.box).values(values))
        rows = [
            {
                "box": self.box,
                "epoch": epoch,
                "last_ms": self.heads[epoch].last_ms,
                "superseded_ms": self.heads[epoch].superseded_ms,
                "doubted": self.heads[epoch].doubted,
                "cloned": self.heads[epoch].cloned,
            }
            for epoch in sorted(self.changed_heads)
        ]
        replace(connection, EpochRecord, rows)


def _returned(record: _Head, sent_ms: int) -> bool:
    """Whether a message was sent under a head after another had taken over.

    A message without the box's own time cannot be told from one that was long on its way, so it never was.
    """
    return record.superseded_ms is not None and sent_ms > record.superseded_ms + CLOCK_STEP_MS


def lock_boxes(connection: Connection, mentioned: Mapping[str, AbstractSet[str]]) -> dict[str, LockedBox]:
    """Lock boxes in key order, making those that are unknown, and read what decides about the epochs mentioned."""
    wanted = sorted(mentioned)
    present = set(connection.execute(select(_BOX.c.box).where(_BOX.c.box.in_(wanted))).scalars())
    unknown = [{"box": box, "position": 0, "state": "unknown", "status": "{}"} for box in wanted if box not in present]
    insert_missing(connection, Box, unknown)
    boxes = _read_locked(connection, wanted)
    for row in connection.execute(select(_ENROLMENT).where(_ENROLMENT.c.box.in_(wanted))):
        enrolled = Enrolled(venue=row.venue, from_ms=row.from_ms, until_ms=row.until_ms)
        boxes[row.box].enrolments.append(enrolled)
    epochs = sorted(set().union(*mentioned.values()))
    relevant = _EPOCH.c.epoch.in_(epochs) | _EPOCH.c.superseded_ms.is_(None) | _EPOCH.c.cloned
    for row in connection.execute(select(_EPOCH).where(_EPOCH.c.box.in_(wanted), relevant)):
        boxes[row.box].heads[row.epoch] = _Head(
            last_ms=row.last_ms, superseded_ms=row.superseded_ms, doubted=row.doubted, cloned=row.cloned
        )
    return boxes


def _read_locked(connection: Connection, wanted: Sequence[str]) -> dict[str, LockedBox]:
    query = select(_BOX).where(_BOX.c.box.in_(wanted)).order_by(_BOX.c.box).with_for_update(of=_BOX)
    return {
        row.box: LockedBox(
            box=row.box,
            position=row.position,
            head=row.head,
            state=row.state,
            session=row.session,
            status=row.status,
            first_seen_ms=row.first_seen_ms,
            last_seen_ms=row.last_seen_ms,
            revoked=row.revoked_ms is not None,
        )
        for row in connection.execute(query)
    }
