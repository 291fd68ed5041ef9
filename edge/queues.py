"""Who stands in line, for how long, and who is served or gives up. Knows who is in which zone; refuses places.

A line is a zone; who is served stands in another zone, at the till. Somebody's wait runs from joining the line to
leaving it. It ends well when they are at the till soon after, and as abandoned when they are not; who only walked
through never waited. A line hides its people from the camera, and some come out of it under a new number: who appears
in the middle of a line takes over the wait of whoever was lost in it for longest.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocol.histograms import DURATION_BOUNDS_SECONDS, bin_of

__all__ = ["QueueSettings", "QueueTally", "QueueWatch"]

_FORGOTTEN_SECONDS = 60.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """When somebody waits, in seconds.

    passing: who leaves sooner without being served only walked through.
    deciding: who leaves the line is at the till, or back in it, within this time, or has given up.
    serving: who stands so long at the till without having stood in line is served, after no wait.
    unseen: who is out of sight for longer is not in the line any more.
    inheriting: so long after they were last seen, somebody who appears in the line may be them.
    """

    passing: float = 5.0
    deciding: float = 5.0
    serving: float = 3.0
    unseen: float = 5.0
    inheriting: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTally:
    """One line in one minute.

    watched_ms: how long it was watched; person_ms: milliseconds times people in it.
    waits: those that ended, counts by bins of `DURATION_BOUNDS_SECONDS`.
    """

    zone: str
    watched_ms: int
    person_ms: int
    max_length: int
    waits: tuple[int, ...]
    served: int
    abandoned: int


@dataclass(slots=True, kw_only=True)
class _Stay:
    """Somebody's time in the line or at the till; `counted` once it is in the sums."""

    since: float
    seen_at: float
    counted: bool = False


@dataclass(slots=True, kw_only=True)
class _Sums:
    watched_ms: int = 0
    person_ms: int = 0
    max_length: int = 0
    waits: Counter[int] = field(default_factory=Counter)
    served: int = 0
    abandoned: int = 0


class QueueWatch:
    """Follows the people of one line. Without a till, everybody who stood in it for a while counts as served."""

    def __init__(self, zone: str, *, has_till: bool, settings: QueueSettings | None = None) -> None:
        self.zone = zone
        self._has_till = has_till
        self._settings = settings or QueueSettings()
        self._waiting: dict[int, _Stay] = {}
        self._left: dict[int, _Stay] = {}
        self._at_till: dict[int, _Stay] = {}
        self._known: dict[int, float] = {}
        self._in_sight: frozenset[int] = frozenset()
        self._sums = _Sums()
        self.length = 0
        """How many stand in the line, the briefly hidden included."""

    def update(self, ids: npt.NDArray[np.int64], in_line: Mask, at_till: Mask, at: float, *, passed_ms: int) -> None:
        """Take one frame's people (n,): who stands in the line, and who at the till; both bool (n,).

        `passed_ms` is how long the time since the last frame was watched.
        """
        self._sums.watched_ms += passed_ms
        self._sums.person_ms += passed_ms * self.length
        self._in_sight = frozenset(ids.tolist())
        for person, waits, arrived in zip(ids.tolist(), in_line.tolist(), at_till.tolist(), strict=True):
            if waits and not self._was_served(person):
                self._wait(person, at)
            elif person in self._waiting:
                self._left[person] = self._waiting.pop(person)
                self._left[person].seen_at = at
            if arrived and not waits:
                self._serve(person, at)
            self._known[person] = at
        self._decide(at)
        self.length = sum(at - wait.seen_at <= self._settings.unseen for wait in self._waiting.values())
        self._sums.max_length = max(self._sums.max_length, self.length)

    def merge(self, elder: int, younger: int) -> None:
        """Two people turned out to be one, who waits and is served once: as the elder did, if they did either."""
        stays = (self._waiting, self._left, self._at_till)
        has_own = any(elder in each for each in stays)
        for each in stays:
            lost = each.pop(younger, None)
            if lost is not None and not has_own:
                each[elder] = lost
        if younger in self._known:
            self._known[elder] = max(self._known.get(elder, 0.0), self._known.pop(younger))

    def minute(self) -> QueueTally:
        """What became of the line since the last call."""
        sums, self._sums = self._sums, _Sums(max_length=self.length)
        return QueueTally(
            zone=self.zone,
            watched_ms=sums.watched_ms,
            person_ms=sums.person_ms,
            max_length=sums.max_length,
            waits=tuple(sums.waits[number] for number in range(len(DURATION_BOUNDS_SECONDS) + 1)),
            served=sums.served,
            abandoned=sums.abandoned,
        )

    def _was_served(self, person: int) -> bool:
        """Whoever steps back from the till does not wait."""
        return person in self._at_till and self._at_till[person].counted

    def _wait(self, person: int, at: float) -> None:
        wait = self._waiting.get(person) or self._left.pop(person, None) or self._stay(self._waiting, person, at)
        wait.seen_at = at
        self._waiting[person] = wait

    def _serve(self, person: int, at: float) -> None:
        """Somebody is at the till: the end of their wait, which is none where they came past the line."""
        if person in self._left:
            self._end(self._left.pop(person), served=True)
            self._at_till[person] = _Stay(since=at, seen_at=at, counted=True)
        turn = self._at_till.get(person) or self._stay(self._at_till, person, at)
        turn.seen_at = at
        self._at_till[person] = turn
        if not turn.counted and at - turn.since >= self._settings.serving:
            turn.counted = True
            self._end(_Stay(since=turn.since, seen_at=turn.since), served=True)

    def _stay(self, stays: dict[int, _Stay], person: int, at: float) -> _Stay:
        """A new stay; or, for somebody unknown, that of the one of `stays` who was lost and has been there longest."""
        lost = stays.keys() - self._in_sight
        if person in self._known or not lost:
            return _Stay(since=at, seen_at=at)
        return stays.pop(min(lost, key=lambda one: stays[one].since))

    def _decide(self, at: float) -> None:
        """End the waits of those who have left, and forget who was lost for good."""
        settings = self._settings
        for person, wait in list(self._left.items()):
            if at - wait.seen_at > settings.deciding:
                del self._left[person]
                # Nobody knows what became of who left before a time without pictures.
                if wait.seen_at - wait.since >= settings.passing and at - wait.seen_at <= settings.inheriting:
                    self._end(wait, served=not self._has_till)
        self._waiting = {
            person: wait for person, wait in self._waiting.items() if at - wait.seen_at <= settings.inheriting
        }
        self._at_till = {
            person: turn for person, turn in self._at_till.items() if at - turn.seen_at <= settings.inheriting
        }
        self._known = {person: seen_at for person, seen_at in self._known.items() if at - seen_at <= _FORGOTTEN_SECONDS}

    def _end(self, wait: _Stay, *, served: bool) -> None:
        seconds = wait.seen_at - wait.since
        self._sums.waits[bin_of(seconds)] += 1
        self._sums.served += served
        self._sums.abandoned += not served
