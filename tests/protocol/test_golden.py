"""The golden files: what this version writes, what v1.0 wrote for ever, and what a later version may write."""

import hashlib
import json

import pytest
from pydantic import JsonValue, ValidationError

from protocol.catalogue import ITEM_TYPES
from protocol.documents import MESSAGES
from protocol.envelope import Header, Unsettled, compose, read_envelope, read_item
from tests.support.golden import GOLDEN, model_of, names_in, read_golden

MODELLED = [name for name in names_in() if not name.startswith("envelope")]
ENVELOPES = names_in(prefix="envelope")
LATER = [
    name for name in names_in("later") if name != "item-newer-schema" and model_of(name, read_golden(name, "later"))
]


def test_every_type_and_message_has_a_golden_file() -> None:
    wanted = {f"item-{type_}" for type_ in ITEM_TYPES} | set(MESSAGES) | {"envelope", "ack-refused", "status-offline"}
    assert wanted <= set(names_in())
    assert wanted <= set(names_in("v1.0"))


@pytest.mark.parametrize("name", MODELLED)
def test_what_is_read_is_written_again_to_the_letter(name: str) -> None:
    data = read_golden(name)
    model = model_of(name, data)
    assert model is not None
    read = model.read(data)
    assert read.to_json() == json.dumps(data, separators=(",", ":"))
    assert read.to_object() == data
    assert model.read(read.to_json()) == read


@pytest.mark.parametrize("name", MODELLED)
def test_a_golden_file_can_be_written(name: str) -> None:
    data = read_golden(name)
    model = model_of(name, data)
    assert model is not None
    assert model.model_validate(data).to_object() == data


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_is_composed_to_the_letter(name: str) -> None:
    data = read_golden(name)
    payload = json.dumps(data, separators=(",", ":")).encode()
    envelope = read_envelope(payload)
    assert all(read.item for read in envelope.items)
    assert compose(envelope.header, [read.item.to_json() for read in envelope.items if read.item]) == payload


def test_the_files_of_version_1_0_never_change() -> None:
    lines = (GOLDEN / "v1.0/SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (GOLDEN / "v1.0").glob("*.json")}
    assert found == sums


@pytest.mark.parametrize("name", names_in("v1.0"))
def test_version_1_0_is_read_without_loss(name: str) -> None:
    data = read_golden(name, "v1.0")
    if name.startswith("envelope"):
        envelope = read_envelope(json.dumps(data).encode())
        assert [read.unsettled for read in envelope.items] == [None] * len(envelope.items)
        assert [read.raw for read in envelope.items] == data["items"]
        return
    model = model_of(name, data)
    assert model is not None
    assert _holds(model.read(data).to_object(), data)


@pytest.mark.parametrize("name", LATER)
def test_a_later_version_is_read_and_what_is_unknown_goes_out_again(name: str) -> None:
    data = read_golden(name, "later")
    model = model_of(name, data)
    assert model is not None
    assert _holds(model.read(data).to_object(), data)


@pytest.mark.parametrize("name", LATER)
def test_what_a_later_version_writes_cannot_be_written_by_this_one(name: str) -> None:
    data = read_golden(name, "later")
    model = model_of(name, data)
    assert model is not None
    with pytest.raises(ValidationError):
        model.model_validate(data)


@pytest.mark.parametrize(
    ("name", "unsettled"),
    [
        ("item-unknown-type", Unsettled.UNKNOWN_TYPE),
        ("item-newer-schema", Unsettled.NEWER_SCHEMA),
        ("item-visit-unknown-field-and-value", None),
        ("item-tile-unknown-layer", Unsettled.NEWER_SCHEMA),
    ],
)
def test_an_item_of_a_later_version_is_kept_whole(name: str, unsettled: Unsettled | None) -> None:
    data = read_golden(name, "later")
    read = read_item(data)
    assert read.unsettled is unsettled
    assert read.raw == data
    assert (read.item is None) == (unsettled is not None)


def test_an_envelope_of_a_later_version_is_read_item_by_item() -> None:
    data = read_golden("envelope", "later")
    envelope = read_envelope(json.dumps(data).encode())
    assert [read.unsettled for read in envelope.items] == [
        None,
        None,
        Unsettled.UNKNOWN_TYPE,
        Unsettled.NEWER_SCHEMA,
        Unsettled.INVALID,
    ]
    assert [read.raw for read in envelope.items] == data["items"]
    assert envelope.header.clock.source == "unknown"
    assert envelope.header.model_extra == {"priority": 3}
    assert envelope.items[-1].detail.startswith("lines:")
    with pytest.raises(ValidationError):
        Header.model_validate({**{name: value for name, value in data.items() if name != "items"}})


def _holds(written: JsonValue, original: JsonValue) -> bool:
    """Whether all of the original stands in what is written, unknown enum values aside."""
    if isinstance(original, dict):
        return isinstance(written, dict) and all(_holds(written.get(key), value) for key, value in original.items())
    if isinstance(original, list):
        return (
            isinstance(written, list)
            and len(written) == len(original)
            and all(_holds(ours, theirs) for ours, theirs in zip(written, original, strict=True))
        )
    return written in (original, "unknown")
