"""What to send, what has been sent, and what an acknowledgement means. Knows the outbox; knows nothing of MQTT.

Claims are packed into envelopes of one epoch and one topic. Each envelope in flight is remembered by the SHA-256 of
its payload, so that one the cloud could not read can be halved until the unreadable item or gap stands alone, and by
when it was sent, so that a lost answer is told from a slow one.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edge.clock import cloud_fix, to_utc
from edge.exchange.outbox import Claimed, Outbox, Verdict
from edge.uplink.bulletin import clock_of
from edge.uplink.roll_call import RollCall
from edge.uplink.tally import Tally
from protocol.acks import Ack
from protocol.envelope import Gap, Header, compose
from protocol.faults import first_fault
from protocol.topics import Leaf
from protocol.wire import MAX_MESSAGE_BYTES

__all__ = ["Delivery", "Outgoing"]

_WINDOW = 2_000
_LAPSE_MINIMUM_SECONDS = 30.0
_LAPSE_FACTOR = 4
_SMOOTHING = 0.2
_GAPS_AN_ENVELOPE = 64
_HELLO_SECONDS = 60.0
_HELLO_WITHOUT_UTC_SECONDS = 5.0
_HEADER_BYTES = 3 * 1024
_GAP_BYTES = 256
"""No gap that says what went into a sum is longer."""
_SUREST_NEEDED_MS = 10_000
"""A fix from an answer that took longer than twice this is worth less than waiting for the next."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """An envelope to publish, and the items or the declared gaps in it."""

    leaf: Leaf
    payload: bytes
    epoch: str
    items: tuple[Claimed, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _InFlight:
    """An envelope on its way, and when it left (monotonic seconds)."""

    outgoing: Outgoing
    at: float


class Delivery:
    """Drains an outbox; times are monotonic seconds of this boot."""

    def __init__(self, outbox: Outbox, *, box: str, tally: Tally | None = None) -> None:
        self._outbox = outbox
        self._box = box
        self._tally = tally or Tally()
        self._in_flight: dict[str, _InFlight] = {}
        self._halves: deque[tuple[Claimed, ...]] = deque()
        self._gap_halves: deque[tuple[Gap, ...]] = deque()
        self._gaps_sent: dict[tuple[str, int, int, str], float] = {}
        self._usual_seconds = 1.0
        self._last_sent = float("-inf")
        self._roll_call = RollCall(outbox)

    def connected(self) -> None:
        """A new connection knows nothing of the old one's envelopes."""
        self._in_flight.clear()
        self._halves.clear()
        self._gap_halves.clear()
        self._gaps_sent.clear()
        self._last_sent = float("-inf")
        self._roll_call.connected()
        self._outbox.release_claims()

    def due(self, now: float) -> list[Outgoing]:
        """The envelopes to send now."""
        head = self._outbox.head()
        if head is None:
            return []
        claimed = self._claims(now)
        envelopes = self._gap_envelopes(head, now)
        envelopes += [self._composed(head, gaps[0].epoch, (), gaps, now) for gaps in self._gap_halves]
        self._gap_halves.clear()
        envelopes += [self._envelope(head, part, now) for part in claimed]
        if not envelopes and now - self._last_sent >= self._hello_seconds():
            envelopes = [self._composed(head, head, (), (), now)]
        called = self._roll_call.due(now, besides={outgoing.epoch for outgoing in envelopes})
        if called is not None:
            envelopes.append(self._composed(head, called, (), (), now))
        return envelopes

    def sent(self, outgoing: Outgoing, now: float) -> None:
        """This envelope has left."""
        self._last_sent = now
        self._roll_call.said(outgoing.epoch, now)
        self._tally.sent += 1
        # The same bytes may be sent twice; an answer may then be to the first, so that one's time stays.
        self._in_flight.setdefault(hashlib.sha256(outgoing.payload).hexdigest(), _InFlight(outgoing=outgoing, at=now))

    def not_sent(self, outgoing: Outgoing) -> None:
        """This envelope could not leave."""
        self._outbox.unclaim(outgoing.epoch, [item.seq for item in outgoing.items])

    def acknowledge(self, payload: bytes, now: float) -> None:
        """Take the cloud's answer; one that cannot be read or may not be taken is logged and changes nothing."""
        try:
            ack = Ack.read(payload)
        except ValueError as error:
            fault = first_fault(error, whole="ack")
            _log.warning("An acknowledgement could not be read: %s", fault, extra={"action": "ack"})
            return
        if ack.box != self._box:
            _log.warning("Ignored an acknowledgement for %s", ack.box, extra={"action": "ack"})
            return
        verdict = self._outbox.settle(ack, now_ms=_ms(now))
        if verdict not in {Verdict.TAKEN, Verdict.NEW_STORE}:
            _log.info("Ignored an acknowledgement: %s", verdict, extra={"action": "ack", "epoch": ack.epoch})
            return
        self._learn_time(ack, now)
        if verdict is Verdict.NEW_STORE:
            _log.warning("The cloud has a new store %s; sending everything held again", ack.store)
            self._in_flight.clear()
            self._halves.clear()
            self._gap_halves.clear()
            self._gaps_sent.clear()
        if ack.refused is not None:
            self._halve(ack.refused, now)
        if ack.rejected:
            self._tally.rejected_items += len(ack.rejected)
            _log.error(
                "The cloud rejected %d items of epoch %s: seqs %s", len(ack.rejected), ack.epoch, list(ack.rejected)
            )
        self._land(ack, now)

    def _claims(self, now: float) -> list[tuple[Claimed, ...]]:
        halves = list(self._halves)
        self._halves.clear()
        lapse = max(_LAPSE_MINIMUM_SECONDS, _LAPSE_FACTOR * self._usual_seconds)
        claimed = self._outbox.claim(now_ms=_ms(now), window=_WINDOW, lapse_ms=_ms(lapse))
        self._in_flight = {digest: flight for digest, flight in self._in_flight.items() if now - flight.at < 2 * lapse}
        return halves + _packed(claimed)

    def _envelope(self, head: str, items: tuple[Claimed, ...], now: float) -> Outgoing:
        return self._composed(head, items[0].epoch, items, (), now)

    def _gap_envelopes(self, head: str, now: float) -> list[Outgoing]:
        due: dict[str, list[Gap]] = {}
        sent_before, self._gaps_sent = self._gaps_sent, {}
        for gap in self._outbox.gaps():
            key = (gap.epoch, gap.from_seq, gap.to_seq, str(gap.reason))
            self._gaps_sent[key] = sent_before.get(key, float("-inf"))
            if now - self._gaps_sent[key] >= _LAPSE_MINIMUM_SECONDS:
                self._gaps_sent[key] = now
                due.setdefault(gap.epoch, []).append(gap)
        return [
            self._composed(head, epoch, (), tuple(gaps[start : start + _GAPS_AN_ENVELOPE]), now)
            for epoch, gaps in due.items()
            for start in range(0, len(gaps), _GAPS_AN_ENVELOPE)
        ]

    def _composed(
        self, head: str, epoch: str, items: tuple[Claimed, ...], gaps: tuple[Gap, ...], now: float
    ) -> Outgoing:
        fix = self._outbox.fix()
        header = Header(
            box=self._box,
            epoch=epoch,
            head=head,
            sent_at=None if fix is None else to_utc(_ms(now) + fix.offset_ms),
            clock=clock_of(fix),
            seen=self._outbox.seen(epoch),
            gaps=(*gaps, *(gap for item in items for gap in item.instead_of)),
        )
        payload = compose(header, [item.body for item in items])
        return Outgoing(leaf=_leaf(items), payload=payload, epoch=epoch, items=items, gaps=gaps)

    def _hello_seconds(self) -> float:
        return _HELLO_SECONDS if self._outbox.fix() else _HELLO_WITHOUT_UTC_SECONDS

    def _learn_time(self, ack: Ack, now: float) -> None:
        """The cloud's time lies between the oldest sending that this answers and now."""
        answered = [flight.at for flight in self._in_flight.values() if _is_answered(ack, flight.outgoing)]
        if not answered:
            return
        asked = min(answered)
        fix = cloud_fix(asked=asked, answered=now, cloud_at=ack.at)
        if (fix.uncertainty_ms or 0) <= _SUREST_NEEDED_MS and self._outbox.offer_fix(fix):
            _log.info("Learnt UTC from the cloud, within %d ms", fix.uncertainty_ms, extra={"action": "clock"})

    def _halve(self, digest: str, now: float) -> None:
        """Send the halves of an unreadable envelope; an item or a gap unreadable alone is set aside."""
        self._tally.refused += 1
        flight = self._in_flight.pop(digest, None)
        if flight is not None and flight.outgoing.gaps:
            self._halve_gaps(flight.outgoing.gaps)
            return
        if flight is None or not flight.outgoing.items:
            _log.error("The cloud cannot read payload %s", digest, extra={"action": "ack"})
            return
        items = flight.outgoing.items
        if len(items) == 1:
            item = items[0]
            _log.error("The cloud cannot read item %s/%d (%s); it is set aside", item.epoch, item.seq, item.type)
            self._outbox.quarantine(item.epoch, item.seq, now_ms=_ms(now))
            return
        middle = len(items) // 2
        self._halves.extend((items[:middle], items[middle:]))

    def _halve_gaps(self, gaps: tuple[Gap, ...]) -> None:
        if len(gaps) > 1:
            middle = len(gaps) // 2
            self._gap_halves.extend((gaps[:middle], gaps[middle:]))
            return
        gap = gaps[0]
        self._tally.set_aside_gaps += 1
        self._outbox.set_aside(gap)
        _log.error(
            "The cloud cannot read that seqs %d to %d of epoch %s will not come (%s); that is set aside",
            gap.from_seq,
            gap.to_seq,
            gap.epoch,
            gap.reason,
            extra={"action": "ack"},
        )

    def _land(self, ack: Ack, now: float) -> None:
        """Forget envelopes that this answer settles, and learn how long answers usually take."""
        for digest, flight in list(self._in_flight.items()):
            if _is_answered(ack, flight.outgoing):
                self._usual_seconds += _SMOOTHING * (now - flight.at - self._usual_seconds)
                self._tally.acknowledged += 1
                del self._in_flight[digest]


def _is_answered(ack: Ack, outgoing: Outgoing) -> bool:
    """Whether an answer speaks of all that was sent in an envelope."""
    through, rejected = ack.through or 0, set(ack.rejected)
    if outgoing.epoch != ack.epoch:
        return False
    return all(
        item.seq <= through or item.seq in rejected or any(span.first <= item.seq <= span.last for span in ack.received)
        for item in outgoing.items
    ) and all(
        gap.to_seq <= through or any(span.first <= gap.from_seq and gap.to_seq <= span.last for span in ack.received)
        for gap in outgoing.gaps
    )


def _leaf(items: Sequence[Claimed]) -> Leaf:
    return Leaf.TILES if items and items[0].type == "tile" else Leaf.EVENTS


def _packed(claimed: Sequence[Claimed]) -> list[tuple[Claimed, ...]]:
    """Split claims into envelopes of one epoch and one topic that stay under the size limit, header included."""
    groups: dict[tuple[str, Leaf], list[Claimed]] = {}
    for item in claimed:
        groups.setdefault((item.epoch, _leaf([item])), []).append(item)
    room = MAX_MESSAGE_BYTES - _HEADER_BYTES
    packed: list[tuple[Claimed, ...]] = []
    for group in groups.values():
        batch: list[Claimed] = []
        size = gaps = 0
        for item in group:
            more = len(item.body) + 1 + _GAP_BYTES * len(item.instead_of)
            is_full = size + more > room or len(batch) >= _WINDOW or gaps + len(item.instead_of) > _GAPS_AN_ENVELOPE
            if batch and is_full:
                packed.append(tuple(batch))
                batch, size, gaps = [], 0, 0
            batch.append(item)
            size, gaps = size + more, gaps + len(item.instead_of)
        packed.append(tuple(batch))
    # Events go first, since among them may be the configuration that tiles were made under.
    return sorted(packed, key=lambda batch: _leaf(batch) is Leaf.TILES)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
