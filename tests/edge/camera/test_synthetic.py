import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from edge.camera import AsFastAsPossible, Frame, RealTime, SyntheticSource
from edge.synthetic.film import Film
from edge.synthetic.lens import VIEWS, lens_of
from edge.synthetic.plan import ViewName
from edge.synthetic.sight import IN_SIGHT


def film(
    *,
    seed: int = 3,
    seconds: float = 30.0,
    people_per_minute: float = 12.0,
    view: ViewName = "door",
    size: tuple[int, int] = (320, 240),
) -> Film:
    return Film(seed=seed, lens=lens_of(view, size), seconds=seconds, people_per_minute=people_per_minute)


def frames_of(shown: Film, *, start_at: float = 0.0) -> Iterator[Frame]:
    return SyntheticSource(camera="shop", film=shown, pace=AsFastAsPossible(), start_at=start_at).frames()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (b"".join(jpeg for *_, jpeg in film(seconds=6).pictures()) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_film() -> None:
    assert film(seed=1).truth().visits != film(seed=2).truth().visits


def test_nobody_comes_at_a_rate_of_zero() -> None:
    assert all(not frame.ids.size for frame in film(people_per_minute=0).truth().frames)


def test_frames_and_truth_share_their_moments() -> None:
    shown = film(seconds=5)
    frames = list(frames_of(shown, start_at=40.0))
    assert [frame.at for frame in frames] == [truth.at for truth in shown.truth(start_at=40.0).frames]
    assert [frame.at for frame in frames] == pytest.approx([40 + i / 10 for i in range(50)])
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}


def test_a_busy_machine_leaves_pictures_out_and_shows_the_others_at_their_moments() -> None:
    wall = [40.0]
    pace = RealTime(clock=lambda: wall[0], sleep=lambda seconds: wall.__setitem__(0, wall[0] + seconds))
    source = SyntheticSource(camera="shop", film=film(seconds=8), pace=pace, start_at=40.0)
    lags = []
    for frame in source.frames():
        lags.append(wall[0] - frame.at)
        wall[0] += 0.35  # what a starved machine needs for a picture, of which there are ten a second
    assert len(lags) >= 20
    assert max(lags) < 1.0


def test_boxes_stand_about_the_feet_and_where_the_floor_says() -> None:
    source = film(seconds=60)
    seen = 0
    for frame in source.truth().frames:
        whole = frame.visible >= 0.99
        seen += whole.sum()
        boxes, feet = frame.boxes[whole], frame.feet[whole]
        tall = boxes[:, 3] - boxes[:, 1]
        assert (np.abs((boxes[:, 0] + boxes[:, 2]) / 2 - feet[:, 0]) < 0.25 * tall).all()
        assert (np.abs(boxes[:, 3] - feet[:, 1]) < 0.2 * tall).all()
        np.testing.assert_allclose(source.lens.floor_at(feet.astype(np.float64)), frame.floor[whole], atol=1e-3)
    assert seen > 100


def test_cameras_with_one_seed_see_the_same_people_in_the_same_places() -> None:
    overview, till = (film(seconds=60, view=view).truth() for view in ("overview", "till"))
    shared = 0
    for one, other in zip(overview.frames, till.frames, strict=True):
        places = dict(zip(other.ids.tolist(), other.floor.tolist(), strict=True))
        for number, place in zip(one.ids.tolist(), one.floor.tolist(), strict=True):
            if number in places:
                shared += 1
                assert place == places[number]
    assert shared > 500


@pytest.mark.parametrize("view", VIEWS)
def test_people_are_drawn_where_the_truth_says(view: ViewName) -> None:
    """What differs from the empty shop lies in the boxes of those in sight, and they are mostly filled by it."""
    source, empty = (film(view=view, seconds=40, people_per_minute=rate) for rate in (20, 0))
    inside = outside = boxes = 0.0
    frames = zip(frames_of(source), frames_of(empty), source.truth().frames, strict=True)
    for frame, bare, truth in itertools.islice(frames, 100, None, 6):
        changed = np.abs(frame.image.astype(np.int16) - bare.image.astype(np.int16)).max(axis=2) > 25
        drawn, sure = np.zeros(changed.shape, bool), np.zeros(changed.shape, bool)
        for (left, top, right, bottom), visible in zip(truth.boxes.round().astype(int), truth.visible, strict=True):
            drawn[max(0, top - 4) : bottom + 5, max(0, left - 4) : right + 5] = True
            sure[top:bottom, left:right] |= visible > 0.95
        inside += changed[sure].sum()
        boxes += sure.sum()
        outside += changed[~drawn].sum()
    assert inside / boxes > 0.35
    assert outside < 0.01 * inside


def test_who_is_said_to_be_hidden_is_not_drawn() -> None:
    """Whoever stands apart from others shows as much of themselves as the truth says."""
    source, empty = (
        film(view="aisles", seed=4, seconds=60),
        film(view="aisles", seed=4, seconds=60, people_per_minute=0),
    )
    told, found = [], []
    for frame, bare, truth in zip(frames_of(source), frames_of(empty), source.truth().frames, strict=True):
        changed = np.abs(frame.image.astype(np.int16) - bare.image.astype(np.int16)).max(axis=2) > 25
        for number, (left, top, right, bottom) in enumerate(truth.boxes.round().astype(int)):
            others = np.delete(truth.boxes, number, axis=0)
            apart = (others[:, 2] < left) | (others[:, 0] > right) | (others[:, 3] < top) | (others[:, 1] > bottom)
            if apart.all() and left > 8 and right < 312 and bottom < 232:
                told.append(float(truth.visible[number]))
                found.append(float(changed[top:bottom, left:right].mean()))
    visible, drawn = np.array(told), np.array(found)
    assert (visible < 0.05).sum() > 10
    assert drawn[visible < 0.05].mean() < 0.03
    assert drawn[visible > 0.95].mean() > 0.35


def test_the_sensors_noise_changes_from_frame_to_frame() -> None:
    frames = [frame.image.astype(np.float64) for frame in frames_of(film(seconds=2, people_per_minute=0))]
    differences = [float((after - before).std()) for before, after in itertools.pairwise(frames)]
    assert all(1.5 < difference < 6.0 for difference in differences)


def test_the_light_changes() -> None:
    means = [
        frame.image.mean()
        for frame in itertools.islice(frames_of(film(seconds=200, people_per_minute=0)), 0, None, 100)
    ]
    assert max(means) / min(means) > 1.08


def test_clothes_have_the_colours_of_the_shop() -> None:
    """No colour tells a person: nearly every coarse colour within the boxes is also found outside of them."""
    source = film(view="aisles", size=(640, 480), people_per_minute=20, seconds=60)
    people: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    frames = list(zip(frames_of(source), source.truth().frames, strict=True))[300::50]
    common: set[tuple[int, ...]] = set()
    for frame, truth in frames:
        outside = np.ones(frame.image.shape[:2], bool)
        for (left, top, right, bottom), visible in zip(truth.boxes.round().astype(int), truth.visible, strict=True):
            outside[top:bottom, left:right] = False
            if visible >= IN_SIGHT:
                people.append(frame.image[top:bottom, left:right].reshape(-1, 3) // 32)
        common |= set(map(tuple, np.unique(frame.image[outside] // 32, axis=0).tolist()))
    colours, counts = np.unique(np.concatenate(people), axis=0, return_counts=True)
    shared = sum(
        count for colour, count in zip(colours.tolist(), counts.tolist(), strict=True) if tuple(colour) in common
    )
    assert shared / counts.sum() > 0.9
