import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from edge.lines import Crossing, Line, LineWatch

DOOR = Line(id="door", a=(0.0, 0.0), b=(4.0, 0.0), band=0.3)
Path = list[tuple[float, float]]


def crossings(path: Path, line: Line = DOOR, *, y_up: bool = True, person: int = 1) -> list[str]:
    watch = LineWatch([line], y_up=y_up)
    found: list[Crossing] = []
    for at, place in enumerate(path):
        found += watch.update(np.array([person]), np.array([place], float), np.array([1.7]), at / 10)
    return [crossing.direction for crossing in found]


def between(start: tuple[float, float], end: tuple[float, float], steps: int = 20) -> Path:
    return [tuple(place) for place in np.linspace(start, end, steps).tolist()]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(between((2, -2), (2, 2)), ["in"], id="straight to the left side is in"),
        pytest.param(between((2, 2), (2, -2)), ["out"], id="straight to the right side is out"),
        pytest.param([(2, -2), (2, 2)], ["in"], id="in one stride, no sighting on the line"),
        pytest.param(between((2, -2), (2, 0.29)), [], id="onto the line and still there"),
        pytest.param([*between((2, -2), (2, 0.2)), *between((2, 0.2), (2, -2))], [], id="U-turn on the line"),
        pytest.param([(2, -2), *[(2, 0.29 * (-1) ** i) for i in range(50)], (2, -1)], [], id="sways on the line"),
        pytest.param([(2, -2), *[(2, 0.29 * (-1) ** i) for i in range(50)], (2, 1)], ["in"], id="sways, then goes in"),
        pytest.param([(2, -2), (2, 2), (2, -2)], ["in", "out"], id="in and out again"),
        pytest.param([(2, 0), (2, 1)], [], id="first seen on the line, so its side was never known"),
        pytest.param([(2, 0), (2, 1), (2, -1)], ["out"], id="first seen on the line, then out"),
        pytest.param([(2, -1), (6, -1), (6, 1), (2, 1)], [], id="around the far end"),
        pytest.param([(2, -1), (-2, -1), (-2, 1), (2, 1)], [], id="around the near end"),
        pytest.param([(2, -1), (6, -1), (6, 1), (2, 1), (2, -1)], ["out"], id="around the end and back through"),
        pytest.param([(2, -1), (2, 1), (6, 1), (6, -1), (2, -1), (2, 1)], ["in", "in"], id="circles through twice"),
        pytest.param(between((0, -1), (4, 1)), ["in"], id="diagonally"),
        pytest.param(between((-1, 0.1), (5, 0.1)), [], id="along the line within its band"),
        pytest.param([(3, -1), (3.8, -0.2), (4.2, -0.2), (4.6, 0.1), (5, 1)], [], id="on the line, then past its end"),
        pytest.param([(2, -2), (math.nan, math.nan), (2, 2)], ["in"], id="no place for a moment"),
    ],
)
def test_what_counts(path: Path, expected: list[str]) -> None:
    assert crossings(path) == expected


@pytest.mark.parametrize("angle", range(0, 360, 30))
def test_left_of_the_direction_is_in_whichever_way_the_line_points(angle: int) -> None:
    ahead = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    left = np.array([-ahead[1], ahead[0]])
    middle = np.array([3.0, 5.0])
    line = Line(id="door", a=tuple(middle - 2 * ahead), b=tuple(middle + 2 * ahead), band=0.3)
    assert crossings([tuple(middle - left), tuple(middle + left)], line) == ["in"]


def test_in_a_picture_left_is_as_seen() -> None:
    # From a (left) to b (right) the left hand points up the picture, to smaller y.
    assert crossings([(2, 2), (2, -2)], y_up=False) == ["in"]


def test_the_default_band_grows_with_the_body() -> None:
    line = Line(id="door", a=(0.0, 0.0), b=(100.0, 0.0))
    watch = LineWatch([line], y_up=False)
    people, body = np.array([1, 2]), np.array([50.0, 200.0])
    watch.update(people, np.array([[20.0, 60.0], [70.0, 60.0]]), body, 0.0)
    found = watch.update(people, np.array([[20.0, -20.0], [70.0, -20.0]]), body, 0.1)
    assert [crossing.person for crossing in found] == [1]


def test_people_and_lines_are_kept_apart() -> None:
    far = Line(id="far", a=(0.0, 10.0), b=(4.0, 10.0), band=0.3)
    watch = LineWatch([DOOR, far], y_up=True)
    both = np.array([1, 2])
    watch.update(both, np.array([[2.0, -1.0], [2.0, 11.0]]), np.ones(2), 0.0)
    found = watch.update(both, np.array([[2.0, 1.0], [2.0, 9.0]]), np.ones(2), 0.1)
    assert {(one.person, one.line, one.direction) for one in found} == {(1, "door", "in"), (2, "far", "out")}


def test_who_was_first_seen_before_the_line_has_crossed_it_when_they_are_known_behind_it() -> None:
    watch = LineWatch([DOOR], y_up=True)
    someone, body = np.array([1]), np.ones(1)
    found: list[Crossing] = []
    for at, y in enumerate((1.0, 2.0, 3.0)):
        watch.meet(someone, np.array([[2.0, -1.0]]), body, float(at))
        found += watch.update(someone, np.array([[2.0, y]]), body, float(at))
    assert [(one.direction, one.at) for one in found] == [("in", 0.0)]


def test_a_side_outlives_a_gap_but_not_for_ever() -> None:
    watch = LineWatch([DOOR], y_up=True, forget_seconds=60)
    someone, body = np.array([1]), np.ones(1)
    watch.update(someone, np.array([[2.0, -1.0]]), body, 0.0)
    assert watch.update(someone, np.array([[2.0, 1.0]]), body, 4.9)
    watch.update(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0), 70.0)
    assert not watch._sides
    assert not watch._seen_at


def test_a_line_needs_two_ends() -> None:
    with pytest.raises(ConfigurationError, match="line door"):
        Line(id="door", a=(1, 1), b=(1, 1))


places = st.tuples(st.floats(0.5, 3.5), st.floats(-3, 3))


@given(st.lists(places, min_size=1, max_size=60))
def test_net_crossings_are_the_net_change_of_side(path: Path) -> None:
    """Nobody can get around the ends here, so the count is conserved: inside = in - out."""
    found = crossings(path)
    sides = [y > 0 for _, y in path if abs(y) > 0.3]
    change = int(sides[-1]) - int(sides[0]) if sides else 0
    assert found.count("in") - found.count("out") == change
    assert all(one != other for one, other in itertools.pairwise(found))


anywhere = st.tuples(
    st.integers(-300, 700).map(lambda x: x / 100 + 0.00123),  # never through an end of the line
    st.integers(-300, 300).map(lambda y: y / 100 + 0.00321),  # never exactly on it
)


@given(st.lists(anywhere, min_size=2, max_size=40))
def test_turning_the_line_around_swaps_the_directions(path: Path) -> None:
    turned = Line(id="door", a=DOOR.b, b=DOOR.a, band=DOOR.band)
    swapped = {"in": "out", "out": "in"}
    assert crossings(path, turned) == [swapped[one] for one in crossings(path)]


@given(st.lists(anywhere, min_size=2, max_size=40))
def test_a_thin_line_counts_exactly_the_cuts_of_the_path(path: Path) -> None:
    expected = []
    for (x1, y1), (x2, y2) in itertools.pairwise(path):
        if (y1 > 0) != (y2 > 0) and 0 < x1 + (x2 - x1) * y1 / (y1 - y2) < 4:
            expected.append("in" if y2 > 0 else "out")
    assert crossings(path, Line(id="door", a=(0.0, 0.0), b=(4.0, 0.0), band=1e-7)) == expected
