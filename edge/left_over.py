"""Visits that the last run did not end: who may still be there, and how the others end. Knows no camera."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edge import reports
from edge.anonymity import Origin
from edge.exchange.batch import Batch, Checkpointed
from edge.visits import Checkpoint, interrupted

__all__ = ["LastRun", "LeftOver", "closed", "resumable"]

_RESUME_WITHIN_SECONDS = 300.0
"""People who were there when the last run broke off are still the same people within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOver:
    """A visit that the last run did not end; `boot` is the boot whose clock its times are of.

    `origin` is what that run made it under: the box may have moved since, or have other zones.
    """

    boot: str
    origin: Origin
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """What the last run left of each scene: how many open visits may go on, and how many people were inside."""

    resumable: Mapping[str, int] = field(default_factory=dict)
    inside: Mapping[str, int] = field(default_factory=dict)


def closed(left_over: Sequence[LeftOver]) -> Iterator[Batch]:
    """Each visit's end, as interrupted, of the venue and the layout that it was made under."""
    made: dict[tuple[str, Origin], list[Checkpoint]] = {}
    for item in left_over:
        made.setdefault((item.boot, item.origin), []).append(item.checkpoint)
    for (boot, origin), checkpoints in made.items():
        yield Batch(
            origin=origin,
            drafts=[reports.visit(interrupted(checkpoint)) for checkpoint in checkpoints],
            checkpoints=[
                Checkpointed(scene=scene, visits={})
                for scene in sorted({checkpoint.scene for checkpoint in checkpoints})
            ],
            boot=boot,
        )


def resumable(left_over: Sequence[LeftOver], *, boot: str, now: float) -> dict[str, int]:
    """How many people of each scene may still be there, by the last run's checkpoints."""
    counts: dict[str, int] = {}
    for item in left_over:
        if item.boot == boot and now - item.checkpoint.last_seen <= _RESUME_WITHIN_SECONDS:
            counts[item.checkpoint.scene] = counts.get(item.checkpoint.scene, 0) + 1
    return counts
