import json
import random
from collections.abc import Sequence

import pytest
from pydantic import JsonValue, ValidationError

from protocol.configuration import Layout, config_hash
from protocol.json_text import JsonObject
from tests.support.golden import read_golden

GOLDEN_ITEM = read_golden("item-configuration")
GOLDEN_HASH = "09d0018a9fa4eb35a2fc6c778d3d6fd8"


def _layout() -> JsonObject:
    layout = read_golden("item-configuration")["layout"]
    assert isinstance(layout, dict)
    return layout


def _shuffled(node: JsonValue, random_: random.Random) -> JsonValue:
    if isinstance(node, dict):
        names: Sequence[str] = random_.sample(list(node), len(node))
        return {name: _shuffled(node[name], random_) for name in names}
    return [_shuffled(child, random_) for child in node] if isinstance(node, list) else node


def test_the_hash_of_the_golden_layout_never_changes() -> None:
    assert config_hash(Layout.read(_layout())) == GOLDEN_HASH == GOLDEN_ITEM["config"]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_keys_changes_nothing(seed: int) -> None:
    shuffled = _shuffled(_layout(), random.Random(seed))
    assert isinstance(shuffled, dict)
    assert config_hash(Layout.read(json.dumps(shuffled))) == GOLDEN_HASH


def test_a_default_changes_nothing_whether_said_or_not() -> None:
    short = {name: value for name, value in _layout().items() if name not in {"lines", "zones"}}
    said = {**short, "lines": [], "zones": []}
    assert config_hash(Layout.read(short)) == config_hash(Layout.read(said)) != GOLDEN_HASH


def test_an_int_where_a_float_stands_changes_nothing() -> None:
    layout = _layout()
    text = json.dumps(layout).replace("2.0", "2")
    assert text != json.dumps(layout)
    assert config_hash(Layout.read(text)) == GOLDEN_HASH


def test_what_a_later_version_adds_changes_the_hash() -> None:
    assert config_hash(Layout.read({**_layout(), "sounds": []})) != GOLDEN_HASH


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"k": 2}, "k"),
        ({"k": True}, "k"),
        ({"mode": "unknown"}, "mode"),
        ({"scenes": [{"scene": "ground-floor", "counting": 1}]}, "counting"),
        ({"spaces": [{"space": "fine", "coordinates": "floor", "floor": "ground", "cell": 0.2}]}, "cell"),
        ({"spaces": [{"space": "fine", "coordinates": "floor", "floor": "ground", "cell": float("nan")}]}, "cell"),
        ({"cameras": [{"camera": "door", "scene": "a", "space": "b", "address": "rtsp://door"}]}, "address"),
    ],
    ids=["k below 3", "k is true", "no mode", "counting is a number", "cell too fine", "cell is NaN", "an address"],
)
def test_not_written(change: JsonObject, field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Layout.model_validate({**_layout(), **change})
