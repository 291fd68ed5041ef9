import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from edge.lines import Crossing, Line, LineWatch

DOOR = Line(id="door", a=(0.0, 0.0), b=(4.0, 0.0), band=0.3)
Path = list[tuple[float, float]]


def crossings(path: Path, line: Line = DOOR, *, y_up: bool = True, hold: float = 0.0, rate: float = 10.0) -> list[str]:
    """What one person crosses who is at these places, one a frame."""
    return [crossing.direction for crossing in crossed([{1: place} for place in path], line, y_up, hold, rate)]


def crossed(
    frames: Sequence[dict[int, tuple[float, float]]], line: Line = DOOR, y_up: bool = True,
    hold: float = 0.5, rate: float = 10.0,
) -> list[Crossing]:  # fmt: skip
    """The crossings of people whose places are given frame by frame, up to the end of the watching."""
    watch = LineWatch([line], y_up=y_up, hold_seconds=hold)
    found: list[Crossing] = []
    for number, people in enumerate(frames):
        places = np.array(list(people.values()), float).reshape(-1, 2)
        found += watch.update(np.array(list(people), np.int64), places, np.full(len(people), 1.7), number / rate)
    return [*found, *watch.finish()]


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
        pytest.param([(3, -1), (3.8, -0.2), (4.6, 0.1), (5.4, 1)], [], id="on the line, then past its end"),
        pytest.param([(-2, -1), (-1, 0), (2, 0), (5, 0), (6, 1)], [], id="along the line from end to end"),
        pytest.param([(-1, -1), (-0.4, -0.1), (0.5, 0), (2, 1)], ["in"], id="along the line, then in"),
        pytest.param([(-2, -1), (-1, -0.1), (2, 0), (5, 0.1), (6, -1)], [], id="along the line and back off it"),
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
    watch = LineWatch([line], y_up=False, hold_seconds=0)
    people, body = np.array([1, 2]), np.array([50.0, 200.0])
    watch.update(people, np.array([[20.0, 60.0], [70.0, 60.0]]), body, 0.0)
    found = watch.update(people, np.array([[20.0, -20.0], [70.0, -20.0]]), body, 0.1)
    assert [crossing.person for crossing in found] == [1]


def test_people_and_lines_are_kept_apart() -> None:
    far = Line(id="far", a=(0.0, 10.0), b=(4.0, 10.0), band=0.3)
    watch = LineWatch([DOOR, far], y_up=True, hold_seconds=0)
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
    watch = LineWatch([DOOR], y_up=True, hold_seconds=0, forget_seconds=60)
    someone, body = np.array([1]), np.ones(1)
    watch.update(someone, np.array([[2.0, -1.0]]), body, 0.0)
    assert watch.update(someone, np.array([[2.0, 1.0]]), body, 4.9)
    watch.update(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0), 70.0)
    assert not watch._ways
    assert not watch._seen_at


RATES = pytest.mark.parametrize("rate", [5.0, 10.0, 25.0])


def leg(start: tuple[float, float], end: tuple[float, float], rate: float) -> Path:
    """A walk at 1.2 m/s, as seen so many times a second."""
    return between(start, end, max(2, round(math.dist(start, end) / 1.2 * rate)))


def jittered(path: Path, noise: float, *, seed: int = 5) -> Path:
    """The path as boxes tell it, whose feet are off by so many metres."""
    return [tuple(place) for place in np.random.default_rng(seed).normal(path, noise).tolist()]


@RATES
@pytest.mark.parametrize(("leaves", "expected"), [((2, -3), []), ((2, 3), ["in"])])
def test_ten_minutes_on_the_line_count_as_they_end(
    rate: float, leaves: tuple[float, float], expected: list[str]
) -> None:
    stand = [(2.0, 0.0)] * round(600 * rate)
    path = jittered([*leg((2, -3), (2, 0), rate), *stand, *leg((2, 0), leaves, rate)], 0.12)
    assert crossings(path, hold=0.5, rate=rate) == expected


@RATES
@pytest.mark.parametrize("seed", range(8))
def test_a_walk_along_the_line_and_off_it_again_counts_nothing(rate: float, seed: int) -> None:
    path = [*leg((-3, -2), (-1, -0.05), rate), *leg((-1, -0.05), (5, 0.05), rate), *leg((5, 0.05), (7, -2), rate)]
    assert crossings(jittered(path, 0.08, seed=seed), hold=0.5, rate=rate) == []


@RATES
def test_boxes_that_lose_their_legs_carry_nobody_over_the_line(rate: float) -> None:
    """Somebody stands before the line for ten minutes, and for a fifth of each second the box ends at the knees."""
    path = [(2.0, 0.4 if number / rate % 1 < 0.2 else -0.4) for number in range(round(600 * rate))]
    assert crossings([(2, -1), *path, (2, -1)], hold=0.5, rate=rate) == []


@RATES
def test_who_goes_in_between_lost_frames_is_counted_once(rate: float) -> None:
    path = jittered(leg((2, -3), (2, 3), rate), 0.03)
    seen = np.random.default_rng(11).random(len(path)) < 0.5
    frames = [{1: place} if is_seen else {} for place, is_seen in zip(path, seen.tolist(), strict=True)]
    assert [one.direction for one in crossed(frames, rate=rate)] == ["in"]


@RATES
def test_a_crossing_is_dated_to_the_first_step_behind_the_line(rate: float) -> None:
    path = [(2.0, -1.0)] * 10 + [(2.0, 0.1)] * 10 + [(2.0, 1.0), (2.0, 0.2), (2.0, 1.0), (2.0, 0.2)] + [(2.0, 1.0)] * 50
    (one,) = crossed([{1: place} for place in path], rate=rate)
    assert (one.direction, one.at) == ("in", 10 / rate)


def test_who_is_gone_right_behind_the_line_has_crossed_it() -> None:
    frames = [*({1: place} for place in between((2, -2), (2, 0.4))), *[{}] * 20]
    assert [one.direction for one in crossed(frames)] == ["in"]
    assert [one.direction for one in crossed(frames[:20])] == ["in"], "also where the film ends there"


@RATES
def test_who_turns_round_at_once_has_not_crossed(rate: float) -> None:
    there = leg((2, -2), (2, 0.35), rate)
    assert crossings([*there, *reversed(there)], hold=0.5, rate=rate) == []


@RATES
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(1, 1, ["in"], id="under the same number"),
        pytest.param(1, 2, [], id="under a new one, whose way nobody saw"),
    ],
)
def test_who_is_lost_before_the_line_and_found_behind_it(
    rate: float, before: int, after: int, expected: list[str]
) -> None:
    come, go = leg((2, -3), (2, -0.5), rate), leg((2, 0.5), (2, 3), rate)
    frames = [*({before: place} for place in come), *[{}] * round(3 * rate), *({after: place} for place in go)]
    assert [one.direction for one in crossed(frames, rate=rate)] == expected


@RATES
@pytest.mark.parametrize("confused", [False, True], ids=["kept apart", "taken for each other on the line"])
def test_two_who_change_places_across_the_line_change_nothing(rate: float, confused: bool) -> None:
    there, back = leg((2, -2), (2, 2), rate), leg((2.5, 2), (2.5, -2), rate)
    half = len(there) // 2
    swapped = zip(there[half:], back[half:], strict=True)
    rest = [{1: y, 2: x} if confused else {1: x, 2: y} for x, y in swapped]
    found = crossed([*({1: x, 2: y} for x, y in zip(there[:half], back[:half], strict=True)), *rest], rate=rate)
    assert sorted(one.direction for one in found) == ([] if confused else ["in", "out"])


def test_meeting_somebody_new_loses_nobody_elses_crossing() -> None:
    watch = LineWatch([DOOR], y_up=True)
    one, other = np.array([1]), np.array([1, 2])
    watch.update(one, np.array([[2.0, -1.0]]), np.ones(1), 0.0)
    watch.update(one, np.array([[2.0, 1.0]]), np.ones(1), 0.1)
    both = np.array([[2.0, 1.0], [3.0, 2.0]])
    watch.meet(other, both, np.ones(2), 0.6)
    assert [crossing.person for crossing in watch.update(other, both, np.ones(2), 0.6)] == [1]


@pytest.mark.parametrize(
    ("elder", "younger", "expected"),
    [
        pytest.param([-1, -1, -1, 1, 1, 1], [-1, -1, 1, 1, 1, 1], 1, id="both cross, neither beyond doubt"),
        pytest.param([-1, -1, -1, -1, -1, 1], [-1, 1, 1, 1, 1, 1], 1, id="the younger has crossed"),
        pytest.param([-1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, -1, 1], 1, id="the elder has crossed"),
        pytest.param([-1, -1, -1, 1, 1, 1], [1, 1, 1, 1, 1, 1], 1, id="the younger was first seen behind the line"),
        pytest.param([-1, -1, -1, -1, -1, -1], [1, 1, 1, 1, 1, 1], 1, id="the elder was seen before it to the end"),
        pytest.param([1, 1, 1, 1, 1, 1], [-1, -1, -1, 1, 1, 1], 0, id="the younger seemed to be before it"),
    ],
)
def test_two_who_turn_out_to_be_one_cross_once(elder: list[float], younger: list[float], expected: int) -> None:
    watch = LineWatch([DOOR], y_up=True, hold_seconds=0.3)
    found: list[Crossing] = []
    for number, sides in enumerate(zip(elder, younger, strict=True)):
        places = np.array([(2.0, side) for side in sides])
        found += watch.update(np.array([1, 2]), places, np.ones(2), number / 10)
    watch.merge(1, 2)
    for number in range(len(elder), 30):
        found += watch.update(np.array([1]), np.array([[2.0, 1.0]]), np.ones(1), number / 10)
    assert len([*found, *watch.finish()]) == expected
    assert {person for person, _ in watch._ways} == {1}


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


@settings(deadline=None, max_examples=60)
@given(
    ends=st.tuples(st.booleans(), st.booleans()),
    path=st.lists(places, max_size=6),
    rate=st.sampled_from([5.0, 10.0, 25.0]),
    seed=st.integers(0, 1000),
)
def test_whoever_starts_and_ends_clear_of_the_line_counts_their_net_change_of_side(
    ends: tuple[bool, bool], path: Path, rate: float, seed: int
) -> None:
    """Whatever happens on the way: strolls, pauses on the line, boxes that are off."""
    (first, last) = [(2.0, 2.0 if inside else -2.0) for inside in ends]
    corners = [first, *path, last]
    walk = [place for start, end in itertools.pairwise(corners) for place in leg(start, end, rate)]
    path_seen = [*[first] * 5, *jittered(walk, 0.1, seed=seed), *[last] * 5]
    found = crossings(path_seen, hold=0.5, rate=rate)
    assert found.count("in") - found.count("out") == int(ends[1]) - int(ends[0])
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
