"""JSON text from outside, read with suspicion: what parses here can be stored, compared and written again.

Knows the limits of any message; knows nothing of what a message means.
"""

import json
import math
import re
from typing import NoReturn

from pydantic import JsonValue

__all__ = ["MAX_DEPTH", "MAX_MESSAGE_BYTES", "JsonObject", "canonical_json", "parse_object"]

MAX_MESSAGE_BYTES = 64 * 1024
"""A message stays under this many bytes."""

MAX_DEPTH = 16
"""Objects and lists within each other; the deepest of ours, a polygon in an envelope, needs eight."""

JsonObject = dict[str, JsonValue]

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def parse_object(payload: bytes | str) -> JsonObject:
    """The JSON object in a payload; raises ValueError naming what is wrong with it."""
    encoded = payload if isinstance(payload, bytes) else payload.encode()
    if len(encoded) > MAX_MESSAGE_BYTES:
        raise ValueError(f"payload of {len(encoded)} bytes; at most {MAX_MESSAGE_BYTES} are taken")
    try:
        text = encoded.decode()
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(f"not JSON of at most {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"a JSON object is needed; found {type(data).__name__}")  # noqa: TRY004  told by its text
    if _is_deeper_than(data, MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if "\\u" in text:
        _refuse_unstorable_text(data)
    return data


def canonical_json(data: JsonObject) -> str:
    """The one text of an object, whatever the order of its keys: for hashes and signatures."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _is_deeper_than(data: JsonObject, levels: int) -> bool:
    level: list[JsonObject | list[JsonValue]] = [data]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict) or isinstance(child, list)  # noqa: SIM101  each message is walked, and this is faster
        ]
        if not level:
            return False
    return True


def _refuse_unstorable_text(data: JsonObject) -> None:
    # PostgreSQL keeps neither NUL nor half a surrogate pair, and only an escape can bring either past the decoder.
    text = json.dumps(data, ensure_ascii=False)
    if _NUL.search(text):
        raise ValueError("a NUL stands in a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a surrogate pair stands in a text") from error
