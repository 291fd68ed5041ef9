"""A camera's address: what it is once its `${NAME}` have their values, and how much of it may be said.

Which part of a url is a secret nobody can tell: cameras take passwords before the host, in the path and in the query.
So of an address only scheme, host and port are said, and all else is struck out of what other programs say about it.
Knows text alone; opens nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

__all__ = ["HIDDEN", "Address", "fill_in", "is_stream", "place_of", "shows_password", "variables_of", "without_urls"]

HIDDEN = "***"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STREAM = re.compile(r"rtsps?://[^\s/]\S*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_NAMED_PASSWORD = re.compile(r"(?<![a-z])(?:pass[a-z]*|psw|pwd|pw|secret|token)=[^&_/?#\s]", re.IGNORECASE)
_LONG = 4
"""Shorter pieces are struck out only where they stand as a word: else a channel's 1 would spoil every number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to open a source. `secrets` are the values that came from elsewhere than the configuration."""

    text: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """What may be said of it."""
        return place_of(self.text)

    def masked(self, said: str) -> str:
        """What another program said, without anything of this address but its place, and without any other url's."""
        said = said.replace(self.text, self.place) if "://" in self.text else said
        for piece in sorted(self._pieces(), key=len, reverse=True):
            if len(piece) < _LONG:
                said = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", HIDDEN, said)
            else:
                said = said.replace(piece, HIDDEN)
        return without_urls(said)

    def _pieces(self) -> set[str]:
        """All that could be a secret, as it is and as it stands in a url."""
        found = {piece for piece in self.secrets if piece}
        found |= {piece for piece in _pieces_of(self.text) if len(piece) >= _LONG}
        return {form for piece in found for form in (piece, unquote(piece), quote(piece, safe=""))} - {""}


def fill_in(template: str, value_of: Callable[[str], str | None]) -> Address:
    """The address that a template with `${NAME}` means; raises ValueError, naming what has no value."""
    values = {name: value_of(name) for name in variables_of(template)}
    absent = [name for name, value in values.items() if value is None]
    if absent:
        raise ValueError(f"a url whose variables are all set in the environment; not set: {', '.join(absent)}")
    text = _VARIABLE.sub(lambda match: values[match[1]] or "", template)
    if not is_stream(text):
        raise ValueError("a url as in rtsp://user:password@192.0.2.10:554/stream, or rtsps://")
    return Address(text=text, secrets=tuple(value for value in values.values() if value))


def variables_of(template: str) -> tuple[str, ...]:
    """The names in a template, in their order."""
    return tuple(dict.fromkeys(_VARIABLE.findall(template)))


def is_stream(url: str) -> bool:
    """Whether this is a network camera's url, which names a host and no impossible port."""
    try:
        parts = urlsplit(url)
        return bool(_STREAM.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:
        return False


def place_of(address: str) -> str:
    """Scheme, host and port of a url; what is none, such as a file or a device, as it is.

    Where an `@` comes after the host, what looks like the host may be half a password: then the scheme is all.
    """
    scheme, mark, _ = address.partition("://")
    if not mark:
        return address
    try:
        parts = urlsplit(address)
        host, port, rest = parts.hostname, parts.port, f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:
        return f"{scheme}://{HIDDEN}"
    if host is None or "@" in rest:
        return f"{scheme}://{HIDDEN}"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" if port is None else f"{scheme}://{shown}:{port}"


def without_urls(text: str) -> str:
    """A text in which of every url no more is left than its place."""
    return _URL.sub(lambda match: place_of(match[0]), text)


def shows_password(template: str) -> bool:
    """Whether a password is written out: before the host, or behind it under a name such as `password`.

    A `${NAME}` is none. What stands in a path without such a name may be one, which nobody can tell.
    """
    written = _VARIABLE.sub("", template.partition("://")[2])
    _user, _, password = written.rpartition("@")[0].partition(":")
    return bool(password or _NAMED_PASSWORD.search(written))


def _pieces_of(url: str) -> Iterator[str]:
    """Everything of a url beside scheme, host and port."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    if not parts.scheme or not parts.netloc:
        return
    login = parts.netloc.rpartition("@")[0]
    yield from (login, *login.split(":", 1), parts.path, parts.query, parts.fragment)
    yield from parts.path.split("/")
    yield from (value for _, value in parse_qsl(parts.query))
