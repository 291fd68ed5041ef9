"""The truth that labelled boxes tell. Knows boxes, the floor and lines; refuses to use what counts them in the product.

A person's labels may have holes. A hole as long as a camera's `gap_seconds` or shorter is bridged: the person was
there, and walked straight. A longer one ends the visit, and what comes after it is another, as a box counts it too.

A crossing is a cut of the way of the feet with the line, at its moment. Cuts to and fro between which nobody was
farther from the line than its band cancel each other: labels tremble, and who stands on a line does not cross it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.accuracy.account import Account, Film, Passage, Stay
from edge.errors import ConfigurationError
from edge.floor import Floor
from edge.lines import Direction, Line
from edge.scene import line_of
from edge.settings import CameraSettings
from edge.view import floor_of

__all__ = ["Label", "Labels", "passages"]

_LARGEST = 10
"""Whoever stands right before a camera may be labelled as larger than the picture, but not by this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One person in one frame, frames from 1; the box is left, top, right, bottom in pixels of the film's pictures."""

    line: int
    frame: int
    person: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A `Truth` of boxes; `path` and the labels' lines say where they stand."""

    path: Path
    camera: CameraSettings
    labels: tuple[Label, ...]

    @property
    def tells_crossings(self) -> bool:
        """See `Truth`."""
        return bool(self.camera.lines)

    def account(self, film: Film) -> Account:
        """See `Truth`."""
        for label in self.labels:
            mistake = _mistake(label, film)
            if mistake is not None:
                raise ConfigurationError(f"{self.path}, line {label.line}: {mistake}")
        floor = floor_of(self.camera, self.camera.image_size or film.image_size, box="truth")
        lines = [line_of(line) for line in self.camera.lines]
        tracks = list(self._tracks(film, floor))
        return Account(
            stays=tuple(Stay(first=track.times[0], last=track.times[-1]) for track in tracks),
            passages=tuple(
                passage
                for track in tracks
                for line in lines
                for passage in passages(track, line, y_up=floor.calibrated)
            ),
        )

    def _tracks(self, film: Film, floor: Floor) -> "Iterator[Track]":
        """The ways of people between holes that are too long to be bridged."""
        people: dict[int, list[Label]] = {}
        for label in sorted(self.labels, key=lambda label: label.frame):
            people.setdefault(label.person, []).append(label)
        scale = np.tile(np.array(floor.image_size) / film.image_size, 2)
        for labels in people.values():
            times = np.array([film.moments[label.frame - 1] for label in labels])
            boxes = np.array([label.box for label in labels]) * scale
            places, bodies = floor.place(floor.feet(boxes)), floor.bodies(boxes)
            ends = [*(np.flatnonzero(np.diff(times) > self.camera.gap_seconds) + 1).tolist(), len(times)]
            for start, end in pairwise([0, *ends]):
                yield Track(times=times[start:end].tolist(), places=places[start:end], bodies=bodies[start:end])


def _mistake(label: Label, film: Film) -> str | None:
    """What of a label cannot be in this film."""
    if label.frame > len(film.moments):
        return f"found frame {label.frame}; the film has {len(film.moments)}"
    width, height = film.image_size
    left, top, right, bottom = label.box
    is_outside = right <= 0 or bottom <= 0 or left >= width or top >= height
    if is_outside or right - left > _LARGEST * width or bottom - top > _LARGEST * height:
        found = f"found a box from {left:g}, {top:g} to {right:g}, {bottom:g}"
        allowed = f"one that lies in them at least in part and is at most {_LARGEST} times as large"
        return f"{found}; the film's pictures are {width} × {height}, and allowed is {allowed}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The way of one person: seconds of the film, places (n, 2) and heights of the body (n,) in the unit of places."""

    times: list[float]
    places: npt.NDArray[np.float64]
    bodies: npt.NDArray[np.float64]


def passages(track: Track, line: Line, *, y_up: bool) -> list[Passage]:
    """The crossings of a line by somebody who went this way; places that are on no floor are passed over."""
    spots = _spots(track, line, y_up=y_up)
    kept: list[_Cut] = []
    for cut in _cuts(spots, line):
        if kept and kept[-1].direction != cut.direction and not _was_clear(spots[kept[-1].index + 1 : cut.index + 1]):
            kept.pop()
        else:
            kept.append(cut)
    return [Passage(at=cut.at, line=line.id, direction=cut.direction) for cut in kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A place in the line's own coordinates; across is positive where `in` leads."""

    at: float
    across: float
    along: float
    is_clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """Between the spot of this index and the next."""

    index: int
    at: float
    direction: Direction


def _spots(track: Track, line: Line, *, y_up: bool) -> list[_Spot]:
    spots: list[_Spot] = []
    for at, (x, y), body in zip(track.times, track.places.tolist(), track.bodies.tolist(), strict=True):
        left, along = line.coordinates((x, y))
        if np.isfinite(left):
            across = left if y_up else -left
            spots.append(_Spot(at=at, across=across, along=along, is_clear=abs(across) > line.half_width(body)))
    return spots


def _cuts(spots: Sequence[_Spot], line: Line) -> Iterator[_Cut]:
    for index, (one, next_one) in enumerate(pairwise(spots)):
        if (one.across >= 0) == (next_one.across >= 0):
            continue
        share = one.across / (one.across - next_one.across)
        if 0 <= one.along + share * (next_one.along - one.along) <= line.length:
            at = one.at + share * (next_one.at - one.at)
            yield _Cut(index=index, at=at, direction="in" if next_one.across >= 0 else "out")


def _was_clear(spots: Sequence[_Spot]) -> bool:
    return any(spot.is_clear for spot in spots)
