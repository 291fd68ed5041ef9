"""Pictures to measure a network with: of a video or of a folder, evenly chosen, split into two parts by time.

A network is fitted to the earlier two thirds and judged by the last third, so that it is not judged by frames that are
all but the same as those it was fitted to. Pictures are read one by one and never kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.camera.file import FileSource
from edge.camera.frames import Frame, Image
from edge.camera.pace import AsFastAsPossible
from edge.camera.sampling import Sampler
from edge.camera.trouble import SourceTrouble
from edge.errors import ModelError

__all__ = ["Pictures"]

_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
_LEAST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Those of a video file, or of a folder in the order of their names. Raises ModelError where they are too few."""

    source: Path
    count: int

    @classmethod
    def of(cls, source: Path) -> "Pictures":
        """Count what there is."""
        count = len(_files(source)) if source.is_dir() else sum(1 for _ in _frames(source))
        if count < _LEAST:
            raise ModelError(f"{source}: {count} pictures are too few to judge by; allowed is {_LEAST} or more")
        return cls(source=source, count=count)

    def earlier(self, most: int) -> Iterator[Frame]:
        """Up to so many of the first two thirds."""
        return self._chosen(0, self.count * 2 // 3, most)

    def last(self, most: int) -> Iterator[Frame]:
        """Up to so many of the last third."""
        return self._chosen(self.count * 2 // 3, self.count, most)

    def _chosen(self, begin: int, end: int, most: int) -> Iterator[Frame]:
        chosen = {int(index) for index in np.linspace(begin, end - 1, min(most, end - begin))}
        if self.source.is_dir():
            for index, file in enumerate(_files(self.source)):
                if index in chosen:
                    yield Frame(at=float(index), image=_read(file), camera="picture", index=index)
            return
        for index, frame in enumerate(_frames(self.source)):
            if index in chosen:
                yield frame


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def _read(file: Path) -> Image:
    image = cv2.imread(str(file))
    if image is None:
        raise ModelError(f"{file}: no picture that can be read")
    return np.asarray(image, np.uint8)


def _frames(video: Path) -> Iterator[Frame]:
    try:
        yield from FileSource(
            camera="picture", path=video, pace=AsFastAsPossible(), sampler=Sampler(rate=None)
        ).frames()
    except SourceTrouble as trouble:
        raise ModelError(f"{video}: {trouble.detail}; {trouble.advice}") from None
