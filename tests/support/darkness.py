"""A film as it would be with less light: fewer photons, a sensor's noise, and the camera's own encoder after that.

Light is linear, of pixels after gamma 2.2; a full pixel holds 4,000 electrons, which come by chance (Poisson), and
reading one adds noise of 4. The frames are then encoded in H.264 as cameras do, which is where faint detail is lost.
"""

import io
from collections.abc import Sequence

import av
import numpy as np

from edge.camera.frames import Image

__all__ = ["darkened"]

_GAMMA, _FULL_ELECTRONS, _READ_NOISE_ELECTRONS = 2.2, 4000.0, 4.0
_ENCODING = {"preset": "veryfast", "crf": "23", "bf": "0"}


def darkened(frames: Sequence[Image], *, light: float, seed: int) -> list[Image]:
    """The frames with this share of their light, 0 to 1."""
    random = np.random.default_rng(seed)
    return _encoded([_exposed(frame, light, random) for frame in frames])


def _exposed(frame: Image, light: float, random: np.random.Generator) -> Image:
    expected = (frame.astype(np.float64) / 255) ** _GAMMA * light * _FULL_ELECTRONS
    read = random.poisson(expected) + random.normal(0, _READ_NOISE_ELECTRONS, frame.shape)
    return np.asarray(np.rint(np.clip(read / _FULL_ELECTRONS, 0, 1) ** (1 / _GAMMA) * 255), np.uint8)


def _encoded(frames: Sequence[Image]) -> list[Image]:
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options=_ENCODING)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode(None))
    film.seek(0)
    with av.open(film, "r") as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
