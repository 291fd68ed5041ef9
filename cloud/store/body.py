"""What came over the wire, as the text that the tables keep."""

import json

from pydantic import JsonValue

__all__ = ["body_of"]


def body_of(value: JsonValue) -> str:
    """Compact JSON in ASCII, so that any string of JSON can be stored, NUL and lone surrogates too."""
    return json.dumps(value, separators=(",", ":"))
