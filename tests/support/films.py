"""Small video files made on the spot."""

from pathlib import Path

import av
import numpy as np

__all__ = ["write_film"]


def write_film(path: Path, *, frames: int, size: tuple[int, int], rate: int) -> Path:
    """A film of an empty grey room; `size` is width, height."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path
