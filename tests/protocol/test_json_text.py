import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from protocol.json_text import MAX_DEPTH, MAX_MESSAGE_BYTES, JsonObject, canonical_json, parse_object

REFUSED = {
    "nothing": (b"", "not JSON"),
    "half an object": (b'{"a":', "not JSON"),
    "a list": (b"[1]", "a JSON object is needed; found list"),
    "not UTF-8": (b'{"a":"\xff"}', "not JSON"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', "not JSON"),
    "NaN": (b'{"a":NaN}', "NaN is not a JSON number"),
    "minus infinity": (b'{"a":-Infinity}', "-Infinity is not a JSON number"),
    "a float beyond floats": (b'{"a":1e999}', "1e999 is too large a number"),
    "an int of 5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
    "one level too deep": (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested deeper than 16"),
    "30,000 levels": (b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "levels"),
    "a NUL": (b'{"a":["\\u0000"]}', "a NUL"),
    "a NUL in a key": (b'{"\\u0000":1}', "a NUL"),
    "half a surrogate pair, escaped": (b'{"a":"\\ud83d"}', "half a surrogate pair"),
    "half a surrogate pair, encoded": (b'{"a":"\xed\xa0\x80"}', "not JSON"),
    "too large": (b'{"a":"' + b"x" * MAX_MESSAGE_BYTES + b'"}', "at most 65536 are taken"),
}


@pytest.mark.parametrize(("payload", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_object(payload)


TAKEN: dict[str, tuple[str, JsonObject]] = {
    "an empty object": ("{}", {}),
    "the last level": ('{"a":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}", {}),
    "escaped letters": ('{"a":"\\u00e9\\ud83d\\ude00"}', {"a": "é😀"}),
    "a backslash before u0000": ('{"a":"\\\\u0000"}', {"a": "\\u0000"}),
    "an int beyond floats": ('{"a":' + "9" * 400 + "}", {"a": int("9" * 400)}),
}


@pytest.mark.parametrize(("text", "data"), TAKEN.values(), ids=TAKEN.keys())
def test_taken(text: str, data: JsonObject) -> None:
    assert parse_object(text) == parse_object(text.encode())
    if data:
        assert parse_object(text) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(data=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_what_is_taken_can_be_stored_and_read_again(data: dict[str, JsonValue]) -> None:
    try:
        taken = parse_object(json.dumps(data))
    except ValueError:
        return
    stored = json.dumps(taken, ensure_ascii=False, allow_nan=False).encode()
    assert parse_object(stored) == taken == data


@given(data=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_canonical_json_is_independent_of_the_order_of_keys(data: dict[str, JsonValue]) -> None:
    assert canonical_json(dict(reversed(data.items()))) == canonical_json(data)
    assert json.loads(canonical_json(data)) == data
