from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.models.pictures import Pictures
from tests.support.films import write_film


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(60):
        cv2.imwrite(str(folder / f"{index:03d}.png"), np.full((8, 8, 3), index, np.uint8))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_the_last_third_is_held_back(folder: Path) -> None:
    pictures = Pictures.of(folder)
    earlier, last = ([frame.index for frame in part] for part in (pictures.earlier(1000), pictures.last(1000)))
    assert (earlier, last) == (list(range(40)), list(range(40, 60)))


def test_few_are_chosen_evenly(folder: Path) -> None:
    assert [frame.index for frame in Pictures.of(folder).earlier(4)] == [0, 13, 26, 39]
    assert [int(frame.image[0, 0, 0]) for frame in Pictures.of(folder).last(2)] == [40, 59]


def test_a_video_is_read_frame_by_frame(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=60, size=(64, 48), rate=10)
    pictures = Pictures.of(film)
    assert pictures.count == 60
    assert [frame.index for frame in pictures.last(3)] == [40, 49, 59]


def test_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="0 pictures are too few to judge by; allowed is 30 or more"):
        Pictures.of(tmp_path)


def test_what_is_no_picture_or_video_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "020.png").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"020\.png: no picture that can be read"):
        list(Pictures.of(folder).earlier(1000))
    with pytest.raises(ModelError, match=r"absent\.mp4: .*check the path"):
        Pictures.of(tmp_path / "absent.mp4")
