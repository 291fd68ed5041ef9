"""The line at the till: who stands where in it, when they are served, and who gives up.

Knows one till and first come, first served. Refuses to know how people get there, and chance.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass

__all__ = ["MOST_IN_LINE", "STEP_SECONDS", "QueueStay", "Till", "Turn"]

MOST_IN_LINE = 7
STEP_SECONDS = 1.0
"""From one place in the line to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStay:
    """One person's wait, in seconds of the shop's time, from taking a place in the line; `left_at` is when they go."""

    joined_at: float
    served_at: float | None
    left_at: float

    @property
    def wait_seconds(self) -> float:
        """How long they stood in the line."""
        return (self.left_at if self.served_at is None else self.served_at) - self.joined_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A place in the line: `steps` are the moments at which one moves up a place; `gone_at` when the place is free."""

    first_place: int
    stay: QueueStay
    steps: tuple[float, ...]
    gone_at: float


class Till:
    """People join in order of `decided_at`; whoever finds the line full is turned away."""

    def __init__(self) -> None:
        self._leaving: list[float] = []

    def places_taken(self, decided_at: float) -> int:
        """How many are in the line then, the one who is served included."""
        del self._leaving[: bisect_right(self._leaving, decided_at)]
        return len(self._leaving)

    def join(
        self, *, decided_at: float, arrives_at: float, service_seconds: float, patience_seconds: float
    ) -> Turn | None:
        """Take the last place, reached at `arrives_at`; None where the line is full."""
        first_place = self.places_taken(decided_at)
        if first_place >= MOST_IN_LINE:
            return None
        steps: list[float] = []
        for leaving in self._leaving:
            earliest = steps[-1] + STEP_SECONDS if steps else arrives_at
            steps.append(max(leaving, earliest))
        at_till = steps[-1] + STEP_SECONDS if steps else arrives_at
        gives_up_at = arrives_at + patience_seconds
        if at_till > gives_up_at:
            stay = QueueStay(joined_at=arrives_at, served_at=None, left_at=gives_up_at)
            steps = [step for step in steps if step + STEP_SECONDS < gives_up_at]
            gone_at = gives_up_at
        else:
            gone_at = at_till + service_seconds
            stay = QueueStay(joined_at=arrives_at, served_at=at_till, left_at=gone_at)
        insort(self._leaving, gone_at)
        return Turn(first_place=first_place, stay=stay, steps=tuple(steps), gone_at=gone_at)
