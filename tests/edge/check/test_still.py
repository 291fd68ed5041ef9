"""The still is coarse for certain, and shows nothing that is masked."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.check.camera_test import still_of
from edge.check.still import ROWS, coarse, half_blocks, write_png
from edge.errors import EdgeError
from edge.settings import CameraSettings


@pytest.mark.parametrize(
    ("size", "columns"), [((640, 480), 32), ((1920, 1080), 43), ((480, 640), 18), ((100, 10), 240)]
)
def test_it_has_24_rows_whatever_the_picture(size: tuple[int, int], columns: int) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    assert coarse(picture).shape == (ROWS, columns, 3)


def test_a_cell_is_the_mean_of_what_it_covers_so_that_detail_is_gone() -> None:
    chequered = np.indices((480, 640)).sum(axis=0) % 2 * 200
    picture = np.repeat(chequered[:, :, None], 3, axis=2).astype(np.uint8)
    assert np.ptp(coarse(picture)) <= 1
    assert coarse(picture)[0, 0, 0] == pytest.approx(100, abs=1)


def test_the_file_holds_no_more_than_the_cells(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    cells = coarse(picture)
    write_png(cells, tmp_path / "still.png")
    written = cv2.imread(str(tmp_path / "still.png"))
    assert written is not None
    assert written.shape == (24 * 16, 32 * 16, 3)
    assert np.array_equal(coarse(np.asarray(written, np.uint8)), cells)
    assert np.array_equal(np.unique(written.reshape(-1, 3), axis=0), np.unique(cells.reshape(-1, 3), axis=0))


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="the still cannot be written: No such file or directory"):
        write_png(np.zeros((24, 32, 3), np.uint8), tmp_path / "absent" / "still.png")


def test_a_terminal_shows_two_rows_in_a_line_of_characters() -> None:
    cells = np.zeros((24, 32, 3), np.uint8)
    cells[0, 0] = (0, 0, 255)
    text = half_blocks(cells)
    assert [len(line) for line in text.plain.splitlines()] == [32] * 12
    style = text.spans[0].style
    assert str(style) == "#ff0000 on #000000"


def test_what_is_masked_is_blank_in_the_still() -> None:
    camera = CameraSettings.model_validate(
        {"id": "door", "synthetic": {}, "image_size": [320, 240], "masks": [[[0, 0], [160, 0], [160, 240], [0, 240]]]}
    )
    still = still_of(camera, np.full((480, 640, 3), 200, np.uint8))
    assert np.ptp(still[:, :15].reshape(-1, 3), axis=0).max() == 0
    assert not np.array_equal(still[0, 0], still[0, -1])
    assert still[0, -1].tolist() == [200, 200, 200]
