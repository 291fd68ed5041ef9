"""What came over the wire, as the text that the tables keep."""

from pydantic import JsonValue
from pydantic_core import to_json

__all__ = ["body_of"]


def body_of(value: JsonValue) -> str:
    """Compact JSON in ASCII of a value that came by `parse_object`, so holds no NUL and no half surrogate pair."""
    return to_json(value, ensure_ascii=True).decode()
