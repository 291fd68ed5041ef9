"""Forms as browsers send them: `application/x-www-form-urlencoded`."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from cloud.errors import Invalid

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "Fields", "form_fields", "form_token_of", "header_token"]

CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
_MOST_FIELDS = 2_000


class Fields:
    """What was filled in; a field that was left out is empty."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def one(self, name: str) -> str:
        """A field's text, without blanks around it."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """A field's text as it was typed, which a password is."""
        return self._values.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Each value of a field that may be given several times."""
        return self._values.get(name, [])


async def form_fields(request: Request) -> Fields:
    """The form in a request's body; no fields where it holds none. Raises Invalid. For routes of pages alone."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return Fields({})
    try:
        body = (await request.body()).decode()
        values = parse_qs(body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except (ValueError, ClientDisconnect) as error:
        raise Invalid("the form cannot be read") from error
    if any("\0" in text for texts in values.values() for text in texts):
        raise Invalid("the form holds a character that is none")
    return Fields(values)


def header_token(request: Request) -> str:
    """What a request shows in its header as the token of its page."""
    return request.headers.get(CSRF_HEADER, "")


async def form_token_of(request: Request) -> str:
    """What the request of a page's form shows as the token of its page: in its header, else in the form. Reads it."""
    return header_token(request) or (await form_fields(request)).exact(CSRF_FIELD)
