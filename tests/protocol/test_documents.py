"""The generated documents equal the models, and the golden files obey the documents."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from pydantic import JsonValue
from referencing import Registry, Resource

from protocol.documents import item_title, schema_documents
from protocol.json_text import JsonObject
from protocol.topics import Leaf, Topic, direction_of
from tests.support.golden import model_of, names_in, read_golden
from tools.protocol_documents import CHANNELS, REPOSITORY, generated

DOCUMENTS = schema_documents()
GENERATED = dict(generated())
REGISTRY: Registry[bool | Mapping[str, JsonValue]] = Registry().with_resources(
    (f"{name}.json", Resource.from_contents(document)) for name, document in DOCUMENTS.items()
)


def _validator(name: str, data: JsonObject) -> Validator:
    document = item_title(str(data["type"])) if name.startswith("item-") else name.split("-", 1)[0]
    return Draft202012Validator({"$ref": f"{document}.json"}, registry=REGISTRY)


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_what_is_committed_is_what_the_models_give(path: Path) -> None:
    assert (REPOSITORY / path).read_text() == GENERATED[path], "run: python -m tools.protocol_documents"


def test_nothing_else_is_committed() -> None:
    found = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "docs/schemas").iterdir()}
    assert found | {Path("docs/asyncapi.yaml")} == set(GENERATED)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENTS[name])


@pytest.mark.parametrize("name", names_in())
def test_a_golden_file_obeys_its_schema(name: str) -> None:
    data = read_golden(name)
    _validator(name, data).validate(data)


@pytest.mark.parametrize("name", names_in())
def test_a_field_too_many_or_too_few_breaks_the_schema(name: str) -> None:
    data = read_golden(name)
    validator = _validator(name, data)
    with pytest.raises(ValidationError):
        validator.validate({**data, "photograph": "x"})
    first = next(iter(data))
    with pytest.raises(ValidationError):
        validator.validate({key: value for key, value in data.items() if key != first})


@pytest.mark.parametrize(
    "name", [name for name in names_in("later") if model_of(name, read_golden(name, "later")) or name == "envelope"]
)
def test_what_a_later_version_writes_breaks_the_schema_of_this_one(name: str) -> None:
    data = read_golden(name, "later")
    with pytest.raises(ValidationError):
        _validator(name, data).validate(data)


def _asyncapi() -> JsonObject:
    document: JsonObject = yaml.safe_load(GENERATED[Path("docs/asyncapi.yaml")])
    return document


def _references(node: JsonValue) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(found := node.get("$ref"), str):
            yield found
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


def _resolve(document: JsonValue, pointer: str) -> JsonValue:
    for part in pointer.removeprefix("#/").split("/"):
        assert isinstance(document, dict), pointer
        document = document[part]
    return document


def test_every_topic_is_a_channel_and_an_operation() -> None:
    document = _asyncapi()
    assert {channel.leaf for channel in CHANNELS} == set(Leaf)
    channels = document["channels"]
    assert isinstance(channels, dict)
    for leaf in Leaf:
        channel = channels[leaf]
        assert isinstance(channel, dict)
        address = re.sub(r"\{(venue|box)\}", r"\1", str(channel["address"]))
        assert address == str(Topic(venue="venue", box="box", leaf=leaf))
        action = "send" if direction_of(leaf) == "down" else "receive"
        assert _resolve(document, f"#/operations/{action}-{leaf}/action") == action


def test_only_what_is_said_to_be_retained_is() -> None:
    operations = _asyncapi()["operations"]
    assert isinstance(operations, dict)
    mqtt = {name: _resolve(operation, "#/bindings/mqtt") for name, operation in operations.items()}
    retained = {name for name, binding in mqtt.items() if isinstance(binding, dict) and binding["retain"]}
    unacknowledged = {name for name, binding in mqtt.items() if isinstance(binding, dict) and binding["qos"] == 0}
    assert retained == {"receive-live", "receive-status", "send-config"}
    assert unacknowledged == {"receive-live"}


def test_every_reference_leads_somewhere() -> None:
    document = _asyncapi()
    references = list(_references(document))
    assert len(references) >= 3 * len(Leaf)
    for reference in references:
        if reference.startswith("#/"):
            assert _resolve(document, reference)
        else:
            assert (REPOSITORY / "docs" / reference).is_file()


def test_every_schema_refers_to_what_exists() -> None:
    for document in DOCUMENTS.values():
        for reference in _references(document):
            if reference.startswith("#/"):
                assert _resolve(document, reference)
            else:
                assert reference.removesuffix(".json") in DOCUMENTS


def test_every_example_obeys_the_schema_of_its_channel() -> None:
    for channel in CHANNELS:
        assert channel.examples
        for example in channel.examples:
            Draft202012Validator({"$ref": f"{channel.schema}.json"}, registry=REGISTRY).validate(read_golden(example))


def test_json_is_pretty_and_final() -> None:
    for path, text in GENERATED.items():
        assert text.endswith("\n")
        if path.suffix == ".json":
            assert json.loads(text)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
