"""Each line's newest crossings by their moments: vision shows them to whoever checks its counts, on the box alone.

Vision keeps them beside its rows of who is there now; they hold moments and directions, and nothing of who it was.
"""

from collections import deque
from dataclasses import dataclass

from pydantic import TypeAdapter

from edge.lines import Direction
from protocol.wire import ConfigHash, JsonObject, Slug

__all__ = ["LineSeen", "Passages", "SeenPassage", "subject_of"]

_SHOWN_SECONDS = 60.0
"""Whoever follows them looks far more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPassage:
    """Somebody has crossed; `number` counts the line's crossings of this run, `at` is monotonic seconds."""

    number: int
    at: float
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSeen:
    """A line as vision has just seen it: whose it is, what its counts hang on, and who crossed it of late."""

    line: Slug
    camera: Slug
    scene: Slug
    setup: ConfigHash
    passages: tuple[SeenPassage, ...]

    def to_object(self) -> JsonObject:
        """As plain JSON values."""
        plain: JsonObject = _LINE_SEEN.dump_python(self, mode="json")
        return plain

    @staticmethod
    def read(text: str) -> "LineSeen":
        """What `to_object` gave, as JSON."""
        return _LINE_SEEN.validate_json(text)


_LINE_SEEN = TypeAdapter(LineSeen)


def subject_of(line: str) -> str:
    """What a line is called among the rows of who is there now."""
    return f"line/{line}"


class Passages:
    """The newest crossings of one line."""

    def __init__(self) -> None:
        self._count = 0
        self._newest: deque[SeenPassage] = deque()

    def add(self, direction: Direction, at: float) -> None:
        """Note a crossing."""
        self._count += 1
        self._newest.append(SeenPassage(number=self._count, at=at, direction=direction))

    def shown(self, now: float) -> tuple[SeenPassage, ...]:
        """Those of the last minute."""
        while self._newest and self._newest[0].at < now - _SHOWN_SECONDS:
            self._newest.popleft()
        return tuple(self._newest)
