"""Reading what came in: topic and payload become one delivery, of which nothing is believed but its shape.

A payload that cannot be read is a delivery too, so that it is kept and answered. Knows the wire and no database.
"""

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from protocol.envelope import Envelope, Unreadable, read_envelope
from protocol.status import Live, Status
from protocol.topics import Leaf, Topic, parse
from protocol.wire import MAX_MESSAGE_BYTES

__all__ = ["Delivery", "EnvelopeDelivery", "Foreign", "LiveDelivery", "Refused", "StatusDelivery", "intake"]

_KEPT_OF_OVERSIZED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeDelivery:
    """A readable envelope; `venue` is the topic's, and only says where the box listens."""

    venue: str
    box: str
    envelope: Envelope
    sha256: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A payload that cannot be taken: kept as a dead letter, and answered where the box awaits an answer."""

    venue: str
    box: str
    sha256: str
    reason: str
    body: str
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDelivery:
    """A birth certificate or a death; a retained one is an old one that the broker kept."""

    box: str
    status: Status
    retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDelivery:
    """Who is there right now; a retained one is an old one that the broker kept."""

    box: str
    live: Live
    retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What this cloud has no use for, and why."""

    topic: str
    reason: str


Delivery = EnvelopeDelivery | Refused | StatusDelivery | LiveDelivery | Foreign


def intake(topic: str, payload: bytes, *, retained: bool = False) -> Delivery:
    """Read one message."""
    parsed = parse(topic)
    if parsed is None:
        return Foreign(topic=topic, reason="not a topic of ours")
    if not payload:
        return Foreign(topic=topic, reason="an empty payload, which only clears what was retained")
    match parsed.leaf:
        case Leaf.EVENTS | Leaf.TILES:
            return _read_envelope(parsed, payload)
        case Leaf.STATUS:
            return _read_status(parsed, payload, retained=retained)
        case Leaf.LIVE:
            return _read_live(parsed, payload, retained=retained)
        case _:
            return Foreign(topic=topic, reason=f"nothing is expected under {parsed.leaf}")


def refuse(topic: Topic, payload: bytes, reason: str, *, answered: bool = True) -> Refused:
    """Refuse a whole payload."""
    kept = payload if len(payload) <= MAX_MESSAGE_BYTES else payload[:_KEPT_OF_OVERSIZED]
    return Refused(
        venue=topic.venue,
        box=topic.box,
        sha256=hashlib.sha256(payload).hexdigest(),
        reason=_storable(reason),
        body=_storable(kept.decode("utf-8", errors="backslashreplace")),
        answered=answered,
    )


def refuse_delivery(delivery: EnvelopeDelivery, reason: str) -> Refused:
    """Refuse a payload that could be read, but not stored."""
    return refuse(Topic(venue=delivery.venue, box=delivery.box, leaf=Leaf.EVENTS), delivery.payload, reason)


def _read_envelope(topic: Topic, payload: bytes) -> EnvelopeDelivery | Refused:
    try:
        envelope = read_envelope(payload)
    except Unreadable as error:
        return refuse(topic, payload, str(error))
    if envelope.header.box != topic.box:
        return refuse(topic, payload, f"box {envelope.header.box} in the envelope, but {topic.box} in the topic")
    return EnvelopeDelivery(
        venue=topic.venue,
        box=topic.box,
        envelope=envelope,
        sha256=hashlib.sha256(payload).hexdigest(),
        payload=payload,
    )


def _read_status(topic: Topic, payload: bytes, *, retained: bool) -> StatusDelivery | Refused:
    try:
        status = Status.read(payload)
    except ValueError as error:
        return refuse(topic, payload, f"status: {_first_line(error)}", answered=False)
    if status.box != topic.box:
        return refuse(topic, payload, f"box {status.box} in the status, but {topic.box} in the topic", answered=False)
    return StatusDelivery(box=topic.box, status=status, retained=retained)


def _read_live(topic: Topic, payload: bytes, *, retained: bool) -> LiveDelivery | Foreign:
    try:
        live = Live.read(payload)
    except ValueError as error:
        return Foreign(topic=str(topic), reason=f"live: {_first_line(error)}")
    if live.box != topic.box:
        return Foreign(topic=str(topic), reason=f"box {live.box} in the payload, but {topic.box} in the topic")
    return LiveDelivery(box=topic.box, live=live, retained=retained)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'payload'}: {first['msg']}"
    return str(error)


def _storable(text: str) -> str:
    """Text without what PostgreSQL cannot keep: NUL and lone surrogates."""
    return text.replace("\0", "\\x00").encode("utf-8", errors="backslashreplace").decode()
