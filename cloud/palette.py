"""A colour scale from dark violet over green to yellow, computed rather than copied.

Lightness rises evenly from end to end, so that it reads in grey and for every kind of colour blindness; hue only helps.
Colours are made in Oklab (Björn Ottosson, 2020) and brought to sRGB.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PALETTE"]

STEPS = 256

# Lightness 0–1, and hue in degrees with its chroma, at even steps of the way: each stays inside sRGB.
_LIGHTNESS = (0.28, 0.92)
_HUE = (310.0, 280.0, 245.0, 205.0, 165.0, 135.0, 105.0)
_CHROMA = (0.10, 0.12, 0.09, 0.09, 0.12, 0.15, 0.17)

_OKLAB_TO_LMS = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _make() -> NDArray[np.uint8]:
    way = np.linspace(0.0, 1.0, STEPS)
    lightness = np.interp(way, (0.0, 1.0), _LIGHTNESS)
    knots = np.linspace(0.0, 1.0, len(_HUE))
    hue, chroma = np.radians(np.interp(way, knots, _HUE)), np.interp(way, knots, _CHROMA)
    oklab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    linear = np.clip((oklab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0.0, 1.0)
    gamma = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours = np.full((STEPS, 4), 255, dtype=np.uint8)
    colours[:, :3] = np.round(gamma * 255)
    colours[0, 3] = 0
    colours.flags.writeable = False
    return colours


PALETTE = _make()
"""Shape (256, 4), uint8 RGBA; the first is transparent and stands for zero."""
