"""Every topic string of the product, in one place."""

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ALL_UP", "ROOT", "Direction", "Leaf", "Topic", "direction_of", "parse", "subscription"]

ROOT = "footfall/v1"
_SLUG = "[a-z0-9-]{1,63}"
_IS_SLUG = re.compile(_SLUG)
_TOPIC = re.compile(rf"{ROOT}/({_SLUG})/({_SLUG})/(up|down)/([a-z]+)")


class Leaf(StrEnum):
    """The last level of a topic."""

    EVENTS = "events"
    TILES = "tiles"
    LIVE = "live"
    STATUS = "status"
    REPLY = "reply"
    ACK = "ack"
    CONFIG = "config"
    COMMAND = "command"


class Direction(StrEnum):
    """Who writes: the box `up`, the cloud `down`."""

    UP = "up"
    DOWN = "down"


_DIRECTION = {leaf: Direction.DOWN if leaf in {Leaf.ACK, Leaf.CONFIG, Leaf.COMMAND} else Direction.UP for leaf in Leaf}

ALL_UP = f"{ROOT}/+/+/up/+"
"""What the cloud subscribes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic of one box."""

    venue: str
    box: str
    leaf: Leaf

    def __post_init__(self) -> None:
        if not (_IS_SLUG.fullmatch(self.venue) and _IS_SLUG.fullmatch(self.box)):
            raise ValueError(f"venue and box as {_SLUG}; found {self.venue!r} and {self.box!r}")

    def __str__(self) -> str:
        return f"{ROOT}/{self.venue}/{self.box}/{_DIRECTION[self.leaf]}/{self.leaf}"


def direction_of(leaf: Leaf) -> Direction:
    """Who writes a topic."""
    return _DIRECTION[leaf]


def subscription(*, venue: str, box: str) -> str:
    """What a box subscribes to."""
    return f"{ROOT}/{venue}/{box}/down/+"


def parse(text: str) -> Topic | None:
    """The parts of a topic of ours, or None."""
    match = _TOPIC.fullmatch(text)
    if match is None:
        return None
    venue, box, direction, leaf = match.groups()
    if leaf not in set(Leaf) or _DIRECTION[Leaf(leaf)] != direction:
        return None
    return Topic(venue=venue, box=box, leaf=Leaf(leaf))
