import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from edge.zones import Areas, Zone, ZoneMove, ZoneReading, ZoneWatch

SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
RIGHT_OF_IT = ((4.0, 0.0), (8.0, 0.0), (8.0, 4.0), (4.0, 4.0))
U_SHAPE = ((0.0, 0.0), (6.0, 0.0), (6.0, 4.0), (4.0, 4.0), (4.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0))


def walk(watch: ZoneWatch, x_by_time: list[tuple[float, float]]) -> list[ZoneReading]:
    """One person at (x, 2) at these times."""
    return [watch.update(np.array([1]), np.array([[x, 2.0]]), at) for at, x in x_by_time]


def moves(readings: list[ZoneReading]) -> list[tuple[str, float]]:
    return [(move.kind, move.at) for reading in readings for move in reading.moves]


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        pytest.param((2, 2), True, id="middle"),
        pytest.param((5, 2), False, id="beside"),
        pytest.param((0, 2), True, id="left border belongs to it"),
        pytest.param((4, 2), False, id="right border does not"),
        pytest.param((2, 0), True, id="lower border belongs to it"),
        pytest.param((2, 4), False, id="upper border does not"),
        pytest.param((np.nan, 2), False, id="no place on the floor"),
    ],
)
def test_a_square_contains(place: tuple[float, float], inside: bool) -> None:
    assert Areas([SQUARE]).contain(np.array([place], float)).tolist() == [[inside]]


def test_a_concave_zone_excludes_its_notch() -> None:
    places = np.array([[3.0, 3.0], [1.0, 3.0], [5.0, 3.0], [3.0, 1.0]])
    assert Areas([SQUARE, U_SHAPE]).contain(places)[:, 1].tolist() == [False, True, True, True]


@given(st.integers(-1, 5), st.integers(-1, 5))
def test_somebody_on_a_common_border_is_in_one_zone(x: int, y: int) -> None:
    there = Areas([SQUARE, RIGHT_OF_IT]).contain(np.array([[x, y]], float))
    assert there.sum() == (1 if 0 <= x < 8 and 0 <= y < 4 else 0)


def test_direction_of_the_polygon_does_not_matter() -> None:
    places = np.random.default_rng(3).uniform(-1, 7, (500, 2))
    one_way, other_way = Areas([U_SHAPE, U_SHAPE[::-1]]).contain(places).T
    assert (one_way == other_way).all()


def test_border_distance_is_to_the_nearest_point() -> None:
    distances = Areas([SQUARE, RIGHT_OF_IT]).border_distances(np.array([[2.0, 1.0], [7.0, 8.0], [4.0, 2.0]]))
    assert distances.tolist() == [[1.0, 2.0], [5.0, 4.0], [0.0, 0.0]]


@pytest.mark.parametrize(("zones", "people"), [(0, 3), (2, 0), (0, 0)])
def test_nobody_and_no_zone_are_no_mistake(zones: int, people: int) -> None:
    areas, places = Areas([SQUARE] * zones), np.ones((people, 2))
    assert areas.contain(places).shape == areas.border_distances(places).shape == (people, zones)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param([(0, -3), (1, 2)], [("entered", 1)], id="clearly in counts at once"),
        pytest.param([(0, -3), (1, 0.1), (1.5, 0.1)], [], id="on the border for less than the hold"),
        pytest.param([(0, -3), (1, 0.1), (2, 0.1)], [("entered", 1)], id="on the border for the hold, dated back"),
        pytest.param([(0, 2)] + [(1 + i / 10, 0.1 * (-1) ** i) for i in range(60)], [("entered", 0)], id="flicker"),
        pytest.param([(0, 2), (1, -0.1), (2.5, -0.1)], [("entered", 0), ("left", 1)], id="held outside"),
        pytest.param([(0, 2), (1, -0.1), (1.2, -2)], [("entered", 0), ("left", 1)], id="through the border and out"),
        pytest.param([(0, -3), (0.2, 0.1), (0.5, -2), (1, 0.1), (1.5, 0.1)], [], id="touches twice, never held"),
        pytest.param([(0, 0.1), (0.5, -2)], [("entered", 0), ("left", 0.5)], id="first seen on the border, inside"),
        pytest.param([(0, 2), (5, 2), (10.1, 9)], [("entered", 0), ("left", 10.1)], id="walks out clearly"),
    ],
)
def test_a_border_is_debounced(path: list[tuple[float, float]], expected: list[tuple[str, float]]) -> None:
    watch = ZoneWatch([Zone(id="shelf", polygon=SQUARE)], margin=0.3)
    assert moves(walk(watch, path)) == expected


def test_who_is_hidden_stays_and_who_is_gone_has_left() -> None:
    watch = ZoneWatch([Zone(id="shelf", polygon=SQUARE)], margin=0.3, gone_seconds=5)
    walk(watch, [(0, 2)])
    nobody = np.empty(0, np.int64), np.empty((0, 2))
    assert watch.update(*nobody, 4.0).moves == ()
    reading = watch.update(*nobody, 5.5)
    assert reading.occupancy.tolist() == [0]
    assert reading.moves == (ZoneMove(person=1, zone="shelf", kind="left", at=0.0),)
    assert not watch._people


def test_two_who_turn_out_to_be_one_leave_once() -> None:
    watch = ZoneWatch([Zone(id="shelf", polygon=SQUARE)], margin=0.3)
    watch.update(np.array([1, 2]), np.array([[2.0, 2.0], [2.2, 2.0]]), 0.0)
    watch.merge(1, 2)
    reading = watch.update(np.array([1]), np.array([[2.0, 9.0]]), 0.5)
    assert [(move.person, move.kind) for move in reading.moves] == [(1, "left")]
    assert watch.update(np.empty(0, np.int64), np.empty((0, 2)), 9.0).moves == ()


def test_only_who_is_seen_is_counted() -> None:
    watch = ZoneWatch([Zone(id="shelf", polygon=SQUARE)], margin=0.3)
    place = np.array([[2.0, 2.0]])
    counts = [watch.update(np.array([number // 10]), place, number / 10).occupancy[0] for number in range(100)]
    assert set(counts) == {1}, "one after another comes and goes at once"


def test_several_people_and_zones_keep_their_rows_and_columns() -> None:
    watch = ZoneWatch([Zone(id="left", polygon=SQUARE), Zone(id="right", polygon=RIGHT_OF_IT)], margin=0.1)
    reading = watch.update(np.array([7, 9, 11]), np.array([[6.0, 2.0], [2.0, 2.0], [2.0, 9.0]]), 0.0)
    assert reading.inside.tolist() == [[False, True], [True, False], [False, False]]
    assert reading.occupancy.tolist() == [1, 1]


def test_no_zones_are_no_trouble() -> None:
    reading = ZoneWatch([], margin=1).update(np.array([1]), np.array([[0.0, 0.0]]), 0.0)
    assert reading.inside.shape == (1, 0)
    assert reading.occupancy.shape == (0,)


@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(-2, 6)), min_size=1, max_size=40))
def test_entering_and_leaving_alternate_and_match_the_occupancy(steps: list[tuple[float, float]]) -> None:
    watch = ZoneWatch([Zone(id="shelf", polygon=SQUARE)], margin=0.3)
    times = np.cumsum([pause for pause, _ in steps]).tolist()
    readings = walk(watch, [(at, x) for at, (_, x) in zip(times, steps, strict=True)])
    kinds = [kind for kind, _ in moves(readings)]
    assert kinds == (["entered", "left"] * len(kinds))[: len(kinds)]
    assert readings[-1].occupancy[0] == kinds.count("entered") - kinds.count("left")
    assert all(reading.inside[0, 0] == (reading.occupancy[0] == 1) for reading in readings)


BOTH = (Zone(id="left", polygon=SQUARE), Zone(id="right", polygon=RIGHT_OF_IT))


@pytest.mark.parametrize("rate", [5, 10, 25])
def test_two_minutes_on_a_common_border_are_two_minutes_in_one_zone_or_the_other(rate: int) -> None:
    watch = ZoneWatch(BOTH, margin=0.3)
    places = np.random.default_rng(3).normal((4.0, 2.0), 0.1, (120 * rate, 2))
    inside = [watch.update(np.array([1]), place[None], at / rate).inside[0] for at, place in enumerate(places)]
    assert np.sum(inside, axis=1).tolist() == [1] * (120 * rate)


steps = st.tuples(st.floats(0.04, 6), st.floats(-1, 9), st.floats(-1, 5), st.booleans())


@settings(deadline=None)
@given(st.lists(st.tuples(steps, steps), min_size=1, max_size=30))
def test_comings_and_goings_alternate_and_nobody_is_in_two_zones(
    frames: list[tuple[tuple[float, float, float, bool], tuple[float, float, float, bool]]],
) -> None:
    """Two people anywhere, each seen now and then, and at the end not any more."""
    watch = ZoneWatch(BOTH, margin=0.3)
    kinds: dict[tuple[int, str], list[str]] = {}
    at = 0.0
    for frame in frames:
        at += frame[0][0]
        seen = [person for person in (0, 1) if frame[person][3]]
        places = np.array([frame[person][1:3] for person in seen]).reshape(-1, 2)
        reading = watch.update(np.array(seen, np.int64), places, at)
        for move in reading.moves:
            assert move.at <= at
            kinds.setdefault((move.person, move.zone), []).append(move.kind)
        assert (reading.inside.sum(axis=1) <= 1).all()
        for row, person in enumerate(seen):
            known = [(kinds.get((person, zone.id)) or ["left"])[-1] == "entered" for zone in BOTH]
            assert reading.inside[row].tolist() == known
    for move in watch.update(np.empty(0, np.int64), np.empty((0, 2)), at + 10).moves:
        kinds[move.person, move.zone].append(move.kind)
    assert all(kind == ["entered", "left"] * (len(kind) // 2) for kind in kinds.values())


def test_a_zone_needs_an_area() -> None:
    with pytest.raises(ConfigurationError, match="zone till"):
        Zone(id="till", polygon=((0, 0), (1, 1), (0, 0)))
