import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from cloud.store.body import body_of
from protocol.json_text import parse_object

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(data=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_a_body_is_in_ascii_and_says_exactly_what_was_taken(data: dict[str, JsonValue]) -> None:
    try:
        taken = parse_object(json.dumps(data))
    except ValueError:
        return
    body = body_of(taken)
    assert body.isascii()
    assert repr(json.loads(body)) == repr(taken)  # equal values may differ: 1, 1.0 and true, or 0.0 and -0.0
