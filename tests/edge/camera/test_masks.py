import numpy as np

from edge.camera.masks import NEUTRAL_GREY, IgnoreMasks

WINDOW = [(0.0, 0.0), (319.5, 0.0), (319.5, 479.5), (0.0, 479.5)]
TRIANGLE = [(400.0, 100.0), (600.0, 100.0), (500.0, 300.0)]


def picture(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 100, (height, width, 3), dtype=np.uint8)


def test_only_what_is_masked_turns_grey() -> None:
    image = picture(640, 480)
    blanked = IgnoreMasks([WINDOW], reference_size=(640, 480)).apply(image)
    assert (blanked[:, :320] == NEUTRAL_GREY).all()
    assert (blanked[:, 322:] == image[:, 322:]).all()


def test_the_given_picture_is_not_touched() -> None:
    image = picture(640, 480)
    before = image.copy()
    IgnoreMasks([WINDOW], reference_size=(640, 480)).apply(image)
    assert (image == before).all()


def test_masks_follow_a_change_of_size() -> None:
    masks = IgnoreMasks([TRIANGLE], reference_size=(640, 480))
    shares = []
    for size in [(640, 480), (1280, 960), (320, 240), (640, 480)]:
        hidden = masks.hidden(size)
        assert hidden.shape == (size[1], size[0])
        rows, columns = np.nonzero(hidden)
        centre = columns.mean() / size[0], rows.mean() / size[1]
        np.testing.assert_allclose(centre, (500 / 640, (100 + 200 / 3) / 480), atol=0.004)
        shares.append(hidden.mean())
    np.testing.assert_allclose(shares, 20_000 / (640 * 480), rtol=0.05)


def test_without_masks_the_picture_passes_as_it_is() -> None:
    image = picture(32, 24)
    assert IgnoreMasks([], reference_size=(640, 480)).apply(image) is image


def test_corners_outside_the_picture_are_allowed() -> None:
    hidden = IgnoreMasks([[(-50, -50), (20, -50), (20, 20), (-50, 20)]], reference_size=(64, 48)).hidden((64, 48))
    assert hidden[:20, :20].all()
    assert not hidden[22:].any()
