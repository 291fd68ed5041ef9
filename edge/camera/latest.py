"""From cameras that push to a loop that pulls: one thread and one slot for one frame per camera.

This is the only place in the edge where threads meet. A `Capture` reads its source for ever,
reconnecting with back-off, and puts each frame into its slot; `Cameras.wait` goes round the slots,
emptying each when its turn comes. Under `LATEST` a new frame replaces one that was not taken, which is
counted as dropped; under `EVERY` the capture waits until its slot is free, in lock-step with the
consumer. A camera that fails touches nothing but its own health. One condition guards all that is shared.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from edge.backoff import Backoff
from edge.camera.frames import Frame, FrameSource
from edge.camera.health import Health, HealthChange, HealthState, Note, Signal
from edge.camera.trouble import SourceTrouble, Trouble

__all__ = ["Cameras", "Counters", "DropPolicy", "Feed"]

logger = logging.getLogger(__name__)

CHANGES_KEPT = 1000
"""Health changes that wait for a consumer; the oldest go first, so a stuck consumer costs no memory."""


class DropPolicy(StrEnum):
    """What happens to a frame when the one before it was not taken yet."""

    LATEST = "latest"
    EVERY = "every"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One camera as `Cameras` runs it."""

    camera: str
    source: FrameSource
    backoff: Backoff
    policy: DropPolicy = DropPolicy.LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Frames since the start: decoded, passed over by the analysis rate, replaced in the slot, taken."""

    received: int = 0
    skipped: int = 0
    dropped: int = 0
    taken: int = 0


class Cameras:
    """All cameras of a box; a context in which their threads run."""

    def __init__(self, feeds: Sequence[Feed], *, clock: Callable[[], float]) -> None:
        self._ready = threading.Condition()
        self._stop = threading.Event()
        self._changes: deque[HealthChange] = deque(maxlen=CHANGES_KEPT)
        self._captures = {
            feed.camera: _Capture(feed, clock=clock, ready=self._ready, stop=self._stop, changes=self._changes)
            for feed in feeds
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras, in the order in which they were given."""
        return tuple(self._captures)

    def wait(self, timeout: float) -> Iterator[Frame]:
        """A round: at most one frame per camera, as soon as any is ready; none when `timeout` seconds passed.

        Each is the newest of its camera at the moment when it is asked for, however long those before it took. Raises
        whatever a capture thread died of, which is never a camera's trouble.
        """
        with self._ready:
            self._ready.wait_for(self._something_to_tell, timeout)
            for capture in self._captures.values():
                if capture.defect is not None:
                    raise capture.defect
        for capture in self._captures.values():
            with self._ready:
                frame = capture.take()
                self._ready.notify_all()
            if frame is not None:
                yield frame

    def changes(self) -> list[HealthChange]:
        """Changes of health since the last call, oldest first."""
        with self._ready:
            changes = list(self._changes)
            self._changes.clear()
        return changes

    def counters(self, camera: str) -> Counters:
        """What became of this camera's frames so far."""
        with self._ready:
            return self._captures[camera].counters()

    def state(self, camera: str) -> HealthState:
        """How this camera is now."""
        with self._ready:
            return self._captures[camera].health.state

    @property
    def finished(self) -> bool:
        """Whether every source has come to its end and every frame was taken."""
        with self._ready:
            return self._all_finished()

    def close(self) -> None:
        """End all captures; returns when the slowest read has, at the latest after its time-out."""
        with self._ready:
            self._stop.set()
            self._ready.notify_all()
        for capture in self._captures.values():
            capture.thread.join()

    def __enter__(self) -> Self:
        for capture in self._captures.values():
            capture.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _all_finished(self) -> bool:
        return all(capture.is_finished for capture in self._captures.values())

    def _something_to_tell(self) -> bool:
        captures = self._captures.values()
        return (
            any(capture.slot is not None or capture.defect is not None for capture in captures)
            or self._stop.is_set()
            or self._all_finished()
        )


class _Capture:
    """The thread of one camera. What others see of it changes under `ready` only."""

    def __init__(
        self,
        feed: Feed,
        *,
        clock: Callable[[], float],
        ready: threading.Condition,
        stop: threading.Event,
        changes: deque[HealthChange],
    ) -> None:
        self.slot: Frame | None = None
        self.defect: BaseException | None = None
        self.health = Health(camera=feed.camera)
        self.thread = threading.Thread(target=self._run, name=f"camera-{feed.camera}", daemon=True)
        self._feed = feed
        self._clock = clock
        self._ready = ready
        self._stop = stop
        self._changes = changes
        self._received = self._handed = self._dropped = self._taken = 0
        self._size: tuple[int, int] | None = None
        self._playing_since: float | None = None

    @property
    def is_finished(self) -> bool:
        return self.health.state is HealthState.FINISHED and self.slot is None

    def take(self) -> Frame | None:
        """Empty the slot."""
        frame, self.slot = self.slot, None
        self._taken += frame is not None
        return frame

    def counters(self) -> Counters:
        return Counters(
            received=self._received,
            skipped=self._received - self._handed,
            dropped=self._dropped,
            taken=self._taken,
        )

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and self._play():
                pass
        except BaseException as defect:  # noqa: BLE001 - handed to the consumer, whose process it must end
            with self._ready:
                self.defect = defect
                self._ready.notify_all()

    def _play(self) -> bool:
        """One connection, and the wait after it; False when the source has come to its end."""
        self._playing_since = None
        frames = self._feed.source.frames()
        try:
            for frame in frames:
                self._meet(frame)
                if self._stop.is_set():
                    return False
        except SourceTrouble as trouble:
            self._tell(Signal.TROUBLE, at=self._clock(), reason=trouble.reason, detail=str(trouble))
            self._stop.wait(self._feed.backoff.delay(played_seconds=self._played_seconds()))
            return True
        finally:
            if isinstance(frames, Generator):
                frames.close()
        self._tell(Signal.END, at=self._clock(), reason=Note.END_OF_VIDEO)
        return False

    def _played_seconds(self) -> float:
        return 0.0 if self._playing_since is None else self._clock() - self._playing_since

    def _meet(self, frame: Frame) -> None:
        if self._playing_since is None:
            self._playing_since = self._clock()
        self._tell(Signal.FRAME, at=frame.at, reason=Note.PLAYING)
        self._note_size(frame)
        self._put(frame)

    def _put(self, frame: Frame) -> None:
        with self._ready:
            if self._feed.policy is DropPolicy.EVERY:
                self._ready.wait_for(lambda: self.slot is None or self._stop.is_set())
            self._dropped += self.slot is not None
            self._handed += 1
            self._received = max(self._received, frame.index + 1)
            self.slot = frame
            self._ready.notify_all()

    def _note_size(self, frame: Frame) -> None:
        size = (frame.image.shape[1], frame.image.shape[0])
        if self._size not in {None, size}:
            detail = f"pictures are now {size[0]}×{size[1]}"
            self._tell(Signal.FRAME, at=frame.at, reason=Note.RESOLUTION_CHANGED, detail=detail)
        self._size = size

    def _tell(self, signal: Signal, *, at: float, reason: Trouble | Note, detail: str = "") -> None:
        with self._ready:
            change = self.health.tell(signal, at=at, reason=reason, detail=detail)
            if change is None:
                return
            self._changes.append(change)
            self._ready.notify_all()
        level = logging.WARNING if signal is Signal.TROUBLE else logging.INFO
        extra = {"action": "camera-health", "camera": change.camera}
        logger.log(level, "camera %s is %s: %s", change.camera, change.state, detail or reason, extra=extra)
