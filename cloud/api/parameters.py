"""A query with a misspelt part is refused: passed over in silence, it would be answered as another question."""

import difflib
from collections.abc import Iterator

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

__all__ = ["KnownParametersOnly"]


def _refuse_unknown(request: Request) -> None:
    """Raise what FastAPI raises for a wrong parameter, for each that the route does not take."""
    route = request.scope["route"]
    known = sorted(_known(route.dependant)) if isinstance(route, APIRoute) else []
    faults = [
        {"type": "unknown_parameter", "loc": ("query", name), "msg": _advice(name, known)}
        for name in dict.fromkeys(request.query_params)
        if name not in known
    ]
    if faults:
        raise RequestValidationError(faults)


KnownParametersOnly = Depends(_refuse_unknown)


def _known(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for other in dependant.dependencies:
        yield from _known(other)


def _advice(name: str, known: list[str]) -> str:
    if not known:
        return "no such parameter; none is taken here"
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    return f"no such parameter; {meant}known are {', '.join(dict.fromkeys(known))}"
