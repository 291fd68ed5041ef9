"""Maps pixels to places. Knows a camera's lens and its points on the plan; refuses to know people and time.

With a calibration a place is in metres on the floor plan, x right and y up. Without one it is in pixels of
the reference picture, x right and y *down*, as images are. What lies on no floor (above the horizon,
beyond a lens's field) is nan.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigurationError
from edge.perspective import Perspective

__all__ = ["BODY_M", "Calibration", "Floor", "Lens", "space_slug"]

Points = npt.NDArray[np.float64]
"""float64, shape (n, 2)."""
BODY_M = 1.7
"""How tall people are on a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """How a lens bends rays around the middle of the reference picture.

    focal_px: focal length in pixels of the reference picture.
    k1, k2: coefficients of OpenCV's radial model, or the first two of its fisheye model.
    """

    model: Literal["radial", "fisheye"]
    focal_px: float
    k1: float
    k2: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The same four or more points in the reference picture (pixels) and on the plan (metres)."""

    image_points: tuple[tuple[float, float], ...]
    floor_points: tuple[tuple[float, float], ...]
    lens: Lens | None = None


class Floor:
    """Where one camera's pixels are on the floor."""

    def __init__(
        self, *, image_size: tuple[int, int], space_id: str, cell: float, projection: "_Projection | None"
    ) -> None:
        self.image_size = image_size
        self.space_id = space_id
        self.cell = cell
        self._projection = projection

    @classmethod
    def from_points(
        cls, calibration: Calibration, *, camera: str, floor: str, image_size: tuple[int, int], cell_m: float = 0.5
    ) -> "Floor":
        """A floor in metres; raises ConfigurationError naming the camera when the points do not make one."""
        revision = _revision(calibration, image_size, cell_m)
        space = space_slug(f"{floor}-{revision}-{round(cell_m * 100)}cm")
        projection = _Projection(calibration, image_size, camera)
        return cls(image_size=image_size, space_id=space, cell=cell_m, projection=projection)

    @classmethod
    def uncalibrated(
        cls, image_size: tuple[int, int], *, box: str = "box", camera: str = "camera", cell_px: int = 40
    ) -> "Floor":
        """Reference pixels, x right and y down. `image_size` is width, height; camera ids are unique on a box only."""
        space = space_slug(f"{box}--{camera}-{image_size[0]}x{image_size[1]}-{cell_px}px")
        return cls(image_size=image_size, space_id=space, cell=float(cell_px), projection=None)

    @property
    def calibrated(self) -> bool:
        """Whether places are metres, with y up."""
        return self._projection is not None

    @property
    def residual_m(self) -> float:
        """The largest distance between a calibration point and where it is mapped to; 0 when uncalibrated."""
        return self._projection.residual_m if self._projection else 0.0

    @property
    def is_mirrored(self) -> bool:
        """Whether the camera sees the mirror image of the plan: a plan whose y runs down, or a camera that mirrors."""
        return self._projection is not None and self._projection.is_mirrored

    def feet(self, boxes: npt.NDArray[np.floating]) -> Points:
        """Bottom centres of boxes (n, 4), in reference pixels; those that reach the picture's edge stay within it."""
        centres = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1).astype(np.float64)
        return np.clip(centres, 0.0, np.array(self.image_size) - 1.0)

    def bodies(self, boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Heights (n,) of the people in boxes (n, 4) in the unit of places: as measured in pixels, 1.7 m on a plan."""
        if self.calibrated:
            return np.full(len(boxes), BODY_M)
        return (boxes[:, 3] - boxes[:, 1]).astype(np.float64)

    def perspective(self) -> Perspective | None:
        """How bodies on this floor look; None without a calibration, or with one that no camera has."""
        return self._projection.perspective(self.image_size) if self._projection else None

    def straightened(self, points: Points) -> Points:
        """Where a lens that bends nothing shows what is at pixels (n, 2) of the reference picture."""
        return self._projection.straightened(points) if self._projection else points

    def place(self, points: Points, image_size: tuple[int, int] | None = None) -> Points:
        """Places of points (n, 2) in pixels of a frame of this size (width, height; default the reference's)."""
        reference = np.asarray(points, np.float64).reshape(-1, 2)
        if image_size is not None and image_size != self.image_size:
            reference = reference * np.array(self.image_size) / np.array(image_size)
        return self._projection.place(reference) if self._projection else reference.copy()


class _Projection:
    """A lens model and a homography."""

    def __init__(self, calibration: Calibration, image_size: tuple[int, int], camera: str) -> None:
        self._lens = calibration.lens
        self._centre = (image_size[0] / 2, image_size[1] / 2)
        image = np.array(calibration.image_points, np.float64).reshape(-1, 2)
        floor = np.array(calibration.floor_points, np.float64).reshape(-1, 2)
        straight = self.straightened(image)
        _refuse_bad_points(straight, floor, camera)
        homography, _ = cv2.findHomography(straight, floor, 0)
        if homography is None:
            raise ConfigurationError(f"camera {camera}: no floor goes through the calibration points")
        self._homography = np.asarray(homography, np.float64)
        depths = self._project(straight)[:, 2]
        if depths.min() * depths.max() <= 0:
            raise ConfigurationError(
                f"camera {camera}: the horizon runs between the calibration points; "
                "are they in the same order in the picture and on the floor?"
            )
        self._homography *= np.sign(depths[0])
        # In the picture y runs down, on the plan up, so that one is turned over into the other.
        self.is_mirrored = bool(np.linalg.det(self._homography) > 0)
        self.residual_m = float(np.linalg.norm(self.place(image) - floor, axis=1).max())

    def perspective(self, image_size: tuple[int, int]) -> Perspective | None:
        focal_px = self._lens.focal_px if self._lens else None
        return Perspective.of(np.asarray(np.linalg.inv(self._homography), np.float64), image_size, focal_px)

    def place(self, points: Points) -> Points:
        projected = self._project(self.straightened(points))
        in_front = projected[:, 2] > _HORIZON
        depths = np.where(in_front, projected[:, 2], 1.0)
        return np.where(in_front[:, None], projected[:, :2] / depths[:, None], np.nan)

    def _project(self, points: Points) -> Points:
        result: Points = np.column_stack([points, np.ones(len(points))]) @ self._homography.T
        return result

    def straightened(self, points: Points) -> Points:
        if self._lens is None or not len(points):
            return points
        focal = self._lens.focal_px
        matrix = np.array([[focal, 0, self._centre[0]], [0, focal, self._centre[1]], [0, 0, 1]])
        bent = points.reshape(-1, 1, 2)
        bends = np.array([self._lens.k1, self._lens.k2, 0.0, 0.0])
        if self._lens.model == "fisheye":
            straight = cv2.fisheye.undistortPoints(bent, matrix, bends, P=matrix).reshape(-1, 2)
            # OpenCV answers with a huge negative number where its iteration finds no ray.
            return np.where(np.abs(straight) < _BEYOND_LENS_PX, straight, np.nan)
        return np.asarray(cv2.undistortPoints(bent, matrix, bends, P=matrix), np.float64).reshape(-1, 2)


_HORIZON = 1e-9
_BEYOND_LENS_PX = 1e5
_DEGENERATE = 1e-2


def _refuse_bad_points(image: Points, floor: Points, camera: str) -> None:
    if len(image) != len(floor) or len(image) < 4:
        raise ConfigurationError(
            f"camera {camera}: calibration needs four or more pairs of points, "
            f"found {len(image)} in the picture and {len(floor)} on the floor"
        )
    for points, where in ((image, "in the picture"), (floor, "on the floor")):
        if not np.isfinite(points).all():
            raise ConfigurationError(f"camera {camera}: a calibration point {where} is no finite number")
        if not _spread(points):
            raise ConfigurationError(
                f"camera {camera}: the calibration points {where} lie on or near one line, "
                "or all but one do; choose four corners"
            )


def _spread(points: Points) -> bool:
    """Whether at least four points are there of which no three share a line: what a homography needs."""
    points = np.unique(points, axis=0)
    centred = points - points.mean(axis=0)
    size = float(np.abs(centred).max())
    if len(points) < 4 or size == 0:
        return False
    flat = centred / size
    for left_out in range(-1, len(flat)):
        kept = flat if left_out < 0 else np.delete(flat, left_out, axis=0)
        if np.linalg.svd(kept - kept.mean(axis=0), compute_uv=False)[-1] < _DEGENERATE:
            return False
    return True


def _revision(calibration: Calibration, image_size: tuple[int, int], cell_m: float) -> str:
    """Eight hexadecimal digits that change with any point or coefficient, the picture's size or the cell's."""
    made_of = {**asdict(calibration), "image_size": image_size, "cell_m": cell_m}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:8]


def space_slug(name: str) -> str:
    """The name itself, or where it is longer than 63 characters its beginning and a hash."""
    if len(name) <= _SLUG_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _SLUG_LENGTH - 9].rstrip('-')}-{digest}"


_SLUG_LENGTH = 63
