"""Deliveries in, acknowledgements out, and between them one transaction.

    deliveries → lock the boxes → receipts → verdicts → rows, roll-ups, tiles → commit → acknowledgements

Only newly received items are judged and counted, so a replay changes nothing but the position. Acks exist only once
the commit has returned. A batch that the data makes fail is taken apart, and the payload that fails alone is refused,
or, where even that fails, left unanswered; when the database itself fails, StoreError leaves and nothing was done.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from cloud.errors import StoreError
from cloud.ingest.boxes import LockedBox, lock_boxes
from cloud.ingest.intake import (
    Delivery,
    EnvelopeDelivery,
    Foreign,
    LiveDelivery,
    Refused,
    StatusDelivery,
    refuse_delivery,
)
from cloud.ingest.judgement import Counted, HeldBack, Rejected, judge
from cloud.ingest.ledger import Arrival, Ledger
from cloud.ingest.meter import Meter, Unmetered, Verdicts
from cloud.ingest.presence import keep_live, note_status
from cloud.ingest.receipts import Range, RangeSet, load_receipts, save_receipts
from cloud.store.engine import writing
from cloud.store.identity import is_ahead, read_identity, renew_identity
from cloud.store.moments import to_ms
from protocol.acks import Ack, SeqRange
from protocol.envelope import Envelope, Gap, GapReason, Header

__all__ = ["Acknowledgement", "Committer"]

MAX_RANGES = 1000
MAX_REJECTED = 200
"""Together they keep an ack under 64 KiB; more rejected seqs go into further acks."""
_VERDICTS = {Counted: Verdicts.COUNTED, HeldBack: Verdicts.HELD, Rejected: Verdicts.REJECTED}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """An ack, and the venue under whose topic the box listens for it."""

    venue: str
    box: str
    ack: Ack


class Committer:
    """Commits deliveries into one database; any number may work beside each other on PostgreSQL."""

    def __init__(self, engine: Engine, now: Callable[[], datetime], *, meter: Meter | None = None) -> None:
        self.engine = engine
        self.now = now
        self._meter = meter or Unmetered()

    def commit(self, deliveries: Sequence[Delivery]) -> tuple[Acknowledgement, ...]:
        """Commit deliveries in the order given; their acks, or StoreError with nothing done."""
        try:
            return self._commit_together(deliveries)
        except StoreError:
            self._meter.failed()
            raise
        except Exception as error:  # noqa: BLE001  whatever one payload provokes must not stop all the others
            _LOG.exception("A batch could not be stored", extra={"action": "commit", "messages": len(deliveries)})
            if len(deliveries) == 1:
                return self._commit_failed(deliveries[0], error)
            return tuple(ack for delivery in deliveries for ack in self.commit((delivery,)))

    def _commit_together(self, deliveries: Sequence[Delivery]) -> tuple[Acknowledgement, ...]:
        now, began = self.now(), time.perf_counter()
        with writing(self.engine) as connection:
            batch = _Batch(connection, deliveries, now)
            for delivery in deliveries:
                batch.take(delivery)
            acknowledgements = batch.finish()
        self._meter.committed(
            seconds=time.perf_counter() - began,
            envelopes=sum(isinstance(delivery, EnvelopeDelivery) for delivery in deliveries),
            refused=sum(isinstance(delivery, Refused) for delivery in deliveries),
            items=batch.items,
        )
        return acknowledgements

    def _commit_failed(self, delivery: Delivery, error: Exception) -> tuple[Acknowledgement, ...]:
        """Refuse a payload that cannot be stored; where even that fails, it is left without an answer."""
        if not isinstance(delivery, EnvelopeDelivery):
            return ()
        reason = f"cannot be stored: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        try:
            return self._commit_together((refuse_delivery(delivery, reason[:500]),))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  as above: nothing that one box sends ends the work for the others
            _LOG.exception(
                "A payload of box %s could not even be refused; it is not answered", delivery.box,
                extra={"action": "commit", "box": delivery.box},
            )  # fmt: skip
            return ()


@dataclass(kw_only=True, slots=True)
class _Settled:
    """The receipts of one epoch, before and after, and what is to be told of it."""

    before: tuple[Range, ...]
    receipts: RangeSet
    rejected: list[int]
    venue: str = ""


class _Batch:
    """One transaction's work."""

    def __init__(self, connection: Connection, deliveries: Sequence[Delivery], now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._now_ms = to_ms(now)
        self._ledger = Ledger(now_ms=self._now_ms)
        self._boxes = lock_boxes(connection, _mentioned(deliveries))
        self._store = read_identity(connection)
        self._settled: dict[tuple[str, str], _Settled] = {}
        self._refused: list[Refused] = []
        self.items: Counter[Verdicts] = Counter()

    def take(self, delivery: Delivery) -> None:
        if not isinstance(delivery, Foreign) and self._boxes[delivery.box].revoked:
            # Not acknowledged either: a box that was shut out by mistake sends it all again once it is let in.
            _LOG.warning("Ignored what revoked box %s sent", delivery.box, extra={"action": "ignore"})
            return
        match delivery:
            case EnvelopeDelivery():
                self._take_envelope(delivery)
            case Refused():
                self._refuse(delivery)
            case StatusDelivery():
                note_status(self._boxes[delivery.box], delivery, now_ms=self._now_ms)
            case LiveDelivery():
                keep_live(self._connection, self._boxes[delivery.box], delivery, now_ms=self._now_ms)
            case Foreign():
                _LOG.info("Ignored a message on %s: %s", delivery.topic, delivery.reason, extra={"action": "ignore"})

    def finish(self) -> tuple[Acknowledgement, ...]:
        """Write everything; the acks to send after the commit."""
        self._ledger.write(self._connection)
        for (box, epoch), settled in sorted(self._settled.items()):
            save_receipts(self._connection, box=box, epoch=epoch, before=settled.before, after=settled.receipts)
        acknowledgements = (*self._acks_of_epochs(), *self._acks_of_refusals())
        for name in sorted(self._boxes):
            self._boxes[name].save(self._connection)
        return acknowledgements

    def _take_envelope(self, delivery: EnvelopeDelivery) -> None:
        envelope, box = delivery.envelope, self._boxes[delivery.box]
        header = envelope.header
        box.saw(self._now_ms)
        settled = self._epoch(delivery.box, header.epoch, delivery.venue)
        self._compare_stores(box, header, settled.receipts)
        fresh = {item.seq for item in envelope.items if item.seq not in settled.receipts}
        box.note_head(header, now_ms=self._now_ms, brings_news=bool(fresh))
        overlapping = self._sums_that_overlap(box, header, delivery.venue, fresh)
        self._take_items(box, envelope, settled, fresh, overlapping)
        for gap in header.gaps:
            self._take_gap(box, gap, delivery.venue)

    def _sums_that_overlap(self, box: LockedBox, header: Header, venue: str, fresh: set[int]) -> set[int]:
        """The fresh sums of which a part has come by itself, as from a copy of the disk that was put in meanwhile.

        One of which everything has come adds nothing: it is settled, and fresh no more.
        """
        came, parts = Counter[int](), Counter[int]()
        for gap in header.gaps:
            if gap.into is not None and gap.into in fresh:
                receipts = self._epoch(box.box, gap.epoch, venue).receipts
                came[gap.into] += receipts.count(gap.from_seq, gap.to_seq)
                parts[gap.into] += gap.to_seq - gap.from_seq + 1
        for seq in [seq for seq in parts if came[seq] == parts[seq]]:
            nothing = Gap(epoch=header.epoch, from_seq=seq, to_seq=seq, reason=GapReason.MERGED)
            self._take_gap(box, nothing, venue)
            fresh.remove(seq)
        return {seq for seq in fresh if came[seq]}

    def _take_items(
        self, box: LockedBox, envelope: Envelope, settled: _Settled, fresh: set[int], overlapping: set[int]
    ) -> None:
        epoch = envelope.header.epoch
        cloned = box.is_cloned(epoch)
        for read in envelope.items:
            self.items[Verdicts.REPEATED] += read.seq not in fresh
            if read.seq not in fresh and read.item is not None:
                continue
            verdict = judge(
                read, enrolments=box.enrolments, cloned=cloned, overlaps=read.seq in overlapping, now_ms=self._now_ms
            )
            if isinstance(verdict, Rejected):
                settled.rejected.append(read.seq)
            if read.seq in fresh:
                settled.receipts.add(read.seq, read.seq)
                self.items[_VERDICTS[type(verdict)]] += 1
                arrival = Arrival(box=box.box, epoch=epoch, seq=read.seq, received_ms=self._now_ms)
                self._ledger.enter(arrival, read, verdict)

    def _take_gap(self, box: LockedBox, gap: Gap, venue: str) -> None:
        settled = self._epoch(box.box, gap.epoch, venue)
        new = settled.receipts.add(gap.from_seq, gap.to_seq)
        self._ledger.enter_gap(box.box, gap, new)

    def _refuse(self, refused: Refused) -> None:
        self._ledger.bury_payload(refused)
        if refused.answered:
            self._boxes[refused.box].saw(self._now_ms)
            self._refused.append(refused)

    def _compare_stores(self, box: LockedBox, header: Header, receipts: RangeSet) -> None:
        """Take it from a box that has seen more than this database holds that the database was restored.

        Its position alone cannot tell: what comes a second time raises that of a restored database too. Receipts are
        never taken back, so that within one store each seq that an ack settled has one.
        """
        seen = header.seen
        old = self._store
        if seen.store is None:
            return
        has_lost = seen.store == old and not all(receipts.covers(one.first, one.last) for one in seen.settled or ())
        if not has_lost and not is_ahead(
            seen_store=seen.store, seen_position=seen.position, store=old, position=box.position, now=self._now
        ):
            return
        self._store = renew_identity(self._connection, old=old, after=seen.store, now=self._now)
        if self._store == old:
            box.is_ahead_at(seen.position)
            return
        _LOG.warning(
            "Box %s has seen acks that this database never gave: it was restored, and is now store %s",
            box.box, self._store, extra={"action": "renew-store", "box": box.box, "old": old, "new": self._store},
        )  # fmt: skip

    def _epoch(self, box: str, epoch: str, venue: str) -> _Settled:
        settled = self._settled.get((box, epoch))
        if settled is None:
            receipts = load_receipts(self._connection, box=box, epoch=epoch)
            settled = _Settled(before=tuple(receipts), receipts=receipts, rejected=[])
            self._settled[box, epoch] = settled
        settled.venue = venue
        return settled

    def _acks_of_epochs(self) -> Iterator[Acknowledgement]:
        for (box, epoch), settled in self._settled.items():
            beyond = settled.receipts.beyond(MAX_RANGES)
            for rejected in _chunks(sorted(set(settled.rejected)), MAX_REJECTED):
                ack = Ack(
                    box=box,
                    store=self._store,
                    position=self._boxes[box].next_position(),
                    at=self._now,
                    epoch=epoch,
                    through=settled.receipts.through,
                    received=tuple(SeqRange(first=first, last=last) for first, last in beyond),
                    rejected=tuple(rejected),
                )
                yield Acknowledgement(venue=settled.venue, box=box, ack=ack)

    def _acks_of_refusals(self) -> Iterator[Acknowledgement]:
        for refused in self._refused:
            position = self._boxes[refused.box].next_position()
            ack = Ack(box=refused.box, store=self._store, position=position, at=self._now, refused=refused.sha256)
            yield Acknowledgement(venue=refused.venue, box=refused.box, ack=ack)


def _mentioned(deliveries: Iterable[Delivery]) -> dict[str, set[str]]:
    """The boxes that deliveries come from, and the epochs that they name."""
    mentioned: defaultdict[str, set[str]] = defaultdict(set)
    for delivery in deliveries:
        match delivery:
            case EnvelopeDelivery(box=box, envelope=envelope):
                mentioned[box] |= {envelope.header.epoch, envelope.header.head}
            case Refused(box=box) | StatusDelivery(box=box) | LiveDelivery(box=box):
                mentioned[box] |= set()
            case Foreign():
                pass
    return dict(mentioned)


def _chunks(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Slices of at most `size`; one empty slice when there is nothing."""
    for start in range(0, max(1, len(numbers)), size):
        yield numbers[start : start + size]
