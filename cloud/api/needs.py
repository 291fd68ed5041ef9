"""What a route asks of whoever calls it, declared beside the route; `guard` decides by it.

    @router.get("/summary")
    @needs(Role.VIEWER)
    def show_summary(...): ...

The venue comes from the path: named there, or that of the box or alert named there. A route whose path names none
either serves only those with all venues (`everywhere`), or narrows what it shows to the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from starlette.requests import Request

from cloud.access.roles import Role

__all__ = ["RESOLVED", "BoxProof", "Need", "for_boxes", "need_of", "needs", "open_to_all"]

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
RESOLVED = frozenset({"venue", "box", "alert"})
"""Parameters of a path by which the guard finds the venue."""
_MARK = "__need__"


class BoxProof(Enum):
    """By what a box shows itself."""

    DEVICE_KEY = auto()
    ENROLMENT_CODE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The least role, or None for everybody.

    everywhere: the grant must be of all venues. is_heavy: whether a request counts as a heavy report. is_recorded: a
    reading that stands in the audit log, as each write does. is_open_here: this machine itself needs no key.
    box_proof: the route serves boxes alone, by this. A box's writes stand in the log only where is_recorded says so.
    """

    role: Role | None
    everywhere: bool = False
    is_heavy: Callable[[Request], bool] = lambda _request: False
    is_recorded: bool = False
    is_open_here: bool = False
    box_proof: BoxProof | None = None


def needs(
    role: Role,
    *,
    everywhere: bool = False,
    heavy: bool | Callable[[Request], bool] = False,
    recorded: bool = False,
    open_here: bool = False,
) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route serves whoever has this role where it is asked."""
    is_heavy = heavy if callable(heavy) else lambda _request: heavy
    return _marked(
        Need(role=role, everywhere=everywhere, is_heavy=is_heavy, is_recorded=recorded, is_open_here=open_here)
    )


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Declare that a route serves strangers too."""
    return _marked(Need(role=None))(endpoint)


def for_boxes(proof: BoxProof, *, recorded: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route serves boxes, by their own keys or codes."""
    return _marked(Need(role=None, box_proof=proof, is_recorded=recorded))


def need_of(endpoint: Callable[..., object]) -> Need:
    """What was declared; raises TypeError for a route that was forgotten."""
    found = getattr(endpoint, _MARK, None)
    if not isinstance(found, Need):
        raise TypeError(
            f"{endpoint.__module__}.{endpoint.__qualname__}: declare what it needs, as cloud.api.needs says"
        )
    return found


def _marked(need: Need) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, need)
        return endpoint

    return mark
