"""The scalars of the wire, and one base for its models: strict on writing, tolerant on reading.

Constructing a model is writing: an unknown field, an UNKNOWN enum value or a message too large to send is an error.
`read` is reading: unknown fields are kept in `model_extra` and go out again when dumped, and an enum value
of a later version becomes UNKNOWN. A number is a number on both sides: "5", true and NaN are none.
Knows nothing of MQTT, of files or of time now.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from protocol.json_text import MAX_MESSAGE_BYTES, JsonObject, parse_object

__all__ = [
    "MAX_ITEM_BYTES",
    "MAX_MESSAGE_BYTES",
    "ConfigHash",
    "Count",
    "Digest",
    "Epoch",
    "Fraction",
    "JsonObject",
    "Position",
    "Schema",
    "Seconds",
    "Seq",
    "Slug",
    "StoreId",
    "Through",
    "UtcTime",
    "Version",
    "WireEnum",
    "WireMessage",
    "WireModel",
    "early_epoch",
    "format_utc",
    "is_reading",
    "known",
]

MAX_ITEM_BYTES = 60 * 1024
"""An item or a whole message is written up to this size, which leaves room for an envelope's header."""

_RFC_3339 = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_MOMENT = re.compile(_RFC_3339, re.ASCII)

_READING: Mapping[str, bool] = {"reading": True}


def format_utc(moment: datetime) -> str:
    """ISO 8601 with a Z; milliseconds only where there are any."""
    moment = moment.astimezone(UTC)
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def early_epoch(head: str) -> str:
    """The epoch beside a run's own in which it names what is not whole yet: an open visit, a bucket still filling.

    Whoever ends such a thing, that run or the one after it, on this disk or on a copy of it, ends it under that name.
    It follows from the head, so that the cloud knows whose it is: the first 64 bits of SHA-256 over "early " and head.
    """
    return hashlib.sha256(f"early {head}".encode()).hexdigest()[:16]


def _moment_or_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _MOMENT.match(value)):
        return value
    raise ValueError("a moment as in 2026-01-31T12:00:00Z")


def _to_utc(moment: datetime) -> datetime:
    # Before the year is known to be sane, moving to UTC can overflow. A box without a battery starts in 1970.
    if not 2000 <= moment.year < 2200 or not 2000 <= (moment := moment.astimezone(UTC)).year < 2200:
        raise ValueError("a moment between the years 2000 and 2199")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


Slug = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9-]{1,63}$")]
Epoch = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{16}$")]

Digest = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
ConfigHash = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{32}$")]
StoreId = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Version = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9A-Za-z.+-]{1,32}$")]
Seq = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
Through = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
Position = Annotated[int, Field(strict=True, ge=0, le=2**40)]
Schema = Annotated[int, Field(strict=True, ge=1, le=999)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=10_000_000, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
UtcTime = Annotated[
    AwareDatetime,
    BeforeValidator(_moment_or_text),
    AfterValidator(_to_utc),
    PlainSerializer(format_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _RFC_3339}),
]


class WireEnum(StrEnum):
    """An enum whose later members read as UNKNOWN; UNKNOWN itself is never written."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("unknown") if isinstance(value, str) and value != "unknown" else None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        schema["enum"] = [value for value in schema["enum"] if value != "unknown"]
        return schema


_E = TypeVar("_E", bound=WireEnum)


def known(value: _E, info: ValidationInfo) -> _E:
    """Refuse UNKNOWN unless reading."""
    if value == "unknown" and not is_reading(info):
        allowed = ", ".join(member for member in type(value) if member != "unknown")
        raise ValueError(f"one of {allowed}")
    return value


def is_reading(info: ValidationInfo) -> bool:
    """Whether what is validated came from outside, perhaps from another version."""
    return bool(info.context and info.context.get("reading"))


class WireModel(BaseModel):
    """Base of everything that crosses the wire."""

    # `allow`, so that what was read is dumped again; the validator below refuses it when writing.
    model_config = ConfigDict(frozen=True, extra="allow", serialize_by_alias=True, validate_by_name=True)

    @model_validator(mode="after")
    def _nothing_unknown(self, info: ValidationInfo) -> Self:
        if self.model_extra and not is_reading(info):
            raise ValueError(f"no unknown fields; found {', '.join(map(repr, self.model_extra))}")
        return self

    @classmethod
    def read(cls, data: Mapping[str, JsonValue] | bytes | str) -> Self:
        """Read what another version may have written; raises ValueError (pydantic's ValidationError is one)."""
        if isinstance(data, bytes | str):
            data = parse_object(data)
        return cls.model_validate(data, by_alias=True, by_name=False, context=_READING)

    def to_json(self) -> str:
        """Compact JSON without absent values."""
        return self.model_dump_json(exclude_none=True)

    def to_object(self) -> JsonObject:
        """The same as plain JSON values."""
        return self.model_dump(mode="json", exclude_none=True)


class WireMessage(WireModel):
    """Base of what is sent whole, so must fit into a message."""

    @model_validator(mode="after")
    def _fits_a_message(self, info: ValidationInfo) -> Self:
        if not is_reading(info) and (size := len(self.to_json())) > MAX_ITEM_BYTES:
            raise ValueError(f"at most {MAX_ITEM_BYTES} bytes as JSON; found {size}")
        return self
