"""Ground truth in MOT format, and scores against it by the `trackers` package's evaluator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

__all__ = [
    "NOBODY",
    "People",
    "Scores",
    "associated_perfectly",
    "matches",
    "people_in",
    "read_mot",
    "score",
    "switches",
    "without_strangers",
]

MATCHING_OVERLAP = 0.5
"""Intersection over union from which on a box shows a person of the truth, as CLEAR MOT has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who is in one frame: ids int64 (n,), boxes float64 (n, 4) as left, top, right, bottom."""

    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well tracks agree with the truth, as the field measures it."""

    hota: float
    idf1: float
    mota: float
    id_switches: int


NOBODY = People(ids=np.empty(0, np.int64), boxes=np.empty((0, 4)))


def read_mot(path: Path) -> dict[int, People]:
    """People per frame, frames counted from 0 (MOT files count from 1)."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    frames: dict[int, People] = {}
    for frame in np.unique(rows[:, 0]):
        there = rows[rows[:, 0] == frame]
        corners = np.concatenate([there[:, 2:4], there[:, 2:4] + there[:, 4:6]], axis=1)
        frames[int(frame) - 1] = People(ids=there[:, 1].astype(np.int64), boxes=corners)
    return frames


def people_in(frames: Mapping[int, People]) -> int:
    """How many different people there are."""
    return len(_ids(frames.values()))


def score(truth: Mapping[int, People], tracks: Mapping[int, People], frames: list[int]) -> Scores:
    """Scores over these frames; those without a label or a track count too."""
    wanted = [truth.get(frame, NOBODY) for frame in frames]
    given = [tracks.get(frame, NOBODY) for frame in frames]
    truth_ids, track_ids = _dense(wanted), _dense(given)
    similarity = [_overlap(one.boxes, other.boxes) for one, other in zip(wanted, given, strict=True)]
    clear = compute_clear_metrics(truth_ids, track_ids, similarity)
    return Scores(
        hota=float(compute_hota_metrics(truth_ids, track_ids, similarity)["HOTA"]),
        idf1=float(compute_identity_metrics(truth_ids, track_ids, similarity)["IDF1"]),
        mota=float(clear["MOTA"]),
        id_switches=int(clear["IDSW"]),
    )


def switches(truth: Mapping[int, People], tracks: Mapping[int, People], frames: list[int]) -> list[tuple[int, int]]:
    """Frame and person of each switch that CLEAR MOT counts: whom another number follows than the last time."""
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    found = []
    for frame in frames:
        there, given = truth.get(frame, NOBODY), tracks.get(frame, NOBODY)
        overlap = _overlap(there.boxes, given.boxes)
        goes_on = np.array([[before.get(one) == other for other in given.ids.tolist()] for one in there.ids.tolist()])
        worth = np.where(overlap >= MATCHING_OVERLAP, overlap + 1000 * goes_on.reshape(overlap.shape), 0)
        rows, columns = linear_sum_assignment(worth, maximize=True)
        kept = worth[rows, columns] > 0
        before = dict(zip(there.ids[rows[kept]].tolist(), given.ids[columns[kept]].tolist(), strict=True))
        found += [(frame, one) for one, number in before.items() if last.get(one, number) != number]
        last |= before
    return found


def associated_perfectly(truth: People, boxes: npt.NDArray[np.float64]) -> People:
    """Detections (n, 4) under the ids of the true people whom they show, at most one a person; the others are dropped.

    The oracle of the field: what a tracker could reach at best that only says who is who, and adds and moves no box.
    """
    rows, columns = matches(truth.boxes, boxes)
    return People(ids=truth.ids[rows], boxes=boxes[columns])


def without_strangers(truth: People, tracks: People) -> People:
    """Tracks without those that show nobody of the truth: for frames in which some people in view have no label."""
    _, columns = matches(truth.boxes, tracks.boxes)
    return People(ids=tracks.ids[columns], boxes=tracks.boxes[columns])


def matches(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Indices of the pairs whose overlaps are enough and the most in sum."""
    overlap = _overlap(one, other)
    enough = overlap >= MATCHING_OVERLAP
    rows, columns = linear_sum_assignment(np.where(enough, overlap, 0), maximize=True)
    kept = enough[rows, columns]
    return rows[kept], columns[kept]


def _ids(frames: Iterable[People]) -> set[int]:
    return {int(one) for people in frames for one in people.ids}


def _dense(frames: list[People]) -> list[npt.NDArray[np.intp]]:
    index = {one: position for position, one in enumerate(sorted(_ids(frames)))}
    return [np.array([index[int(one)] for one in people.ids], np.intp) for people in frames]


def _overlap(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Intersection over union, shape (n, m)."""
    first, second = one[:, None], other[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = np.prod(first[..., 2:] - first[..., :2], axis=-1) + np.prod(second[..., 2:] - second[..., :2], axis=-1)
    result: npt.NDArray[np.float64] = shared / np.maximum(areas - shared, 1e-9)
    return result
