"""docs/protocol.md shows every golden file to the letter, and names every topic, type, field and value."""

import json
import re
from collections.abc import Iterator

import pytest
from pydantic import JsonValue

from protocol.catalogue import ITEM_TYPES
from protocol.documents import schema_documents
from protocol.histograms import DURATION_BOUNDS_SECONDS
from protocol.modes import DISCLOSURE, Mode
from protocol.topics import ROOT, Leaf, direction_of
from tests.support.golden import names_in, read_golden
from tools.protocol_documents import REPOSITORY

TEXT = (REPOSITORY / "docs/protocol.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- golden: ([a-z-]+) -->\n```json\n(.*?)```", TEXT, re.DOTALL))
PROSE = re.sub(r"```json\n.*?```", "", TEXT, flags=re.DOTALL)


def _said(node: JsonValue) -> Iterator[str]:
    """Every name of a field and every value of an enum in a JSON Schema."""
    if isinstance(node, dict):
        properties, values = node.get("properties"), node.get("enum")
        yield from properties if isinstance(properties, dict) else ()
        yield from (str(value) for value in values) if isinstance(values, list) else ()
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _said(child)


def test_every_golden_file_is_shown() -> None:
    assert set(EXAMPLES) == set(names_in())
    assert TEXT.count("```json") == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_its_golden_file(name: str) -> None:
    assert json.loads(EXAMPLES[name]) == read_golden(name)


@pytest.mark.parametrize("leaf", Leaf)
def test_every_topic_is_named(leaf: Leaf) -> None:
    assert f"`{ROOT}/{{venue}}/{{box}}/{direction_of(leaf)}/{leaf}`" in PROSE


@pytest.mark.parametrize("type_", ITEM_TYPES)
def test_every_type_has_a_heading(type_: str) -> None:
    assert f"### `{type_}`: " in PROSE


@pytest.mark.parametrize("name", schema_documents())
def test_every_field_and_value_is_named(name: str) -> None:
    said = set(_said(schema_documents()[name]))
    assert said
    assert {word for word in said if f"`{word}`" not in PROSE} == set()


def test_the_bins_are_named() -> None:
    bounds = re.findall(r"\d+", PROSE.split("begin at ")[1].split(" seconds")[0])
    assert tuple(map(int, bounds)) == (0, *DURATION_BOUNDS_SECONDS)


def test_the_modes_are_as_they_are() -> None:
    statistics, live = DISCLOSURE[Mode.STATISTICS], DISCLOSURE[Mode.LIVE]
    minutes = [mode.bucket_seconds // 60 for mode in (statistics, live)]
    assert f"| buckets | {minutes[0]} minutes | {minutes[1]} minute |" in PROSE
    assert f"| {statistics.time_step_seconds} s | {live.time_step_seconds} s |" in PROSE
    assert f"| {statistics.live_interval_seconds} s | {live.live_interval_seconds} s |" in PROSE
