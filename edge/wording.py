"""Mistakes in a configuration in plain words: what was found, and what is allowed.

Knows pydantic's kinds of errors and which keys hold secrets. Refuses to know files and keys' places.
"""

from collections.abc import Callable

from pydantic_core import ErrorDetails

from edge.address import without_urls
from edge.camera_settings import WHOLE_SECTION

__all__ = ["allowed", "found"]

_SECRET = frozenset({"password", "url"})
_SHOWN = 60
_CONTAINER = {
    "dict_type": "a table",
    "list_type": "a list",
    "model_attributes_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
}
_PLAIN = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "finite_number": "a number that is not infinite",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "path_type": "a path in quotes",
    "string_type": "text in quotes",
}
_BOUND: dict[str, Callable[[dict[str, object]], str]] = {
    "enum": lambda context: str(context["expected"]),
    "greater_than": lambda context: f"more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"{context['ge']:g} or more",
    "less_than": lambda context: f"less than {context['lt']:g}",
    "less_than_equal": lambda context: f"{context['le']:g} or less",
    "literal_error": lambda context: str(context["expected"]),
    "string_too_long": lambda context: f"text of at most {context['max_length']} characters",
    "string_too_short": lambda context: f"text of at least {context['min_length']} characters",
    "too_long": lambda context: f"a list of at most {context['max_length']}",
    "too_short": lambda context: f"a list of at least {context['min_length']}",
    "value_error": lambda context: str(context["error"]),
    WHOLE_SECTION: lambda context: str(context["allowed"]),
}


def found(detail: ErrorDetails) -> str:
    """What stands there, as the beginning of a sentence; nothing where repeating it says nothing or too much."""
    value = detail["input"]
    if detail["type"] == WHOLE_SECTION or _is_secret(detail["loc"]):
        return ""
    if isinstance(value, list | tuple):
        return f"found a list of {len(value)}; " if detail["type"] != "value_error" else ""
    if isinstance(value, dict):
        return "found a table; "
    if detail["type"] in _CONTAINER:
        return f"found {_KINDS.get(type(value), 'a value')}; "
    if isinstance(value, str | int | float):
        return f"found {_shown(value)}; "
    return ""


def allowed(detail: ErrorDetails) -> str:
    """What may stand there."""
    kind = detail["type"]
    if kind == "string_pattern_mismatch" and "a-z0-9-" in detail["msg"]:
        return "1 to 63 small letters, digits and hyphens"
    if kind in _BOUND:
        return _BOUND[kind](detail.get("ctx", {}))
    return _PLAIN.get(kind) or _CONTAINER.get(kind) or detail["msg"].removeprefix("Input should be ")


_KINDS: dict[type, str] = {bool: "true or false", float: "a number", int: "a number", str: "text"}


def _is_secret(location: tuple[int | str, ...]) -> bool:
    return any(part in _SECRET for part in location)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(without_urls(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
