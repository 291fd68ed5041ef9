"""Tells things from people: what a detector finds in one place again and again while nothing there ever moves.

A poster, a mannequin, a coat on a hook. People sway even where they sit, and stand elsewhere the next time. Looks once
a second. A place that has changed is judged by what other boxes leave of it: somebody who passes hides a thing and does
not move it, but what changes while nobody else is there has moved, and its record begins anew. Whoever stands before a
thing still counts, for the place looks unlike itself then. A person removed is worse than a thing counted: where a
camera shakes or a shadow wanders, things stay people. Whoever moves by less than `still` for a quarter of an hour is
not told from a thing. Knows pictures and boxes; of each place where somebody was found it keeps a patch of 16 by 32
grey cells, for minutes, of things for an hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.boxes import overlaps
from edge.camera.frames import Frame, Image
from edge.detector.detections import Detections, Detector

__all__ = ["FixtureSettings", "Fixtures", "PeopleOnly"]

_CELLS = (16, 32)
_MOST_PLACES = 64

_RIDGE = np.eye(3, dtype=np.float32) * 1e-3
"""So that a patch without slopes in one direction can be solved too; it seems not to move that way."""

Patch = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixtureSettings:
    """What makes a thing.

    every_seconds: how often places are looked at. overlap: intersection over union of a box with its place.
    alike: the correlation with the place as it usually looks, -1 to 1, from which on nothing has changed there;
    still: by how many pixels it may seem to have moved, which noise and compression feign;
    in_sight: the correlation from which on a thing that is known is still to be seen, partly hidden perhaps.
    visible: the share of a place that must be free of other boxes for it to be judged.
    settled_seconds, looks: a thing has been found unmoved for so long, and so often.
    doubts: so many looks at a changed place mean that it has moved; relief: what each look at an unchanged one takes
    off them.
    forgotten_seconds, kept_seconds: how long after it last looked like itself a place is forgotten, and a thing.
    """

    every_seconds: float = 1.0
    overlap: float = 0.5
    alike: float = 0.98
    still: float = 0.15
    in_sight: float = 0.8
    visible: float = 0.5
    settled_seconds: float = 900.0
    looks: int = 60
    doubts: float = 2.0
    relief: float = 0.2
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
        is_there = overlaps(boxes, found.boxes) >= settings.overlap
        for row in np.flatnonzero(is_there.any(axis=1)):
            self._places[row].look(image, found.boxes[~is_there[row]], at, settings)
        is_kept = [not place.is_over(at, settings) for place in self._places]
        begun = [
            _Place(box=box, patch=_patch(image, box), since=at, seen_at=at)
            for box in found.boxes[~is_there[is_kept].any(axis=0)]
        ]
        kept = [place for place, keep in zip(self._places, is_kept, strict=True) if keep]
        self._places = sorted(kept + begun, key=lambda place: (-place.alike, place.seen_at))[:_MOST_PLACES]


class PeopleOnly:
    """The same detector, without the things among what it finds; `fixtures` are those of each camera."""

    def __init__(self, detector: Detector, fixtures: Mapping[str, Fixtures]) -> None:
        self._detector = detector
        self._fixtures = fixtures

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame."""
        return self._fixtures[frame.camera].without(self._detector.detect(frame), frame.image, frame.at)


@dataclass(slots=True, kw_only=True, eq=False)
class _Place:
    """Where somebody was found: how it looked, in how many looks it looked so again, and what speaks against it."""

    box: npt.NDArray[np.float32]
    patch: Patch
    since: float
    seen_at: float
    alike: int = 0
    doubts: float = 0.0
    is_thing: bool = False

    def look(self, image: Image, others: npt.NDArray[np.float32], at: float, settings: FixtureSettings) -> None:
        """Compare the place with itself, as far as no other boxes, (n, 4), reach into it."""
        seen = _uncovered(self.box, others)
        if seen.mean() < settings.visible:
            return
        patch = _patch(image, self.box)
        likeness = _likeness(self.patch, patch, seen)
        if likeness >= settings.alike and self._moved_by(patch, seen) <= settings.still:
            self.seen_at = at
            self.alike += 1
            self.doubts = max(0.0, self.doubts - settings.relief)
            # Daylight wanders: the place is what it looked like of late.
            self.patch = np.asarray(np.where(seen, 0.95 * self.patch + 0.05 * patch, self.patch), np.float32)
            self.is_thing = at - self.since >= settings.settled_seconds and self.alike >= settings.looks
        elif not self.is_thing or likeness >= settings.in_sight:
            # Of a thing that is not to be seen at all nothing is learnt: somebody stands before it.
            self.doubts += 1.0

    def is_over(self, at: float, settings: FixtureSettings) -> bool:
        """Whether it has moved, or has not been seen for long."""
        memory = settings.kept_seconds if self.is_thing else settings.forgotten_seconds
        return self.doubts >= settings.doubts or at - self.seen_at > memory

    def _moved_by(self, patch: Patch, seen: npt.NDArray[np.bool_]) -> float:
        """How far the place has moved as a whole, in pixels: one step of Lucas and Kanade (1981), and a light."""
        down, across = np.gradient(self.patch, axis=0), np.gradient(self.patch, axis=1)
        slopes = np.stack([across[seen], down[seen], np.ones(seen.sum(), np.float32)])
        step = np.linalg.solve(slopes @ slopes.T + _RIDGE, slopes @ (self.patch - patch)[seen])[:2]
        return float(np.hypot(*(step * (self.box[2:] - self.box[:2]) / _CELLS)))


def _patch(image: Image, box: npt.NDArray[np.float32]) -> Patch:
    """What is inside a box, in cells."""
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(box[:2]).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(box[2:]).astype(int), (left + 1, top + 1), (width, height))
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, _CELLS, interpolation=cv2.INTER_AREA), np.float32)


def _uncovered(box: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which cells of a box, (rows, columns), other boxes leave free, with a cell between them."""
    cell = (box[2:] - box[:2]) / _CELLS
    first = np.floor((others[:, :2] - box[:2]) / cell).astype(int) - 1
    last = np.ceil((others[:, 2:] - box[:2]) / cell).astype(int) + 1
    reaching = ((first < _CELLS) & (last > 0)).all(axis=1)
    free = np.ones(_CELLS[::-1], np.bool_)
    for (left, top), (right, bottom) in zip(first[reaching].clip(0).tolist(), last[reaching].tolist(), strict=True):
        free[top:bottom, left:right] = False
    return free


def _likeness(one: Patch, other: Patch, seen: npt.NDArray[np.bool_] | None = None) -> float:
    """The correlation of two patches, or of some of their cells; of flat ones, which say nothing, none."""
    if seen is not None:
        one, other = one[seen], other[seen]
    if one.std() < 1 or other.std() < 1:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
