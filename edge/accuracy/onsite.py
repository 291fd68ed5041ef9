"""Counting by hand beside the vision of this box: what it counts meanwhile, and what the person at the keys counts.

Vision shows each line's newest crossings in the exchange; they are read there and nothing is changed. A crossing is
shown some seconds late, so the end is waited for.
"""

import json
import os
import select
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edge.accuracy.account import Passage
from edge.errors import EdgeError
from edge.exchange.outbox import LiveRow, Outbox
from edge.lines import Direction
from edge.passages import LineSeen, subject_of
from protocol.events import CameraState, HealthReason
from protocol.status import CameraStatus, ModelStatus

__all__ = ["Hand", "LineFollower", "is_running", "refuse_turned", "turned_in"]

_LOOK_SECONDS = 0.5
_SILENT_SECONDS = 30.0
"""Vision that runs says something every five seconds; a slow disk may take its time over it."""
_SETTLED_SECONDS = 3.0
"""A crossing is believed half a second after the feet are clear of the line, and crossing takes a second or two."""
_KEYS: dict[str, Direction] = {"i": "in", "o": "out"}


def is_running(outbox: Outbox, *, monotonic: Callable[[], float], sleep: Callable[[float], None] = time.sleep) -> bool:
    """Whether vision runs now: it says something new before it has been silent for too long."""
    first = _last_said_ms(outbox, monotonic())
    while first is not None and monotonic() - first / 1000 <= _SILENT_SECONDS:
        sleep(_LOOK_SECONDS)
        if _last_said_ms(outbox, monotonic()) != first:
            return True
    return False


def _last_said_ms(outbox: Outbox, now: float) -> int | None:
    """When vision last said anything, monotonic; a run that begins takes back what the one before it said."""
    now_ms = round(now * 1000)
    return next(
        (now_ms - round(row.age_seconds * 1000) for row in outbox.live(now_ms=now_ms) if row.subject == "vision"), None
    )


def turned_in(scene: str, rows: Iterable[LiveRow]) -> str | None:
    """The camera of a scene that looks elsewhere than before, as vision last said."""
    cameras = (CameraStatus.model_validate_json(row.body) for row in rows if row.subject.startswith("camera/"))
    turned = (one.camera for one in cameras if one.scene == scene and one.reason is HealthReason.MOVED)
    return next(turned, None)


def refuse_turned(scene: str, rows: Iterable[LiveRow]) -> None:
    """Raises EdgeError where a check makes no sense, because a camera of the scene looks elsewhere than before."""
    camera = turned_in(scene, rows)
    if camera is not None:
        raise EdgeError(
            f"camera {camera} looks elsewhere than before, so no check of a line of its scene would tell anything: turn"
            " it back and wait until it is online; or, if it shall hang so, draw its lines and zones anew and start"
            " vision again"
        )


class LineFollower:
    """Follows one line as vision shows it; `ended` is the epoch of a run that is over, whose words count no more."""

    def __init__(self, outbox: Outbox, line: str, *, monotonic: Callable[[], float], ended: str | None = None) -> None:
        self._outbox = outbox
        self._line = line
        self._monotonic = monotonic
        self._ended = ended
        self._head: str | None = None
        self._rows: dict[str, LiveRow] = {}
        self._shown_at = float("-inf")
        self._passages: dict[int, Passage] = {}
        self.seen: LineSeen | None = None
        """The line as last shown, since `begin`."""
        self.model = ModelStatus(name="unknown")

    def is_watched(self) -> bool:
        """Whether vision runs and shows this line, and pictures that are fit to count in come from its camera.

        Raises EdgeError where a camera of its scene was turned elsewhere.
        """
        self._look()
        return self.seen is not None and self._trouble() is None

    def why_not(self) -> str:
        """What keeps the line from being watched."""
        return self._trouble() or "vision does not run, or does not have this line"

    def begin(self) -> float:
        """Remember this run of vision; the moment, monotonic seconds."""
        self._head = self._outbox.head()
        return self._monotonic()

    def follow(self) -> None:
        """Look once more; raises EdgeError when vision is no longer the one that was begun with."""
        before = self.seen
        self._look()
        if self._outbox.head() != self._head or (before and self.seen and self.seen.setup != before.setup):
            raise EdgeError("vision was started again meanwhile: begin anew")
        if self._monotonic() - self._shown_at > _SILENT_SECONDS:
            raise EdgeError(f"vision has said nothing for {_SILENT_SECONDS:.0f} s: is it still running?")
        trouble = self._trouble()
        if trouble is not None:
            raise EdgeError(f"{trouble}: mend that, and begin anew")

    def counted(self, began: float, ended: float, *, sleep: Callable[[float], None] = time.sleep) -> list[Passage]:
        """What vision counted from one moment to another, once it has told of all of it."""
        while self._shown_at < ended + _SETTLED_SECONDS:
            self.follow()
            sleep(_LOOK_SECONDS)
        return [passage for _, passage in sorted(self._passages.items()) if began <= passage.at <= ended]

    def _look(self) -> None:
        if self._outbox.head() == self._ended:
            return
        now = self._monotonic()
        self._rows = {row.subject: row for row in self._outbox.live(now_ms=round(now * 1000))}
        row = self._rows.get(subject_of(self._line))
        if row is None or row.age_seconds > _SILENT_SECONDS:
            self.seen = None
            return
        self._shown_at = now - row.age_seconds
        self.seen = LineSeen.read(row.body)
        refuse_turned(self.seen.scene, self._rows.values())
        for passage in self.seen.passages:
            self._passages[passage.number] = Passage(at=passage.at, line=self._line, direction=passage.direction)
        models = json.loads(self._rows["vision"].body).get("models") if "vision" in self._rows else None
        if models:
            self.model = ModelStatus.model_validate(models[0])

    def _trouble(self) -> str | None:
        if self.seen is None:
            return None
        row = self._rows.get(f"camera/{self.seen.camera}")
        camera = None if row is None else CameraStatus.model_validate_json(row.body)
        if camera is None or camera.state is not CameraState.ONLINE:
            said = "" if camera is None else f" is {camera.state}: {camera.reason}"
            return f"camera {self.seen.camera}{said or ' is not watched'}"
        return None


@dataclass(slots=True, kw_only=True)
class Hand:
    """The keys that a person presses: i and o at each crossing, u to take the last one back, q for the end."""

    descriptor: int
    monotonic: Callable[[], float]
    line: str
    passages: list[Passage] = field(default_factory=list)
    is_closed: bool = False

    def listen(self, *, keys: bool) -> bool:
        """Wait for a key a moment long; whether it was the end. Without `keys` any line is."""
        if self.is_closed:
            time.sleep(_LOOK_SECONDS)
            return False
        ready, _, _ = select.select([self.descriptor], [], [], _LOOK_SECONDS)
        if not ready:
            return False
        pressed = os.read(self.descriptor, 1).decode(errors="replace").lower()
        self.is_closed = not pressed
        if not keys:
            return pressed in {"\n", ""}
        self._press(pressed)
        return pressed in {"q", ""}

    @property
    def said(self) -> str:
        """How many so far."""
        return ", ".join(f"{way} {sum(one.direction == way for one in self.passages)}" for way in ("in", "out"))

    def _press(self, pressed: str) -> None:
        if pressed in _KEYS:
            self.passages.append(Passage(at=self.monotonic(), line=self.line, direction=_KEYS[pressed]))
        elif pressed == "u" and self.passages:
            self.passages.pop()
