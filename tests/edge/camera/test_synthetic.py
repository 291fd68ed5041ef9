import itertools

import numpy as np
import pytest

from edge.camera import AsFastAsPossible, SyntheticSource
from edge.camera.shop import Lens


def film(*, seed: int = 3, seconds: float = 30.0, people_per_minute: float = 12.0) -> SyntheticSource:
    return SyntheticSource(
        camera="shop",
        seed=seed,
        pace=AsFastAsPossible(),
        size=(320, 240),
        seconds=seconds,
        people_per_minute=people_per_minute,
        start_at=40.0,
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (b"".join(frame.image.tobytes() for frame in film(seconds=3).frames()) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_film() -> None:
    assert film(seed=1).truth().visits != film(seed=2).truth().visits


def test_frames_and_truth_share_their_moments() -> None:
    source = film(seconds=5)
    frames = list(source.frames())
    assert [frame.at for frame in frames] == [truth.at for truth in source.truth().frames]
    assert [frame.at for frame in frames] == pytest.approx([40 + i / 10 for i in range(50)])
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}


def test_people_enter_at_the_edge_walk_and_leave() -> None:
    truth = film(seconds=120).truth()
    assert len(truth.visits) >= 12
    whole = [visit for visit in truth.visits if visit.first_seen > 40.0 and visit.last_seen < 159.8]
    assert len(whole) >= 8
    for visit in whole:
        feet = [frame.feet[frame.ids == visit.id][0] for frame in truth.frames if visit.id in frame.ids]
        assert len(feet) == round((visit.last_seen - visit.first_seen) * 10) + 1, "the stay has no holes"
        for end in (feet[0], feet[-1]):
            assert min(end[0], 320 - end[0]) < 40, "they come and go at a side of the picture"
        assert visit.last_seen - visit.first_seen > 3


def test_boxes_stand_on_the_feet_and_where_the_floor_says() -> None:
    source = film(seconds=60)
    for frame in source.truth().frames:
        if not frame.ids.size:
            continue
        np.testing.assert_allclose(frame.boxes[:, 3], frame.feet[:, 1], atol=1e-3)
        assert (frame.boxes[:, 2] > frame.boxes[:, 0]).all()
        np.testing.assert_allclose(source.lens.floor_at(frame.feet.astype(np.float64)), frame.floor, atol=1e-3)


def test_people_are_drawn_where_the_truth_says() -> None:
    """What differs from the empty shop lies in the boxes, and the boxes are mostly filled by it."""
    source = film()
    empty = next(film(people_per_minute=0.001).frames()).image.astype(np.int16)
    inside = outside = boxes = 0.0
    for frame, truth in zip(source.frames(), source.truth().frames, strict=True):
        changed = np.abs(frame.image.astype(np.int16) - empty).max(axis=2) > 40
        area = np.zeros(changed.shape, dtype=bool)
        for left, top, right, bottom in truth.boxes.round().astype(int):
            area[max(0, top - 2) : bottom + 3, max(0, left - 3) : right + 4] = True
        inside += changed[area].sum()
        outside += changed[~area].sum()
        boxes += area.sum()
    assert inside / boxes > 0.3
    assert outside < 0.05 * inside


def test_the_sensors_noise_changes_from_frame_to_frame() -> None:
    frames = [frame.image.astype(np.float64) for frame in film(seconds=2, people_per_minute=0.001).frames()]
    differences = [float((after - before).std()) for before, after in itertools.pairwise(frames)]
    assert all(3.0 < difference < 6.0 for difference in differences)


def test_projecting_and_looking_down_are_inverse() -> None:
    lens = Lens(size=(640, 480))
    floor = np.asarray([[x, y, 0.0] for x in (-3.0, 0.0, 2.5) for y in (4.0, 7.0, 10.0)])
    np.testing.assert_allclose(lens.floor_at(lens.project(floor)), floor[:, :2], atol=1e-9)
    assert np.isnan(lens.floor_at(np.asarray([[320.0, -500.0]]))).all()
