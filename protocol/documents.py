"""JSON Schemas (draft 2020-12) of everything on the wire, drawn from the models.

They describe what this version writes: nothing unknown, nothing absent that is always written, never null. A reader
that must live with later versions ignores `additionalProperties` and takes unknown enum values as unknown.
Knows the models; knows nothing of files or of YAML.
"""

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from protocol.acks import Ack
from protocol.catalogue import ITEM_TYPES
from protocol.control import Command, DesiredConfiguration, Reply
from protocol.envelope import MAX_ITEMS, Gap, Header
from protocol.json_text import JsonObject
from protocol.status import Live, Status

__all__ = ["MESSAGES", "item_title", "schema_documents"]

MESSAGES: dict[str, type[BaseModel]] = {
    "ack": Ack,
    "command": Command,
    "config": DesiredConfiguration,
    "gap": Gap,
    "live": Live,
    "reply": Reply,
    "status": Status,
}
"""Every message but the envelope, and the gap that stands in one, by the name of its document."""

_OF_THE_HEADER = {"Clock", "ClockSource", "Seen", "SeqRange"}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLACED_IN_TIME: JsonObject = {"oneOf": [{"required": ["at"]}, {"required": ["earliest", "latest"]}]}


def schema_documents() -> dict[str, JsonObject]:
    """Every schema by the name of its document, without extension; they refer to each other as `name.json`."""
    documents = {name: _schema(model) for name, model in MESSAGES.items()}
    documents |= {item_title(type_): _schema(model) | _PLACED_IN_TIME for type_, model in ITEM_TYPES.items()}
    documents["envelope"] = _envelope()
    return dict(sorted(documents.items()))


def item_title(type_: str) -> str:
    """The name of the document of a type of item."""
    return f"item-{type_}"


class _AsWritten(GenerateJsonSchema):
    """Absent instead of null; required whatever is always written; nothing but what is named."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001  the signature is pydantic's
    ) -> bool:
        inner = field["schema"]
        return super().field_is_required(field, total) or inner.get("default", 0) is not None

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return super().model_schema(schema) | {"additionalProperties": False}


def _schema(model: type[BaseModel]) -> JsonSchemaValue:
    return {"$schema": _DIALECT} | model.model_json_schema(schema_generator=_AsWritten, mode="validation")


def _envelope() -> JsonSchemaValue:
    schema = _schema(Header)
    schema["title"] = "Envelope"
    schema["description"] = "A header, and the items in the order of their seqs."
    schema["properties"]["gaps"]["items"] = {"$ref": "gap.json"}
    schema["$defs"] = {name: part for name, part in schema["$defs"].items() if name in _OF_THE_HEADER}
    kinds: list[JsonSchemaValue] = [{"$ref": f"{item_title(type_)}.json"} for type_ in sorted(ITEM_TYPES)]
    schema["properties"]["items"] = {"type": "array", "maxItems": MAX_ITEMS, "items": {"oneOf": kinds}}
    schema["required"].append("items")
    return schema
