"""Tells things from people: what a detector finds in one place again and again while no pixel there ever changes.

A poster, a mannequin, a coat on a hook. People move even where they sit, and stand elsewhere the next time. Looks once
a second; whoever stands before a thing still counts, for the place looks unlike itself then. Knows pictures and boxes;
of each place where somebody was found it keeps a patch of 16 by 32 grey cells, for minutes, of things for an hour.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.boxes import overlaps
from edge.camera.frames import Image
from edge.detector.detections import Detections

__all__ = ["FixtureSettings", "Fixtures"]

_CELLS = (16, 32)
_MOST_PLACES = 64

Patch = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixtureSettings:
    """What makes a thing.

    every_seconds: how often places are looked at. overlap: intersection over union of a box with its place.
    alike: the correlation with the place as it usually looks, -1 to 1, from which on nothing has changed there;
    in_sight: from which on a thing that is known is still to be seen, partly hidden perhaps.
    settled_seconds, looks, share: a thing has been found for so long, so often, and unchanged in so many of them;
    in the others somebody passed before it.
    forgotten_seconds, kept_seconds: how long after the last look a place is forgotten, and a thing.
    """

    every_seconds: float = 1.0
    overlap: float = 0.5
    alike: float = 0.98
    in_sight: float = 0.8
    settled_seconds: float = 900.0
    looks: int = 60
    share: float = 0.7
    forgotten_seconds: float = 300.0
    kept_seconds: float = 3600.0


class Fixtures:
    """The things of one camera that look like people."""

    def __init__(self, settings: FixtureSettings | None = None) -> None:
        self._settings = settings or FixtureSettings()
        self._places: list[_Place] = []
        self._looked_at = float("-inf")

    @property
    def count(self) -> int:
        """How many things are known."""
        return sum(place.is_thing for place in self._places)

    def without(self, found: Detections, image: Image, at: float) -> Detections:
        """The people among those found in a frame, BGR uint8 (height, width, 3)."""
        if at - self._looked_at >= self._settings.every_seconds:
            self._looked_at = at
            self._look(found, image, at)
        things = [place for place in self._places if place.is_thing]
        if not things or not len(found):
            return found
        shared = overlaps(np.stack([thing.box for thing in things]), found.boxes)
        in_sight = np.array([_likeness(thing.patch, _patch(image, thing.box)) for thing in things])
        in_sight = in_sight >= self._settings.in_sight
        is_thing = ((shared >= self._settings.overlap) & in_sight[:, None]).any(axis=0)
        return Detections(boxes=found.boxes[~is_thing], confidence=found.confidence[~is_thing])

    def _look(self, found: Detections, image: Image, at: float) -> None:
        settings = self._settings
        boxes = np.stack([place.box for place in self._places]) if self._places else np.empty((0, 4), np.float32)
        shared = overlaps(boxes, found.boxes)
        is_new = ~(shared >= settings.overlap).any(axis=0)
        for row in np.flatnonzero((shared >= settings.overlap).any(axis=1)):
            self._places[row].look(image, at, settings)
        begun = [_Place(box=box, patch=_patch(image, box), since=at, seen_at=at) for box in found.boxes[is_new]]
        kept = [place for place in self._places if at - place.seen_at <= place.memory(settings)]
        self._places = sorted(kept + begun, key=lambda place: (-place.alike, place.seen_at))[:_MOST_PLACES]


@dataclass(slots=True, kw_only=True, eq=False)
class _Place:
    """Where somebody was found: how it looked, and in how many looks it did or did not look so again."""

    box: npt.NDArray[np.float32]
    patch: Patch
    since: float
    seen_at: float
    alike: int = 0
    unlike: int = 0
    is_thing: bool = False

    def look(self, image: Image, at: float, settings: FixtureSettings) -> None:
        self.seen_at = at
        patch = _patch(image, self.box)
        if _likeness(self.patch, patch) >= settings.alike:
            self.alike += 1
            # Daylight wanders: the place is what it looked like of late.
            self.patch = np.asarray(0.95 * self.patch + 0.05 * patch, np.float32)
        else:
            self.unlike += 1
        is_settled = at - self.since >= settings.settled_seconds and self.alike >= settings.looks
        self.is_thing = is_settled and self.alike >= settings.share * (self.alike + self.unlike)

    def memory(self, settings: FixtureSettings) -> float:
        return settings.kept_seconds if self.is_thing else settings.forgotten_seconds


def _patch(image: Image, box: npt.NDArray[np.float32]) -> Patch:
    """What is inside a box, in cells."""
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(box[:2]).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(box[2:]).astype(int), (left + 1, top + 1), (width, height))
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, _CELLS, interpolation=cv2.INTER_AREA), np.float32)


def _likeness(one: Patch, other: Patch) -> float:
    """The correlation of two patches; of flat ones, which say nothing, none."""
    if one.std() < 1 or other.std() < 1:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
