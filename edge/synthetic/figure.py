"""A body in three dimensions: where its joints are as it stands or walks, and how thick it is around them.

Knows proportions and gait. Refuses to know pictures.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["LIMBS", "RADII", "STRIDES_PER_SECOND", "TALL_M", "Joint", "Limb", "joints"]

Points = npt.NDArray[np.float64]
STRIDES_PER_SECOND = 0.9
_STRIDE_M, _ARM_SWING_M = 0.26, 0.2


class Joint(IntEnum):
    """The rows of `joints`."""

    HEAD = 0
    NECK = 1
    LEFT_SHOULDER = 2
    RIGHT_SHOULDER = 3
    LEFT_ELBOW = 4
    RIGHT_ELBOW = 5
    LEFT_HAND = 6
    RIGHT_HAND = 7
    CHEST = 8
    BELLY = 9
    LEFT_HIP = 10
    RIGHT_HIP = 11
    LEFT_KNEE = 12
    RIGHT_KNEE = 13
    LEFT_FOOT = 14
    RIGHT_FOOT = 15


TALL_M = 1.75
"""The height at which `RADII` hold."""
# Across the shoulders (left is positive), upwards, and how far it swings with a stride; metres at 1.75 m.
_SHAPE = np.array(
    [
        (0.0, 1.63, 0.0), (0.0, 1.46, 0.0), (0.18, 1.40, 0.0), (-0.18, 1.40, 0.0),
        (0.23, 1.13, -0.5 * _ARM_SWING_M), (-0.23, 1.13, 0.5 * _ARM_SWING_M),
        (0.24, 0.88, -_ARM_SWING_M), (-0.24, 0.88, _ARM_SWING_M),
        (0.0, 1.28, 0.0), (0.0, 1.05, 0.0), (0.10, 0.92, 0.0), (-0.10, 0.92, 0.0),
        (0.11, 0.50, 0.5 * _STRIDE_M), (-0.11, 0.50, -0.5 * _STRIDE_M),
        (0.12, 0.06, _STRIDE_M), (-0.12, 0.06, -_STRIDE_M),
    ]
)  # fmt: skip

RADII = np.array([0.12, 0.06, 0.075, 0.075, 0.06, 0.06, 0.05, 0.05, 0.16, 0.15, 0.11, 0.11, 0.08, 0.08, 0.06, 0.06])
"""How thick a body is around each joint, in metres."""


@dataclass(frozen=True, slots=True)
class Limb:
    """A part of the body between two joints."""

    start: Joint
    end: Joint


LIMBS = (
    Limb(Joint.HEAD, Joint.NECK),
    Limb(Joint.LEFT_SHOULDER, Joint.LEFT_HIP),
    Limb(Joint.RIGHT_SHOULDER, Joint.RIGHT_HIP),
    Limb(Joint.CHEST, Joint.BELLY),
    Limb(Joint.LEFT_HIP, Joint.LEFT_KNEE),
    Limb(Joint.RIGHT_HIP, Joint.RIGHT_KNEE),
    Limb(Joint.LEFT_KNEE, Joint.LEFT_FOOT),
    Limb(Joint.RIGHT_KNEE, Joint.RIGHT_FOOT),
    Limb(Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW),
    Limb(Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW),
    Limb(Joint.LEFT_ELBOW, Joint.LEFT_HAND),
    Limb(Joint.RIGHT_ELBOW, Joint.RIGHT_HAND),
)


def joints(*, place: tuple[float, float], height_m: float, facing: float, stride: float) -> Points:
    """Where each joint is: metres (16, 3). `facing` in radians; `stride` from -1 to 1, 0 with the feet together."""
    ahead = np.array([math.cos(facing), math.sin(facing), 0.0])
    left = np.array([-math.sin(facing), math.cos(facing), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    across, tall, swing = _SHAPE.T[:, :, None]
    body = across * left + tall * up + stride * swing * ahead
    return np.asarray([place[0], place[1], 0.0] + body * (height_m / TALL_M))
