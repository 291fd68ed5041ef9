"""What may stand somewhere, in plain words: for callers of the API and for whoever writes settings.

Knows pydantic's kinds of errors and the patterns in use. Never repeats what was found.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["PATTERNS", "allowed"]

PATTERNS = {
    r"^[a-z0-9-]{1,63}$": "1 to 63 small letters, digits and hyphens",
    r"^[0-9a-f]{16}$": "16 digits of a hexadecimal number, in small letters",
    r"^[^\x00-\x1f\x7f]*$": "text without control characters",
    r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$": "text that is not blank, without control characters",
    r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$": "a time of day from 00:00 to 24:00",
    r"^[0-9A-Za-z.:_-]{1,253}$": "a name or an address of up to 253 letters, digits and . : _ -",
    r"^[0-9A-Za-z-]{1,64}$": "1 to 64 letters, digits and hyphens",
    r"^[0-9a-f]{12}$": "12 digits of a hexadecimal number, in small letters",
    r"^[0-9A-Za-z-]{16,64}$": "16 to 64 letters, digits and hyphens that nobody guesses",
    r"^[0-9A-HJKMNP-TV-Z]{26}$": "a ULID: 26 digits and capital letters without I, L, O and U",
}
_PLAIN = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "dict_type": "an object of keys and values",
    "extra_forbidden": "nothing under this name",
    "finite_number": "a number that is not infinite",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "missing": "something: it is needed",
    "model_attributes_type": "an object of keys and values",
    "model_type": "an object of keys and values",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
_BOUND: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "enum": lambda context: str(context["expected"]),
    "greater_than": lambda context: f"more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"{context['ge']:g} or more",
    "json_invalid": lambda context: f"JSON; this is none: {context['error']}",
    "less_than": lambda context: f"less than {context['lt']:g}",
    "less_than_equal": lambda context: f"{context['le']:g} or less",
    "literal_error": lambda context: str(context["expected"]),
    "string_pattern_mismatch": lambda context: PATTERNS.get(context["pattern"], "text of another form"),
    "string_too_long": lambda context: f"at most {context['max_length']} characters",
    "string_too_short": lambda context: f"at least {context['min_length']} characters",
    "value_error": lambda context: str(context["error"]),
}


def allowed(kind: str, context: Mapping[str, Any], *, message: str, is_text: bool = False) -> str:
    """What may stand there, from an error's type, context and message; `is_text` where its length is of characters."""
    if kind in {"too_long", "too_short"}:
        bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
        return f"{bound} characters" if is_text else f"a list of {bound}"
    if kind in _BOUND:
        return _BOUND[kind](context)
    return _PLAIN.get(kind) or message.removeprefix("Value error, ").removeprefix("Input should be ")
