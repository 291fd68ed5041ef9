"""Feeds hostile messages to the cloud's ingest and hostile answers to a box, and says what broke.

The cloud: whatever comes, reading and committing raise nothing, what is due an answer gets one, and in the end each seq
with a receipt is kept exactly once, as an event, held, as a dead letter or as part of a gap, as JSON that can be read.
The box: whatever answer comes, its uplink raises nothing and can still send what it holds.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from cloud.ingest.commit import Committer
from cloud.ingest.intake import Delivery, EnvelopeDelivery, Refused, intake
from cloud.ingest.meter import Verdicts
from cloud.store.tables import DeadLetter, Event, GapRecord, Held, Receipt
from edge.exchange.batch import Batch
from edge.uplink.delivery import Delivery as UplinkDelivery
from protocol.wire import JsonObject
from tests.support.envelopes import NOW, VENUE, enrol, rows_of
from tests.support.exchange import ORIGIN, STORES, Exchange, opened, visit
from tests.support.golden import read_golden
from tests.support.hostile import HostileMessages, Message

__all__ = ["Outcome", "attack_box", "attack_cloud"]

BOXES = ("box-1", "box-2")
TOGETHER = 20
_LOG_OF_COMMITS = "cloud.ingest.commit"


@dataclass(kw_only=True)
class Outcome:
    """What became of the inputs. `broken` names what must not have happened."""

    inputs: int = 0
    slowest_ms: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def timed(self, began: float) -> None:
        """Note how long something took."""
        self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - began) * 1000)

    def committed(self, *, seconds: float, envelopes: int, refused: int, items: Mapping[Verdicts, int]) -> None:
        """As the ingest's meter: note what became of items."""
        del seconds, envelopes, refused
        self.items.update({str(verdict): count for verdict, count in items.items()})

    def failed(self) -> None:
        """As the ingest's meter: the database did not take a batch."""
        self.broken.append("the database did not take a batch")


def attack_cloud(engine: Engine, *, seed: int | str, inputs: int) -> Outcome:
    """Publish so many hostile messages into a database."""
    for box in BOXES:
        enrol(engine, box=box, venue=VENUE)
    outcome, messages = Outcome(), HostileMessages(seed, venue=VENUE, boxes=BOXES)
    committer, complaints = Committer(engine, lambda: NOW, meter=outcome), _Complaints()
    logging.getLogger(_LOG_OF_COMMITS).addHandler(complaints)
    try:
        for start in range(0, inputs, TOGETHER):
            batch = [next(messages) for _ in range(min(TOGETHER, inputs - start))]
            _commit(committer, list(_read(batch, outcome)), outcome)
    finally:
        logging.getLogger(_LOG_OF_COMMITS).removeHandler(complaints)
    outcome.broken += complaints.said
    outcome.broken += _kept_otherwise_than_once(engine)
    return outcome


def _read(batch: Sequence[Message], outcome: Outcome) -> Iterator[Delivery]:
    for message in batch:
        outcome.inputs += 1
        began = time.perf_counter()
        try:
            delivery = intake(message.topic, message.payload)
        except Exception as error:  # noqa: BLE001  whatever leaves here is what this looks for
            outcome.broken.append(f"reading raised {error!r} of {message}")
            continue
        finally:
            outcome.timed(began)
        outcome.kinds[type(delivery).__name__] += 1
        yield delivery


def _commit(committer: Committer, deliveries: Sequence[Delivery], outcome: Outcome) -> None:
    try:
        answers = committer.commit(deliveries)
    except Exception as error:  # noqa: BLE001  as above
        outcome.broken.append(f"committing raised {error!r} of {deliveries}")
        return
    answered = {one.ack.refused or one.ack.epoch for one in answers}
    for delivery in deliveries:
        due = _answer_due(delivery)
        if due is not None and due not in answered:
            outcome.broken.append(f"no answer to {delivery}")


def _answer_due(delivery: Delivery) -> str | None:
    """The epoch or payload that an answer must name."""
    match delivery:
        case EnvelopeDelivery():
            return delivery.envelope.header.epoch
        case Refused(answered=True):
            return delivery.sha256
    return None


class _Complaints(logging.Handler):
    """The ingest logs an error where the database would not take what had been read: then reading let too much in."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.getMessage()}: {cause!r}")


def _kept_otherwise_than_once(engine: Engine) -> Iterator[str]:
    """Seqs that are kept twice or not at all, and bodies that are no JSON."""
    for box in BOXES:
        kept: dict[str, list[tuple[int, int]]] = {}
        rows = [row for model in (Event, Held, DeadLetter) for row in rows_of(engine, model, box=box)]
        for row in rows:
            if row["seq"] is not None:
                kept.setdefault(row["epoch"], []).append((row["seq"], row["seq"]))
                json.loads(row["body"])
        for row in rows_of(engine, GapRecord, box=box):
            kept.setdefault(row["epoch"], []).append((row["first_seq"], row["last_seq"]))
        receipts: dict[str, list[tuple[int, int]]] = {}
        for row in rows_of(engine, Receipt, box=box):
            receipts.setdefault(row["epoch"], []).append((row["first_seq"], row["last_seq"]))
        for epoch in kept.keys() | receipts.keys():
            if _joined(kept.get(epoch, [])) != receipts.get(epoch, []):
                yield f"{box}, epoch {epoch}: receipts {receipts.get(epoch)} are not what is kept"


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Disjoint ranges, those that touch joined; overlapping ones stay apart and so are noticed."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and joined[-1][1] == first - 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def attack_box(folder: Path, *, seed: int | str, inputs: int) -> Outcome:
    """Answer a box's envelopes with so many hostile acknowledgements."""
    outcome, messages = Outcome(), HostileMessages(seed, venue=VENUE, boxes=BOXES)
    exchange = Exchange(folder=folder)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        uplink = UplinkDelivery(outbox, box="box-1")
        uplink.connected()
        for number in range(inputs):
            outcome.inputs += 1
            if number % 50 == 0:
                writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
                exchange.now += 60
            began = time.perf_counter()
            try:
                for outgoing in uplink.due(exchange.now):
                    uplink.sent(outgoing, exchange.now)
                uplink.acknowledge(messages.bent(_ack(messages, number)), exchange.now)
            except Exception as error:  # noqa: BLE001  as above
                outcome.broken.append(f"the uplink raised {error!r}")
            outcome.timed(began)
        outcome.kinds.update(f"state {state}" for state in exchange.states().values())
    return outcome


def _ack(messages: HostileMessages, number: int) -> JsonObject:
    """An answer about the box's own epoch, of a cloud that is rarely another one."""
    random = messages.random
    store = STORES[1 if random.random() < 0.998 else random.randrange(1, 9)]
    ack = read_golden("ack-refused" if random.random() < 0.2 else "ack")
    plain: JsonObject = {"received": [], "rejected": []} if random.random() < 0.7 else {}
    about: JsonObject = {"epoch": f"{1:016x}", "through": random.randrange(3), **plain} if "epoch" in ack else {}
    return {**ack, **about, "box": "box-1", "store": store, "position": number + 1}
