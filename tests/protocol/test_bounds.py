"""Nothing on the wire can hold an image, an array, a free text or an unbounded number: every field is walked."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, cast

import pytest
from pydantic import BaseModel, Field, JsonValue, TypeAdapter

import protocol
from protocol.wire import MAX_ITEM_BYTES, UtcTime, WireEnum, WireModel

MODULES = [importlib.import_module(f"protocol.{module.name}") for module in pkgutil.iter_modules(protocol.__path__)]

Node = Mapping[str, object]

# What only passes a value on to the schema inside it.
WRAPPERS = {"default", "nullable", "function-after", "function-before", "model", "definitions", "model-field"}


def _models(base: type[BaseModel] = WireModel) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("protocol."):
            yield model
        yield from _models(model)


def _loose_ends(schema: Node, where: str) -> Iterator[str]:
    """Every place below a core schema that could hold more than a bounded number, an enum or a patterned text."""
    kind = str(schema["type"])
    if kind == "model-fields":
        for name, field in cast("Mapping[str, Node]", schema["fields"]).items():
            yield from _loose_ends(field, f"{where}.{name}")
    elif kind == "tuple":
        yield from _loose_tuple(schema, where)
    elif kind in {"int", "float"}:
        yield from _loose_number(schema, where)
    elif kind in WRAPPERS:
        mark = f" {kind}" if kind.startswith("function") else ""
        yield from _loose_ends(cast("Node", schema["schema"]), where + mark)
        for definition in cast("list[Node]", schema.get("definitions", [])):
            yield from _loose_ends(definition, where)
    elif not _is_tight_leaf(kind, schema, where):
        yield f"{where}: {kind}"


def _is_tight_leaf(kind: str, schema: Node, where: str) -> bool:
    match kind:
        case "str":
            return bool(schema.get("pattern") and schema.get("strict"))
        case "bool":
            return bool(schema.get("strict"))
        case "datetime":
            # Text of one shape before it is parsed, the years 2000 to 2199 after.
            return where.endswith(" function-after function-before")
        case _:
            return kind in {"literal", "enum", "definition-ref"}


def _loose_tuple(schema: Node, where: str) -> Iterator[str]:
    if schema.get("variadic_item_index") is not None and not schema.get("max_length"):
        yield f"{where}: a list of any length"
    for item in cast("list[Node]", schema["items_schema"]):
        yield from _loose_ends(item, f"{where}[]")


def _loose_number(schema: Node, where: str) -> Iterator[str]:
    has_bounds = ("ge" in schema or "gt" in schema) and ("le" in schema or "lt" in schema)
    if not has_bounds or not schema.get("strict"):
        yield f"{where}: an unbounded or lax number"
    if schema["type"] == "float" and schema.get("allow_inf_nan", True):
        yield f"{where}: a number that may be NaN"


def _core(model: type[BaseModel]) -> Node:
    return cast("Node", model.__pydantic_core_schema__)


def test_the_walk_sees_every_model() -> None:
    assert {"Visit", "Tile", "Gap", "Header", "Ack", "Status", "Live", "Command", "Layout", "LineCount"} <= {
        model.__name__ for model in _models()
    }
    assert len(set(_models())) >= 40


@pytest.mark.parametrize("model", sorted(set(_models()), key=repr), ids=repr)
def test_every_field_is_bounded(model: type[BaseModel]) -> None:
    assert list(_loose_ends(_core(model), model.__name__)) == []


def test_every_enum_can_read_a_later_member() -> None:
    enums = set(WireEnum.__subclasses__())
    assert len(enums) >= 14
    assert all(enum("no-such-member") == "unknown" for enum in enums)


@pytest.mark.parametrize(
    "annotation",
    [
        bytes,
        str,
        int,
        float,
        bool,
        dict[str, int],
        list[int],
        object,
        JsonValue,
        datetime,
        tuple[Annotated[int, Field(strict=True, ge=0, le=9)], ...],
        Annotated[tuple[bytes, ...], Field(max_length=3)],
        Annotated[str, Field(max_length=20)],
        Annotated[str, Field(pattern="^a$")],
        Annotated[int, Field(strict=True, ge=0)],
        Annotated[int, Field(ge=0, le=9)],
        Annotated[float, Field(strict=True, ge=0, le=9)],
        Annotated[str, Field(strict=True, pattern="^a$")] | int,
    ],
    ids=str,
)
def test_the_walk_finds_what_must_not_exist(annotation: type[object]) -> None:
    assert list(_loose_ends(cast("Node", TypeAdapter(annotation).core_schema), ""))


def test_the_walk_goes_down_to_the_last_field() -> None:
    assert list(_loose_ends(_core(_Outer), "")) == [".inners[].picture: bytes"]


class _Inner(BaseModel):
    at: UtcTime | None = None
    kind: Literal["a"] = "a"
    picture: bytes | None = None


class _Outer(BaseModel):
    inners: Annotated[tuple[_Inner, ...], Field(max_length=2)] = ()


def test_there_is_no_other_base() -> None:
    strays = [
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
        if not issubclass(value, WireModel)
    ]
    assert strays == []
    assert MAX_ITEM_BYTES < 64 * 1024
