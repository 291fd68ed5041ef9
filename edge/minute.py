"""What a scene says of a minute: sums by camera, zone, line and queue. Knows how nothing of it was found."""

from dataclasses import dataclass

from edge.heatmap import TileIncrement
from edge.queues import QueueTally

__all__ = ["LineTally", "Minute", "ZoneTally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTally:
    """One zone in one minute."""

    zone: str
    person_ms: int
    max_people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTally:
    """One line's crossings in one minute."""

    line: str
    inward: int
    outward: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What a camera of a scene saw since the minute before; `at` is the middle of it, monotonic seconds.

    What a scene has as a whole, its zones, lines and queues, `inside` and `drift`, stands with its first camera.

    The middle stays within its minute of UTC also when what is known of UTC moves a little; the beginning would not.
    `inside` is entries minus exits over the entrance lines, None where there are none; `drift` what a reset took away.
    """

    scene: str
    camera: str
    space: str
    at: float
    watched_ms: int
    analysed_frames: int
    dropped_frames: int
    person_ms: int
    max_people: int
    zones: tuple[ZoneTally, ...]
    lines: tuple[LineTally, ...]
    queues: tuple[QueueTally, ...]
    tiles: tuple[TileIncrement, ...]
    inside: int | None
    drift: int | None

    @classmethod
    def unwatched(cls, *, scene: str, camera: str, at: float) -> "Minute":
        """That of a camera which has not shown a single picture yet."""
        return cls(
            scene=scene,
            camera=camera,
            space="",
            at=at,
            watched_ms=0,
            analysed_frames=0,
            dropped_frames=0,
            person_ms=0,
            max_people=0,
            zones=(),
            lines=(),
            queues=(),
            tiles=(),
            inside=None,
            drift=None,
        )
