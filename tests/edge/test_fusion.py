"""Several cameras that look at one floor: one person counts once."""

import numpy as np
import pytest

from edge.fusion import Fused, Fusion
from edge.scene import Scene
from edge.settings import CameraSettings
from edge.visits import Visit
from edge.walkers import Walkers
from tests.support.people import boxes_at

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


def test_whom_one_camera_takes_for_each_other_stay_themselves() -> None:
    """They pass each other behind a shelf, and the right camera's numbers go on with the wrong ones."""
    floor = Floor()
    floor.both(2.0, start=10.0, left={"a": (2.0, 3.0), "b": (3.2, 3.0)}, right={"c": (2.0, 3.0), "d": (3.2, 3.0)})
    fused = floor.both(
        4.0, start=12.0, left={"a": (2.0, 3.0), "b": (3.2, 3.0)}, right={"c": (3.2, 3.0), "d": (2.0, 3.0)}
    )
    assert fused.people.ids.tolist() == sorted(floor.persons) == [1, 2]
    np.testing.assert_allclose(fused.people.places, [[2.0, 3.0], [3.2, 3.0]])


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


def two_cameras(**drawn: object) -> Scene:
    """Two cameras that hang straight above one floor of 16 × 12 m; `drawn` is over the first one's picture."""
    corners = [(0, 0), (640, 0), (640, 480), (0, 480)]
    plan = [(0, 12), (16, 12), (16, 0), (0, 0)]
    calibration = {"floor": "ground", "image_points": corners, "floor_points": plan}
    both = [
        CameraSettings.model_validate(
            {"id": name, "scene": "hall", "image_size": SIZE, "synthetic": {}, "calibration": calibration, **shapes}
        )
        for name, shapes in (("left", drawn), ("right", {}))
    ]
    return Scene(both, box="box-1", image_sizes={"left": SIZE, "right": SIZE})


@pytest.mark.parametrize(
    "clear",
    [
        pytest.param(40, id="known to be one before the line"),
        pytest.param(50, id="known to be one when the line is crossed, and not yet beyond doubt"),
        pytest.param(54, id="known to be one only behind the line"),
    ],
)
def test_two_who_turn_out_to_be_one_near_a_line_cross_it_once(clear: int) -> None:
    """One camera sees no legs until a moment, and takes the person for another behind the first."""
    scene = two_cameras(line=[{"id": "gate", "a": (8, 12), "b": (8, 0)}])
    visits: list[Visit] = []
    people: list[int] = []
    for step in range(80):
        x, at = 80.0 + 6.0 * step, 1000.0 + step * STEP
        for camera, cut in (("left", 0.0), ("right", min(max(8.0 * (clear - step), 0.0), 80.0))):
            there = boxes_at({"one": (x, 400.0 - cut)}, height=200.0 - cut)
            visits += scene.observe(there, at=at, image_size=SIZE, camera=camera)[1]
        people.append(len(scene.walkers))
    visits += scene.finish()
    (line,) = scene.minutes(began=0.0, ended=1.0)[0].lines
    assert (max(people), people[-1], len(visits)) == (2, 1, 1)
    assert (line.inward, line.outward, visits[0].crossings) == (1, 0, {"gate": {"in": 1, "out": 0}})
