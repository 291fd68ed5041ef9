"""Writes what is generated from the protocol's models: `python -m tools.protocol_documents` rewrites it all.

JSON Schemas under docs/schemas, and docs/asyncapi.yaml: the cloud's side of every topic, with the golden files as
examples. A test compares what is committed with what this gives.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import JsonValue

from protocol.documents import schema_documents
from protocol.json_text import MAX_MESSAGE_BYTES, JsonObject
from protocol.topics import ROOT, Leaf, direction_of

__all__ = ["CHANNELS", "Channel", "generated", "main"]

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = REPOSITORY / "tests" / "protocol" / "golden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A topic: what travels on it, how the broker treats it, and the golden files that show it."""

    leaf: Leaf
    schema: str
    summary: str
    examples: tuple[str, ...]
    quality_of_service: int = 1
    is_retained: bool = False


CHANNELS = (
    Channel(
        leaf=Leaf.EVENTS,
        schema="envelope",
        summary="Envelopes of every item but tiles, with declared gaps.",
        examples=("envelope", "envelope-without-clock"),
    ),
    Channel(leaf=Leaf.TILES, schema="envelope", summary="Envelopes of tiles.", examples=("envelope-tiles",)),
    Channel(
        leaf=Leaf.LIVE,
        schema="live",
        summary="Occupancy per scene and zone, at most every 30 s; every second in live mode.",
        examples=("live",),
        quality_of_service=0,
        is_retained=True,
    ),
    Channel(
        leaf=Leaf.STATUS,
        schema="status",
        summary="Birth certificate and, by the Will, death of a box.",
        examples=("status", "status-offline"),
        is_retained=True,
    ),
    Channel(leaf=Leaf.REPLY, schema="reply", summary="Answers to commands.", examples=("reply",)),
    Channel(
        leaf=Leaf.ACK,
        schema="ack",
        summary="What is committed, or which payload could not be read.",
        examples=("ack", "ack-refused"),
    ),
    Channel(
        leaf=Leaf.CONFIG,
        schema="config",
        summary="The desired configuration, versioned and signed.",
        examples=("config",),
        is_retained=True,
    ),
    Channel(leaf=Leaf.COMMAND, schema="command", summary="Signed commands.", examples=("command",)),
)


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file, by its path in the repository, and its text."""
    for name, schema in schema_documents().items():
        yield Path("docs/schemas") / f"{name}.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    text = yaml.dump(_asyncapi(), Dumper=_WithoutAliases, sort_keys=False, allow_unicode=True, width=120)
    yield Path("docs/asyncapi.yaml"), f"# Written by `python -m tools.protocol_documents`.\n{text}"


def main() -> None:
    """Rewrite every generated file, and take away what is no longer generated."""
    files = dict(generated())
    folder = REPOSITORY / "docs" / "schemas"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.relative_to(REPOSITORY) not in files:
            path.unlink()
    for path, text in files.items():
        (REPOSITORY / path).write_text(text)
    print(f"{len(files)} files written")


class _WithoutAliases(yaml.SafeDumper):
    """YAML that repeats instead of pointing back."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  the signature is PyYAML's
        return True


def _asyncapi() -> JsonObject:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Footfall",
            "version": "1.0.0",
            "description": "What a box and the cloud say to each other over MQTT, seen from the cloud. "
            f"JSON in UTF-8, under {MAX_MESSAGE_BYTES // 1024} KiB a message.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.leaf.value: _channel(channel) for channel in CHANNELS},
        "operations": {f"{_action(channel)}-{channel.leaf}": _operation(channel) for channel in CHANNELS},
        "components": {"messages": {channel.leaf.value: _message(channel) for channel in CHANNELS}},
    }


def _channel(channel: Channel) -> JsonObject:
    return {
        "address": f"{ROOT}/{{venue}}/{{box}}/{direction_of(channel.leaf)}/{channel.leaf}",
        "description": channel.summary,
        "parameters": {
            "venue": {"description": "The venue in which the box is enrolled: [a-z0-9-]{1,63}."},
            "box": {"description": "The box, tied to its certificate: [a-z0-9-]{1,63}."},
        },
        "messages": {channel.leaf.value: {"$ref": f"#/components/messages/{channel.leaf}"}},
    }


def _operation(channel: Channel) -> JsonObject:
    mqtt: JsonObject = {"qos": channel.quality_of_service, "retain": channel.is_retained, "bindingVersion": "0.2.0"}
    return {
        "action": _action(channel),
        "channel": {"$ref": f"#/channels/{channel.leaf}"},
        "summary": channel.summary,
        "bindings": {"mqtt": mqtt},
        "messages": [{"$ref": f"#/channels/{channel.leaf}/messages/{channel.leaf}"}],
    }


def _message(channel: Channel) -> JsonObject:
    examples: list[JsonValue] = [
        {"name": name, "payload": json.loads((GOLDEN / f"{name}.json").read_text())} for name in channel.examples
    ]
    return {
        "name": channel.leaf.value,
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{channel.schema}.json"},
        },
        "examples": examples,
    }


def _action(channel: Channel) -> str:
    return "send" if direction_of(channel.leaf) == "down" else "receive"


if __name__ == "__main__":
    main()
