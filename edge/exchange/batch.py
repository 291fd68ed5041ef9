"""What goes into the exchange together, and what an earlier run left in it: plain values, which know of no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.anonymity import Draft, Origin
from protocol.tiles import Layer
from protocol.wire import JsonObject

__all__ = ["Batch", "Checkpointed", "LeftBehind", "TilePart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePart:
    """What one minute adds to one tile; `at` is its middle in monotonic seconds, presence is in milliseconds."""

    at: float
    space: str
    camera: str
    layer: Layer
    tx: int
    ty: int
    cells: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """All open visits of one scene by their numbers, and how many are inside where that is known.

    They replace what was kept for it. A number that is gone, and that no draft `ends`, was no visit of its own.
    """

    scene: str
    visits: Mapping[int, JsonObject]
    inside: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """A visit that a run did not end, as it was checkpointed: in which boot, and made under which origin."""

    boot: str
    origin: Origin
    visit: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is committed together, made under one origin.

    `boot` is that of an earlier run when its left-overs are closed.
    `lost` counts, by type, drafts that could not be kept in memory while the disk was full.
    """

    origin: Origin
    drafts: Sequence[Draft] = ()
    tiles: Sequence[TilePart] = ()
    checkpoints: Sequence[Checkpointed] = ()
    live: Mapping[str, JsonObject] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    boot: str | None = None
