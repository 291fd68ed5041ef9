"""The envelope in which items travel, and what stands beside them.

`compose` writes one from items that are already JSON, as the exchange keeps them; `read_envelope` reads one as far as
it can be read: an item that this version does not know is kept whole as PENDING, one that breaks its model is
REJECTED with the reason, and only a payload whose header cannot be read at all is Unreadable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator

from protocol.acks import SeqRange
from protocol.catalogue import ITEM_TYPES
from protocol.events import ITEM_SCHEMA, Item
from protocol.json_text import JsonObject, parse_object
from protocol.tiles import Layer, Tile
from protocol.wire import (
    Count,
    Epoch,
    Position,
    Schema,
    Seconds,
    Seq,
    Slug,
    StoreId,
    UtcTime,
    WireEnum,
    WireModel,
    known,
)

__all__ = [
    "MAX_ITEMS",
    "Clock",
    "ClockSource",
    "Envelope",
    "Gap",
    "GapReason",
    "Header",
    "ReadItem",
    "Seen",
    "Unreadable",
    "Unsettled",
    "compose",
    "read_envelope",
    "read_item",
]

MAX_ITEMS = 2_000


class Unreadable(ValueError):
    """A payload whose header cannot be read."""


class ClockSource(WireEnum):
    """Where the box's UTC came from."""

    NTP = "ntp"
    CLOUD = "cloud"
    HARDWARE = "hardware"
    NONE = "none"
    UNKNOWN = "unknown"


class Clock(WireModel):
    """How far the box's times can be trusted."""

    source: Annotated[ClockSource, AfterValidator(known)]
    uncertainty_seconds: Seconds | None = None


class Seen(WireModel):
    """The last acknowledgement that the box took.

    `settled` are the lowest ranges of the envelope's epoch that acks of `store` have settled: what the store has
    receipts of, unless it was restored.
    """

    store: StoreId | None = None
    position: Position = 0
    settled: Annotated[tuple[SeqRange, ...], Field(max_length=256)] | None = None


class GapReason(WireEnum):
    """Why seqs will not come: `merged` lost nothing, the others did."""

    DROPPED = "dropped"
    MERGED = "merged"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"


class TypeCount(WireModel):
    """How many items of a type a gap covers."""

    type: Slug
    count: Count


class Gap(WireModel):
    """A declared hole: these seqs of this epoch will not come. Idempotent, and sent until an ack covers it.

    `into` is the item of the same envelope that holds what these did, where they were merged for want of room.
    """

    epoch: Epoch
    from_seq: Seq
    to_seq: Seq
    start: Annotated[UtcTime | None, Field(alias="from")] = None
    end: Annotated[UtcTime | None, Field(alias="to")] = None
    reason: Annotated[GapReason, AfterValidator(known)]
    lost_by_type: Annotated[tuple[TypeCount, ...], Field(max_length=64)] = ()
    into: Seq | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to_seq < self.from_seq:
            raise ValueError(f"to_seq not below from_seq; found {self.from_seq} to {self.to_seq}")
        return self


class Header(WireModel):
    """An envelope without its items."""

    box: Slug
    epoch: Epoch
    head: Epoch
    sent_at: UtcTime | None = None
    clock: Clock
    seen: Seen = Seen()
    gaps: Annotated[tuple[Gap, ...], Field(max_length=256)] = ()


class Unsettled(WireEnum):
    """Why an item could not be taken as a row."""

    UNKNOWN_TYPE = "unknown-type"
    NEWER_SCHEMA = "newer-schema"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadItem:
    """An item as it came, and as what it was understood.

    `item` is the model, or None with `unsettled` saying why; `detail` says what was wrong with an invalid one.
    """

    seq: int
    type: str
    schema_version: int
    raw: JsonObject
    item: Item | None
    unsettled: Unsettled | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A header and its items in the order they came."""

    header: Header
    items: tuple[ReadItem, ...]


def compose(header: Header, items: Sequence[str]) -> bytes:
    """The payload of a header and items that are JSON objects already."""
    return f'{header.to_json()[:-1]},"items":[{",".join(items)}]}}'.encode()


class _Named(WireModel):
    """The part of an item that never moves within v1."""

    seq: Seq
    type: Slug
    schema_version: Annotated[Schema, Field(alias="schema")]


def read_envelope(payload: bytes) -> Envelope:
    """Read a payload; raises Unreadable naming what was wrong with it."""
    try:
        data = parse_object(payload)
        raw_items = data.pop("items", None)
        if not isinstance(raw_items, list) or len(raw_items) > MAX_ITEMS:
            raise Unreadable(f"`items` must be a list of at most {MAX_ITEMS}")
        header = Header.read(data)
        items = tuple(read_item(raw) for raw in raw_items)
    except ValidationError as error:
        raise Unreadable(_first_line(error)) from error
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if len({item.seq for item in items}) != len(items):
        raise Unreadable("a seq stands twice in one envelope")
    return Envelope(header=header, items=items)


def read_item(raw: JsonValue) -> ReadItem:
    """Understand one item as far as possible; raises ValidationError when it has no seq, type or schema."""
    kept = raw if isinstance(raw, dict) else {}
    kind, schema = kept.get("type"), kept.get("schema")
    model = ITEM_TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        return _unsettled(kept, Unsettled.UNKNOWN_TYPE)
    if not isinstance(schema, int) or schema > ITEM_SCHEMA:
        return _unsettled(kept, Unsettled.NEWER_SCHEMA)
    try:
        item = model.read(kept)
    except ValidationError as error:
        return _unsettled(kept, Unsettled.INVALID, _first_line(error))
    if isinstance(item, Tile) and item.layer is Layer.UNKNOWN:
        # Tiles of two layers not yet known must not be added up as one.
        return _unsettled(kept, Unsettled.NEWER_SCHEMA)
    return ReadItem(seq=item.seq, type=item.type, schema_version=item.schema_version, raw=kept, item=item)


def _unsettled(raw: JsonObject, why: Unsettled, detail: str = "") -> ReadItem:
    """An item of which only the name is understood; raises ValidationError when not even that is."""
    named = _Named.read(raw)
    return ReadItem(
        seq=named.seq,
        type=named.type,
        schema_version=named.schema_version,
        raw=raw,
        item=None,
        unsettled=why,
        detail=detail,
    )


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "item"
    return f"{where}: {first['msg']}"
