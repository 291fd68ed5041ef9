import json
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from protocol.envelope import MAX_ITEMS, Envelope, Gap, GapReason, Header, Unreadable, Unsettled, compose, read_envelope
from protocol.json_text import MAX_MESSAGE_BYTES, JsonObject
from protocol.tiles import CELLS_PER_TILE, DIRECTIONS, MAX_CELLS_PER_ITEM, Layer, Tile
from protocol.wire import MAX_ITEM_BYTES
from tests.support.golden import names_in, read_golden

HEADER = Header.read({name: value for name, value in read_golden("envelope").items() if name != "items"})
ITEMS = [read_golden(name) for name in names_in(prefix="item-")]
ENVELOPES = [read_golden("envelope"), read_golden("envelope-tiles"), read_golden("envelope", "later")]

HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["0001-01-01T00:00:00+05:00", "unknown", "visit", "tile", "a" * 64, "5", 10**400, 2**53]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _read_or_refuse(payload: bytes) -> None:
    """Reading either says Unreadable, or gives items that can be stored and written again."""
    try:
        envelope = read_envelope(payload)
    except Unreadable:
        return
    for read in envelope.items:
        json.dumps(read.raw, ensure_ascii=False, allow_nan=False).encode()
        assert (read.item is None) == (read.unsettled is not None)
        assert (read.unsettled is Unsettled.INVALID) == bool(read.detail)
        if read.item is not None:
            read.item.to_json()
    again = read_envelope(compose(envelope.header, [json.dumps(read.raw) for read in envelope.items]))
    assert again.items == envelope.items
    assert again.header.to_object() == envelope.header.to_object()


def _containers(node: JsonValue) -> list[dict[str, JsonValue] | list[JsonValue]]:
    if not isinstance(node, dict | list):
        return []
    children = node.values() if isinstance(node, dict) else node
    return [node, *(found for child in children for found in _containers(child))]


def _mutate(draw: st.DataObject, data: JsonObject) -> JsonObject:
    mutated: JsonObject = json.loads(json.dumps(data))
    container = draw.draw(st.sampled_from(_containers(mutated)))
    value = cast("JsonValue", draw.draw(HOSTILE))
    if isinstance(container, dict):
        key = draw.draw(st.sampled_from([*container, "extra"]))
        if draw.draw(st.booleans()):
            container.pop(key, None)
        else:
            container[key] = value
    else:
        container.insert(draw.draw(st.integers(0, len(container))), value)
    return mutated


@given(payload=st.binary(max_size=300))
def test_any_bytes_are_read_or_unreadable(payload: bytes) -> None:
    _read_or_refuse(payload)


@given(data=HOSTILE)
def test_any_json_is_read_or_unreadable(data: JsonValue) -> None:
    _read_or_refuse(json.dumps(data).encode())


@settings(max_examples=400, deadline=None)
@given(draw=st.data(), data=st.sampled_from(ENVELOPES), times=st.integers(1, 4))
def test_a_mutated_envelope_is_read_or_unreadable(draw: st.DataObject, data: JsonObject, times: int) -> None:
    for _ in range(times):
        data = _mutate(draw, data)
    _read_or_refuse(json.dumps(data).encode())


@given(draw=st.data())
def test_a_cut_envelope_is_read_or_unreadable(draw: st.DataObject) -> None:
    payload = json.dumps(read_golden("envelope")).encode()
    at = draw.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(Unreadable):
        read_envelope(payload[:at])
    _read_or_refuse(payload[:at] + draw.draw(st.binary(min_size=1, max_size=3)) + payload[at + 1 :])


@given(items=st.lists(st.sampled_from(ITEMS), unique_by=lambda item: int(str(item["seq"]))))
def test_what_is_composed_is_read(items: list[JsonObject]) -> None:
    envelope = read_envelope(compose(HEADER, [json.dumps(item) for item in items]))
    assert envelope.header == HEADER
    assert [read.raw for read in envelope.items] == items
    assert [read.item.to_object() for read in envelope.items if read.item] == items


def _with(**changes: JsonValue) -> Callable[[], bytes]:
    return lambda: json.dumps({**read_golden("envelope"), **changes}).encode()


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no items": (_with(items=None), "`items` must be a list of at most 2000"),
    "items are no list": (_with(items={"0": {}}), "`items` must be a list"),
    "too many items": (_with(items=[0] * (MAX_ITEMS + 1)), "`items` must be a list of at most 2000"),
    "an item is no object": (_with(items=[7]), "seq"),
    "an item without a seq": (_with(items=[{"type": "visit", "schema": 1}]), "seq: Field required"),
    "a seq of zero": (_with(items=[{"seq": 0, "type": "visit", "schema": 1}]), "seq"),
    "a type that is no text": (_with(items=[{"seq": 1, "type": ["visit"], "schema": 1}]), "type: Input should be a"),
    "a known type without a schema": (
        _with(items=[{**read_golden("item-visit"), "schema": None}]),
        "schema: Input should be a valid integer",
    ),
    "a schema is true": (_with(items=[{**read_golden("item-visit"), "schema": True}]), "schema: Input should be a"),
    "a schema of zero": (_with(items=[{**read_golden("item-visit"), "schema": 0}]), "schema"),
    "a seq is true": (_with(items=[{"seq": True, "type": "visit", "schema": 1}]), "seq"),
    "a seq twice": (_with(items=[read_golden("item-visit")] * 2), "a seq stands twice"),
    "no box": (_with(box=None), "box"),
    "an epoch of another shape": (_with(epoch="5F2C"), "epoch"),
    "a gap that runs backwards": (
        _with(gaps=[{**read_golden("gap"), "to_seq": 1}]),
        "to_seq not below from_seq; found 4101 to 1",
    ),
    "257 gaps": (_with(gaps=[{**read_golden("gap"), "lost_by_type": []}] * 257), "gaps"),
    "too large": (lambda: b" " * (MAX_MESSAGE_BYTES + 1), "at most 65536 are taken"),
}


@pytest.mark.parametrize(("payload", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable_says_why(payload: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_envelope(payload())


def test_an_invalid_item_leaves_its_neighbours_whole() -> None:
    bad = {**read_golden("item-visit"), "frames_seen": True}
    envelope = read_envelope(compose(HEADER, [json.dumps(bad), json.dumps(read_golden("item-crossing"))]))
    first, second = envelope.items
    assert (first.unsettled, first.detail, first.raw) == (
        Unsettled.INVALID,
        "frames_seen: Input should be a valid integer",
        bad,
    )
    assert second.item is not None


def test_a_gap_is_written_only_with_a_known_reason() -> None:
    data = {name: value for name, value in read_golden("gap").items() if name != "reason"}
    assert Gap.model_validate({**data, "reason": GapReason.EXPIRED}).reason is GapReason.EXPIRED
    with pytest.raises(ValidationError, match="one of dropped, merged, expired, quarantined"):
        Gap.model_validate({**data, "reason": "unknown"})


def _largest_tile() -> Tile:
    top = CELLS_PER_TILE * DIRECTIONS
    return Tile(
        seq=2**53 - 1,
        venue="v" * 63,
        config="f" * 32,
        at=HEADER.sent_at,
        space="s" * 63,
        camera="c" * 63,
        layer=Layer.FLOW,
        tx=-(2**20),
        ty=-(2**20),
        length_seconds=86_400,
        cells=tuple(range(top - MAX_CELLS_PER_ITEM, top)),
        values=(2**31 - 1,) * MAX_CELLS_PER_ITEM,
    )


def test_the_largest_tile_fits_in_a_message() -> None:
    tile = _largest_tile()
    payload = compose(HEADER, [tile.to_json()])
    assert len(payload) < MAX_ITEM_BYTES
    envelope: Envelope = read_envelope(payload)
    assert envelope.items[0].item == tile


def test_a_header_leaves_room_for_the_largest_item() -> None:
    longest = HEADER.model_copy(update={"box": "b" * 63, "gaps": HEADER.gaps * 16})
    assert len(compose(longest, [])) + MAX_ITEM_BYTES < MAX_MESSAGE_BYTES
