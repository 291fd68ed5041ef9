"""A short look at one source: what it sends, how steadily, and what is missing from it.

Knows what can be measured where the pictures arrive: intervals by the source's own times, and how much later than its
promptest picture each one came. How old a picture is when it leaves the camera no receiver can tell.
"""

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame, FrameSource, Image
from edge.camera.pictures import Sighting
from edge.camera.trouble import SourceTrouble

__all__ = ["Arrival", "Lateness", "Observer", "Steadiness", "Trial", "steadiness", "try_source"]

HOLE = 1.5
"""An interval this many times the usual one has lost a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a picture was shown, in seconds of its stream (None: unknown), and when it arrived, in the box's."""

    shown: float | None
    arrived: float


@dataclass(slots=True, kw_only=True)
class Observer:
    """A witness that notes everything a source decodes; `clock` gives monotonic seconds."""

    clock: Callable[[], float]
    codec: str = ""
    arrivals: list[Arrival] = field(default_factory=list)
    damaged: int = 0

    def __call__(self, sighting: Sighting) -> None:
        """Note one sighting, now."""
        self.codec = sighting.codec
        if sighting.is_whole:
            self.arrivals.append(Arrival(shown=sighting.shown, arrived=self.clock()))
        else:
            self.damaged += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Seconds behind the promptest picture: of the middle one, and of the latest."""

    usual: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """How regularly pictures came.

    `rate` is pictures a second, None where there were fewer than two. `missing` counts holes between them. `lateness`
    is None where the stream says no times that grow.
    """

    rate: float | None
    missing: int
    lateness: Lateness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a look showed.

    `codec` is FFmpeg's name, empty where nothing was decoded. `last` is the newest picture and `size` its width and
    height, None where none came; `opening_seconds` is how long the first one took. `trouble` is why the look broke off.
    """

    codec: str
    pictures: int
    damaged: int
    size: tuple[int, int] | None
    opening_seconds: float
    steadiness: Steadiness
    last: Image | None
    trouble: SourceTrouble | None


def try_source(source: FrameSource, observer: Observer, *, seconds: float) -> Trial:
    """Look for `seconds` after the first picture, or until the source ends; `observer` is the source's witness."""
    began = observer.clock()
    first_at: float | None = None
    last: Image | None = None
    trouble: SourceTrouble | None = None
    drawn: list[Arrival] = []
    # Sources are generators, which close their connection when they are closed.
    with closing(cast("Generator[Frame, None, None]", source.frames())) as frames:
        try:
            for frame in frames:
                now = observer.clock()
                first_at = now if first_at is None else first_at
                last = frame.image
                drawn.append(Arrival(shown=frame.at, arrived=frame.at))
                if now - first_at >= seconds:
                    break
        except SourceTrouble as error:
            trouble = error
    arrivals = observer.arrivals or drawn  # what is drawn here was never decoded
    return Trial(
        codec=observer.codec,
        pictures=len(arrivals),
        damaged=observer.damaged,
        size=None if last is None else (last.shape[1], last.shape[0]),
        opening_seconds=(observer.clock() if first_at is None else first_at) - began,
        steadiness=steadiness(arrivals),
        last=last,
        trouble=trouble,
    )


def steadiness(arrivals: Sequence[Arrival]) -> Steadiness:
    """Rate and holes by the source's own times where they make sense, else by arrival."""
    # A stream's first picture often has no time yet.
    timed = [(arrival.shown, arrival.arrived) for arrival in arrivals if arrival.shown is not None]
    is_timed = len(timed) > 1 and all(now[0] < then[0] for now, then in itertools.pairwise(timed))
    arrived = np.array([moment for _, moment in timed] if is_timed else [arrival.arrived for arrival in arrivals])
    moments = np.array([shown for shown, _ in timed]) if is_timed else arrived
    intervals = np.diff(moments)
    usual = float(np.median(intervals)) if intervals.size else 0.0
    holes = intervals[intervals > HOLE * usual] if usual else np.empty(0)
    return Steadiness(
        rate=float(intervals.size / intervals.sum()) if usual else None,
        missing=int(np.round(holes / usual - 1).sum()) if usual else 0,
        lateness=_lateness(arrived - moments) if is_timed else None,
    )


def _lateness(delays: npt.NDArray[np.float64]) -> Lateness:
    late = delays - delays.min()
    return Lateness(usual=float(np.median(late)), worst=float(late.max()))
