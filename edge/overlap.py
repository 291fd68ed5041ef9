"""Which cameras look at the same floor, and so are one scene. Knows calibrations and masks; refuses to know people.

A camera watches the floor that is in its picture and under no mask, as far away as people can still be told apart: to
where a hundredth of the picture's width is a metre of floor. Walls are not known: floor behind them counts as watched.
"""

from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera_settings import CameraSettings
from edge.view import floor_of
from edge.zones import Areas

__all__ = ["shared_m2", "with_scenes"]

Quads = npt.NDArray[np.float64]
"""float64, shape (n, 4, 2): the four corners of pieces of the floor, metres."""

_SHARE = 0.1
"""How much of the smaller of two floors must be seen by both cameras."""
_ACROSS, _DOWN = 32, 24
"""The pieces that a picture is cut into."""
_FARTHEST = 100.0
"""Metres of floor to the picture's width where people can no more be told apart."""
_CELL_M, _MOST_CELLS = 0.1, 2000


def with_scenes(cameras: Sequence[CameraSettings]) -> tuple[CameraSettings, ...]:
    """Each camera with its scene: the one it names, else that of the first of all those whose floors overlap.

    Only floors of one id overlap. A camera is not joined to others that is not calibrated, counts where they do not, or
    is called like a scene that another camera names. Raises ConfigurationError for bad calibrations.
    """
    order = [camera.id for camera in cameras]
    scenes = {camera.id: camera.scene_id for camera in cameras}
    named = {camera.scene for camera in cameras}
    free = [camera for camera in cameras if camera.scene is None and camera.calibration and camera.id not in named]
    grounds = {camera.id: _watched(camera) for camera in free}
    for one, other in combinations(free, 2):
        alike = _floor_id(one) == _floor_id(other) and one.counting == other.counting
        if alike and _overlap(grounds[one.id], grounds[other.id]):
            kept, gone = sorted((scenes[one.id], scenes[other.id]), key=order.index)
            scenes |= {camera: kept for camera, scene in scenes.items() if scene == gone}
    return tuple(camera.model_copy(update={"scene": scenes[camera.id]}) for camera in cameras)


def shared_m2(one: CameraSettings, other: CameraSettings) -> float:
    """Square metres of floor that two calibrated cameras of one floor both watch."""
    shared, _ = _areas(_watched(one), _watched(other))
    return shared


def _overlap(one: Quads, other: Quads) -> bool:
    shared, smaller = _areas(one, other)
    return shared > _SHARE * smaller


def _floor_id(camera: CameraSettings) -> str | None:
    return camera.calibration.floor if camera.calibration else None


def _watched(camera: CameraSettings) -> Quads:
    """The pieces of floor that a calibrated camera watches."""
    size = camera.image_size or (0, 0)
    columns, rows = np.linspace(0, size[0], _ACROSS + 1), np.linspace(0, size[1], _DOWN + 1)
    grid = np.stack(np.meshgrid(columns, rows), axis=2)
    floor = floor_of(camera, size, box="any").place(grid.reshape(-1, 2)).reshape(grid.shape)
    pixels, places = _pieces(grid), _pieces(floor)
    metres = np.linalg.norm(places - np.roll(places, 1, axis=1), axis=2)
    lengths = np.linalg.norm(pixels - np.roll(pixels, 1, axis=1), axis=2)
    near = (metres / lengths * size[0] <= _FARTHEST).all(axis=1)
    near &= ~Areas(camera.masks).contain(pixels.mean(axis=1)).any(axis=1)
    result: Quads = places[near]
    return result


def _pieces(grid: npt.NDArray[np.float64]) -> Quads:
    """The quadrangles of a grid (rows, columns, 2)."""
    corners = (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1])
    return np.stack([corner.reshape(-1, 2) for corner in corners], axis=1)


def _areas(one: Quads, other: Quads) -> tuple[float, float]:
    """Square metres of what both have in common, and of the smaller of the two."""
    if not len(one) or not len(other):
        return 0.0, 0.0
    corners = np.concatenate([one, other]).reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    cell = max(_CELL_M, float((high - low).max()) / _MOST_CELLS)
    shape = np.ceil((high - low) / cell).astype(int)[::-1] + 1
    drawn = [_drawn((quads - low) / cell, shape) for quads in (one, other)]
    return float((drawn[0] & drawn[1]).sum()) * cell**2, float(min(each.sum() for each in drawn)) * cell**2


def _drawn(quads: Quads, shape: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    canvas = np.zeros(shape, np.uint8)
    for quad in np.round(quads).astype(np.int32):
        cv2.fillConvexPoly(canvas, quad, 1)
    return canvas.astype(np.bool_)
