"""How upright bodies on a floor look to a camera. Knows pinhole geometry; refuses to know lenses, people and time.

A homography of the floor says more than where feet are: with square pixels and the optical axis through the middle of
the picture it tells the camera's focal length and pose, and so where a head is above the feet (Zhang, 2000).
"""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["BODY_STATE", "Perspective"]

Reals = npt.NDArray[np.float64]

BODY_STATE = 5
"""A body is x, y, its speed along x and y, and its height: metres and seconds."""
_NEAREST_M = 0.1
_LOWEST_EYE_M = 2.0
"""A camera at the height of heads sees no depth in them."""
_WIDEST, _LONGEST = 0.25, 4.0
"""Focal lengths of cameras for people, in widths of the picture."""
_WORST_SKEW = 0.2
"""How far the floor's axes may seem from square, as a share, before the points are not trusted."""


class Perspective:
    """A camera over a floor, as the matrix (3, 4) from homogeneous metres to homogeneous pixels."""

    def __init__(self, matrix: Reals) -> None:
        self._matrix = matrix

    @classmethod
    def of(cls, to_image: Reals, image_size: tuple[int, int], focal_px: float | None = None) -> "Perspective | None":
        """The camera with this homography from floor to picture, whose third row is positive in front of the camera.

        None where no camera above people's heads sees a floor so; or one that looks straight down, to which all focal
        lengths look the same, and its own is not told.
        """
        middle = np.array([[1.0, 0.0, -image_size[0] / 2], [0.0, 1.0, -image_size[1] / 2], [0.0, 0.0, 1.0]])
        rays = middle @ to_image
        focal = focal_px or _focal_px(rays)
        if focal is None or not _WIDEST < focal / image_size[0] < _LONGEST:
            return None
        rays = rays / np.array([[focal], [focal], [1.0]])
        lengths = np.linalg.norm(rays[:, :2], axis=0)
        rays = rays / lengths.mean()
        skew = max(abs(rays[:, 0] @ rays[:, 1]), abs(lengths[0] - lengths[1]) / lengths.mean())
        up = np.cross(rays[:, 0], rays[:, 1])
        eye_height = -(up @ rays[:, 2]) / (up @ up)
        if skew > _WORST_SKEW or abs(eye_height) < _LOWEST_EYE_M:
            return None
        up *= np.sign(eye_height)  # a plan whose y runs down turns it over
        turned = np.column_stack([rays[:, :2], up, rays[:, 2]]) * np.array([[focal], [focal], [1.0]])
        return cls(np.linalg.inv(middle) @ turned)

    def boxes(self, bodies: Reals) -> tuple[Reals, Reals]:
        """What boxes of bodies (n, 5) are expected, and how that changes with the bodies.

        Boxes (n, 3) are the x of the middle between head and feet, the y of the head and the y of the feet, in pixels;
        their slopes are (n, 3, 5).
        """
        matrix = self._matrix
        feet = bodies[:, :2] @ matrix[:, :2].T + matrix[:, 3]
        heads = feet + bodies[:, 4:] * matrix[:, 2]
        feet_depth, head_depth = np.maximum(feet[:, 2:], _NEAREST_M), np.maximum(heads[:, 2:], _NEAREST_M)
        feet_at, heads_at = feet[:, :2] / feet_depth, heads[:, :2] / head_depth
        ground, up = matrix[:, :2], matrix[:, 2]
        feet_slopes = (ground[:2] - feet_at[..., None] * ground[2]) / feet_depth[..., None]
        head_slopes = (ground[:2] - heads_at[..., None] * ground[2]) / head_depth[..., None]
        head_rise = (up[:2] - heads_at * up[2]) / head_depth
        slopes = np.zeros((len(bodies), 3, BODY_STATE))
        slopes[:, 0, :2] = (feet_slopes[:, 0] + head_slopes[:, 0]) / 2
        slopes[:, 0, 4] = head_rise[:, 0] / 2
        slopes[:, 1, :2], slopes[:, 1, 4] = head_slopes[:, 1], head_rise[:, 1]
        slopes[:, 2, :2] = feet_slopes[:, 1]
        return np.stack([(feet_at[:, 0] + heads_at[:, 0]) / 2, heads_at[:, 1], feet_at[:, 1]], axis=1), slopes

    def places(self, pixels: Reals, height_m: float) -> Reals:
        """Where (n, 2) on the floor something so high stands that pixels (n, 2) show; nan where nothing does."""
        matrix = self._matrix
        plane = np.column_stack([matrix[:, :2], matrix[:, 2] * height_m + matrix[:, 3]])
        found = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(plane).T
        places: Reals = found[:, :2] / np.where(found[:, 2:] > 0, found[:, 2:], np.nan)
        return places


def _focal_px(rays: Reals) -> float | None:
    """The focal length that makes the floor's axes, seen in these columns (3, 3), most nearly square, if any does."""
    along, across = rays[:, 0], rays[:, 1]
    seen = np.array([along[:2] @ across[:2], along[:2] @ along[:2] - across[:2] @ across[:2]])
    deep = np.array([along[2] * across[2], along[2] ** 2 - across[2] ** 2])
    flat = -float(seen @ deep)
    return math.sqrt(float(seen @ seen) / flat) if flat > 0 else None
