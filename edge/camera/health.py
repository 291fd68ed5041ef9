"""A camera's health: a table of states and signals, and ten lines that walk it.

Knows which changes are worth telling. Refuses to know who is told.
"""

from dataclasses import dataclass
from enum import StrEnum

from edge.camera.trouble import Trouble

__all__ = ["Health", "HealthChange", "HealthState", "Note", "Signal"]


class HealthState(StrEnum):
    """Where a camera stands."""

    STARTING = "starting"
    ONLINE = "online"
    OFFLINE = "offline"
    FINISHED = "finished"


class Signal(StrEnum):
    """What a capture notices."""

    FRAME = "frame"
    TROUBLE = "trouble"
    END = "end"


class Note(StrEnum):
    """Why health changed, where nothing is wrong."""

    PLAYING = "playing"
    RESOLUTION_CHANGED = "resolution-changed"
    END_OF_VIDEO = "end-of-video"


TRANSITIONS: dict[HealthState, dict[Signal, HealthState]] = {
    HealthState.STARTING: {
        Signal.FRAME: HealthState.ONLINE,
        Signal.TROUBLE: HealthState.OFFLINE,
        Signal.END: HealthState.FINISHED,
    },
    HealthState.ONLINE: {
        Signal.FRAME: HealthState.ONLINE,
        Signal.TROUBLE: HealthState.OFFLINE,
        Signal.END: HealthState.FINISHED,
    },
    HealthState.OFFLINE: {
        Signal.FRAME: HealthState.ONLINE,
        Signal.TROUBLE: HealthState.OFFLINE,
        Signal.END: HealthState.FINISHED,
    },
    HealthState.FINISHED: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChange:
    """A camera's state or its reason changed.

    `at` is when it was noticed, in monotonic seconds. `detail` is for people on this box: it names the
    camera's address, without its secrets.
    """

    camera: str
    at: float
    state: HealthState
    reason: Trouble | Note
    detail: str


class Health:
    """One camera's state; gives a change when the state or its reason is new."""

    def __init__(self, *, camera: str) -> None:
        self.state = HealthState.STARTING
        self._camera = camera
        self._reason: Trouble | Note | None = None

    def tell(self, signal: Signal, *, at: float, reason: Trouble | Note, detail: str = "") -> HealthChange | None:
        """Walk the table; the change to report, or None when nothing is new."""
        state = TRANSITIONS[self.state][signal]
        is_note = reason is Note.RESOLUTION_CHANGED
        if state is self.state and reason is self._reason and not is_note:
            return None
        self.state = state
        self._reason = Note.PLAYING if is_note else reason
        return HealthChange(camera=self._camera, at=at, state=state, reason=reason, detail=detail)
