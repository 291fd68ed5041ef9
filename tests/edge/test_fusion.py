"""Several cameras that look at one floor: one person counts once."""

from collections.abc import Sequence

import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.fusion import Fused, Fusion
from edge.scene import Scene
from edge.settings import CameraSettings
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import DOOR, ViewName
from edge.synthetic.sight import IN_SIGHT, TruthFrame
from edge.walkers import Walkers

SIZE = (640, 480)
STEP = 0.1
Place = tuple[float, float]


class Floor:
    """Two cameras' people, said place by place."""

    def __init__(self) -> None:
        self.fusion = Fusion()
        self.found: list[Fused] = []
        self._since: dict[tuple[str, int], tuple[float, Place]] = {}

    def see(self, camera: str, at: float, **people: Place) -> Fused:
        """`a=(1.0, 2.0)` is the camera's person `a`, one metre to the right and two up."""
        ids = [ord(name) for name in people]
        firsts = [self._since.setdefault((camera, ord(name)), (at, place)) for name, place in people.items()]
        count = len(people)
        walkers = Walkers(
            at=at,
            ids=np.array(ids, np.int64),
            places=np.array(list(people.values()), np.float64).reshape(-1, 2),
            first_places=np.array([place for _, place in firsts], np.float64).reshape(-1, 2),
            since=np.array([since for since, _ in firsts], np.float64),
            bodies=np.full(count, 1.7),
            confidence=np.full(count, 0.9, np.float32),
            from_edge=np.zeros(count, np.bool_),
            at_edge=np.zeros(count, np.bool_),
        )
        self.found.append(self.fusion.update(camera, walkers, np.tile(np.eye(2) * 0.04, (count, 1, 1))))
        return self.found[-1]

    def both(self, seconds: float, *, start: float, left: dict[str, Place], right: dict[str, Place]) -> Fused:
        """What two cameras show for a while."""
        for step in range(round(seconds / STEP)):
            self.see("left", start + step * STEP, **left)
            self.see("right", start + step * STEP + STEP / 2, **right)
        return self.found[-1]

    @property
    def persons(self) -> set[int]:
        """All who were ever told of, without those who turned out to be others."""
        merged = {younger for fused in self.found for _, younger in fused.merged}
        return {int(person) for fused in self.found for person in fused.people.ids} - merged


def test_whom_two_cameras_show_in_one_place_is_one_person_between_what_both_say() -> None:
    floor = Floor()
    fused = floor.both(2.0, start=10.0, left={"a": (2.0, 3.0)}, right={"b": (2.4, 3.0)})
    assert len(floor.persons) == 1
    np.testing.assert_allclose(fused.people.places, [[2.2, 3.0]])


def test_two_who_stand_a_metre_apart_stay_two() -> None:
    floor = Floor()
    both = {"a": (2.0, 3.0), "b": (3.0, 3.0)}
    fused = floor.both(5.0, start=10.0, left=both, right={"c": (3.1, 3.1), "d": (2.1, 3.1)})
    assert len(floor.persons) == 2
    np.testing.assert_allclose(fused.people.places, [[2.05, 3.05], [3.05, 3.05]])


def test_who_is_hidden_from_one_camera_is_still_themselves() -> None:
    floor = Floor()
    floor.both(2.0, start=10.0, left={"a": (2.0, 3.0)}, right={"b": (2.0, 3.0)})
    floor.both(8.0, start=12.0, left={}, right={"b": (2.0, 3.0)})
    floor.both(2.0, start=20.0, left={"c": (2.1, 3.0)}, right={"b": (2.0, 3.0)})
    assert len(floor.persons) == 1


def test_who_walks_from_one_camera_to_the_other_is_one_person() -> None:
    floor = Floor()
    for step in range(80):
        at, x = 10.0 + step * STEP, step * STEP
        floor.see("left", at, **({"a": (x, 1.0)} if x < 3 else {}))
        floor.see("right", at, **({"b": (x, 1.0)} if x > 5 else {}))
    assert len(floor.persons) == 1


def test_who_leaves_and_who_comes_elsewhere_are_two() -> None:
    floor = Floor()
    floor.both(2.0, start=10.0, left={"a": (2.0, 3.0)}, right={})
    floor.both(2.0, start=13.0, left={}, right={"b": (9.0, 3.0)})
    assert len(floor.persons) == 2


def test_two_views_that_prove_to_be_one_person_become_one() -> None:
    """The second camera's first sights were far off: the person was half hidden."""
    floor = Floor()
    floor.both(1.0, start=10.0, left={"a": (2.0, 3.0)}, right={"b": (2.0, 4.9)})
    assert len(floor.persons) == 2
    floor.both(3.0, start=11.0, left={"a": (2.0, 3.0)}, right={"b": (2.1, 3.0)})
    assert len(floor.persons) == 1


def test_two_whom_one_camera_shows_at_once_never_become_one() -> None:
    floor = Floor()
    floor.both(2.0, start=10.0, left={"a": (2.0, 3.0), "b": (2.4, 3.0)}, right={})
    floor.both(4.0, start=12.0, left={"a": (2.0, 3.0)}, right={"c": (2.4, 3.0)})
    assert len(floor.persons) == 2


def test_whom_cameras_see_apart_for_a_while_are_two() -> None:
    floor = Floor()
    floor.both(2.0, start=10.0, left={"a": (2.0, 3.0)}, right={"b": (2.0, 3.0)})
    fused = floor.both(3.0, start=12.0, left={"a": (2.0, 3.0)}, right={"b": (6.0, 3.0)})
    np.testing.assert_allclose(fused.people.places, [[2.0, 3.0], [6.0, 3.0]])


def test_everybody_is_credited_to_one_camera_at_a_time() -> None:
    floor = Floor()
    both = {"a": (2.0, 3.0), "b": (4.0, 3.0)}
    floor.both(3.0, start=10.0, left=both, right={"c": (2.0, 3.0), "d": (4.0, 3.0)})
    left, right = floor.found[-2], floor.found[-1]
    assert left.in_frame.all()
    assert right.in_frame.all()
    assert int(left.credited.sum() + right.credited.sum()) == 2


def test_above_the_horizon_is_nobody() -> None:
    floor = Floor()
    assert len(floor.see("left", 1.0, a=(np.nan, np.nan)).people) == 0


def settings(view: ViewName) -> CameraSettings:
    image_points, floor_points = lens_of(view, SIZE).calibration()
    return CameraSettings.model_validate(
        {
            "id": view,
            "scene": "shop",
            "image_size": SIZE,
            "synthetic": {"view": view},
            "calibration": {"floor": "ground", "image_points": image_points, "floor_points": floor_points},
            "doorway": [{"a": DOOR.a, "b": DOOR.b}],
        }
    )


class Union:
    """What is true of several views at once: people who are in sight of any of them."""

    def __init__(self) -> None:
        self.visits = self.seen = 0
        self._last_seen: dict[int, float] = {}

    def add(self, frames: Sequence[TruthFrame]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """The places of all who may be shown, in sight or nearly so."""
        shares: dict[int, float] = {}
        places: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
        for frame in frames:
            for person, place, visible in zip(frame.ids.tolist(), frame.floor, frame.visible.tolist(), strict=True):
                shares[person], places[person] = max(visible, shares.get(person, 0.0)), place
        for person in (person for person, visible in shares.items() if visible >= IN_SIGHT):
            self.visits += frames[0].at - self._last_seen.get(person, -np.inf) > 5.0
            self._last_seen[person] = frames[0].at
            self.seen += 1
        shown = [place for person, place in places.items() if shares[person] >= 0.3]
        return np.array(shown, np.float64).reshape(-1, 2)


@pytest.mark.acceptance
@pytest.mark.parametrize("views", [("overview", "till"), ("overview", "till", "aisles")])
def test_people_before_several_cameras_count_once(views: tuple[ViewName, ...]) -> None:
    """Five made-up days of four minutes, as perfect detectors see them: people within 5 %, places within 0.3 m."""
    visits = true_visits = seen = true_seen = 0
    errors: list[float] = []
    for seed in range(1, 6):
        films = [Film(seed=seed, lens=lens_of(view, SIZE), seconds=240, people_per_minute=3, rate=5) for view in views]
        scene = Scene([settings(view) for view in views], box="box-1", image_sizes=dict.fromkeys(views, SIZE))
        union = Union()
        for frames in zip(*(film.truth(start_at=1000.0).frames for film in films), strict=True):
            there = union.add(frames)
            for view, frame in zip(views, frames, strict=True):
                boxes = frame.boxes[frame.visible >= IN_SIGHT]
                detections = Detections(boxes=boxes, confidence=np.full(len(boxes), 0.9, np.float32))
                _, closed = scene.observe(detections, at=frame.at, image_size=SIZE, camera=view)
                visits += len(closed)
            if len(there):
                errors += [float(np.linalg.norm(there - place, axis=1).min()) for place in scene.walkers.places]
            seen += len(scene.walkers)
        visits += len(scene.finish())
        true_visits, true_seen = true_visits + union.visits, true_seen + union.seen
        credited = sum(minute.person_ms for minute in scene.minutes(began=0.0, ended=1.0))
        assert credited == pytest.approx(union.seen * 200, rel=0.05)
    assert true_visits >= 50
    assert visits == pytest.approx(true_visits, rel=0.05)
    assert seen == pytest.approx(true_seen, rel=0.05)
    assert np.mean(errors) < 0.3
