"""The cameras of the made-up shop: where each hangs, and the exact perspective it has.

Knows pinhole cameras. Refuses to know what is in front of them.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.synthetic.plan import ViewName

__all__ = ["VIEWS", "Lens", "Pose", "lens_of"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a camera hangs in metres, where it looks in degrees (0 along x, 90 along y), and how far down."""

    x: float
    y: float
    height_m: float
    heading_degrees: float
    tilt_degrees: float
    focal_share: float
    """Focal length as a share of the picture's width."""


VIEWS: dict[ViewName, Pose] = {
    "overview": Pose(x=9.7, y=7.7, height_m=4.4, heading_degrees=222, tilt_degrees=34, focal_share=0.6),
    "door": Pose(x=1.7, y=6.6, height_m=4.0, heading_degrees=-90, tilt_degrees=36, focal_share=0.74),
    "aisles": Pose(x=0.3, y=7.7, height_m=4.4, heading_degrees=-40, tilt_degrees=35, focal_share=0.62),
    "till": Pose(x=9.8, y=0.3, height_m=4.2, heading_degrees=122, tilt_degrees=35, focal_share=0.66),
}


@dataclass(frozen=True)
class Lens:
    """A pinhole camera with a picture of `size` (width, height)."""

    size: tuple[int, int]
    pose: Pose = field(default_factory=lambda: VIEWS["overview"])

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.pose.focal_share * self.size[0]

    @property
    def place(self) -> Points:
        """Where the camera is: metres (3,)."""
        return np.array([self.pose.x, self.pose.y, self.pose.height_m])

    @property
    def axes(self) -> Points:
        """The directions right, down and forward in the picture: unit vectors (3, 3), one a row."""
        heading, tilt = math.radians(self.pose.heading_degrees), math.radians(self.pose.tilt_degrees)
        ahead = np.array([math.cos(heading), math.sin(heading), 0.0])
        right = np.array([math.sin(heading), -math.cos(heading), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        forward = math.cos(tilt) * ahead - math.sin(tilt) * up
        down = -math.sin(tilt) * ahead - math.cos(tilt) * up
        return np.stack([right, down, forward])

    def depth(self, points: Points) -> Points:
        """How far in front of the picture plane points (n, 3) are, in metres; negative behind the camera."""
        return np.asarray((points - self.place) @ self.axes[2])

    def project(self, points: Points) -> Points:
        """Pixels (n, 2) of points in metres (n, 3): x right, y up on the plan, z up. They must be in front."""
        right, down, depth = ((points - self.place) @ self.axes.T).T
        u = self.size[0] / 2 + self.focal_px * right / depth
        v = self.size[1] / 2 + self.focal_px * down / depth
        return np.stack([u, v], axis=1)

    def rays(self, pixels: Points) -> Points:
        """Directions (n, 3) in metres in which pixels (n, 2) look; one forward is one metre of depth."""
        right = (pixels[:, 0] - self.size[0] / 2) / self.focal_px
        down = (pixels[:, 1] - self.size[1] / 2) / self.focal_px
        return np.asarray(np.stack([right, down, np.ones_like(right)], axis=1) @ self.axes)

    def floor_at(self, pixels: Points) -> Points:
        """Floor metres (n, 2) under pixels (n, 2); NaN at and above the horizon."""
        rays = self.rays(pixels)
        reach = self.pose.height_m / np.where(rays[:, 2] < 0, -rays[:, 2], np.nan)
        return np.asarray(self.place[:2] + rays[:, :2] * reach[:, None])

    def calibration(self) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        """Four points in the picture, in pixels, and the same on the floor, in metres: exact to the millimetre."""
        width, height = self.size
        shares = ((0.05, 0.95), (0.95, 0.95), (0.75, 0.4), (0.25, 0.4))
        pixels = [(round(across * width, 1), round(down * height, 1)) for across, down in shares]
        floor = self.floor_at(np.asarray(pixels)).round(3)
        return tuple(pixels), tuple((x, y) for x, y in floor.tolist())


def lens_of(view: ViewName, size: tuple[int, int]) -> Lens:
    """The camera of this name with a picture of this size."""
    return Lens(size, VIEWS[view])
