from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.heatmap import CELLS, HeatMap, Presence, TileIncrement, to_tenths


def one_place(x: float, y: float) -> TileIncrement:
    heat = HeatMap(0.5)
    heat.add(np.array([[x, y]]), np.array([100]))
    (increment,) = heat.take()
    return increment


@pytest.mark.parametrize(
    ("place", "tile", "cell"),
    [
        pytest.param((0.0, 0.0), (0, 0), 0, id="origin"),
        pytest.param((0.49, 0.0), (0, 0), 0, id="same cell"),
        pytest.param((0.5, 0.0), (0, 0), 1, id="next cell in x"),
        pytest.param((0.0, 0.5), (0, 0), CELLS, id="next row in y"),
        pytest.param((15.99, 15.99), (0, 0), CELLS * CELLS - 1, id="last cell of the tile"),
        pytest.param((16.0, 0.0), (1, 0), 0, id="next tile"),
        pytest.param((-0.01, 0.0), (-1, 0), CELLS - 1, id="just left of the origin"),
        pytest.param((0.0, -16.01), (0, -2), CELLS * (CELLS - 1), id="two tiles below"),
    ],
)
def test_a_place_has_one_cell(place: tuple[float, float], tile: tuple[int, int], cell: int) -> None:
    increment = one_place(*place)
    assert (increment.tx, increment.ty) == tile
    assert increment.cells == {cell: 100}


def test_taking_empties_the_map_and_orders_the_layers() -> None:
    heat = HeatMap(40)
    heat.add(np.array([[10.0, 10.0], [10.0, 20.0]]), np.array([250, 130]))
    heat.enter(np.array([[10.0, 10.0]]))
    assert heat.take() == (
        TileIncrement(layer="entries", tx=0, ty=0, cells={0: 1}),
        TileIncrement(layer="presence", tx=0, ty=0, cells={0: 380}),
    )
    assert heat.take() == ()


def test_no_time_and_no_place_leave_no_trace() -> None:
    heat = HeatMap(0.5)
    heat.add(np.array([[1.0, 1.0], [np.nan, 1.0]]), np.array([0, 500]))
    assert heat.take() == ()


@given(
    st.lists(
        st.tuples(st.floats(-200, 200), st.floats(-200, 200), st.integers(0, 1000)),
        max_size=60,
    )
)
def test_nothing_is_lost_between_places_and_tiles(sightings: list[tuple[float, float, int]]) -> None:
    heat = HeatMap(0.5)
    for x, y, milliseconds in sightings:
        heat.add(np.array([[x, y]]), np.array([milliseconds]))
    increments = heat.take()
    total = sum(sum(increment.cells.values()) for increment in increments)
    assert total == sum(milliseconds for *_, milliseconds in sightings)
    assert all(0 <= cell < CELLS * CELLS for increment in increments for cell in increment.cells)


def credited(presence: Presence, people: dict[int, float], at: float) -> list[int]:
    """What is credited to people, given by when they were first seen."""
    milliseconds = presence.update(np.array([*people], np.int64), np.array([*people.values()]), at)
    return [int(one) for one in milliseconds]


def test_presence_is_the_time_since_the_last_sighting_up_to_a_second() -> None:
    presence = Presence()
    assert credited(presence, {1: 10.0}, 10.0) == [0]
    assert credited(presence, {1: 10.0, 2: 10.1}, 10.1) == [100, 0]
    assert credited(presence, {2: 10.1}, 10.2) == [100]
    assert credited(presence, {1: 10.0, 2: 10.1}, 14.0) == [1000, 1000]


def test_presence_begins_at_the_first_sighting_and_not_when_somebody_is_known_to_be_one() -> None:
    presence = Presence()
    assert credited(presence, {1: 9.3, 2: 5.0}, 10.0) == [700, 1000]
    assert credited(presence, {1: 9.3, 2: 5.0}, 10.1) == [100, 100]


def test_presence_forgets_who_is_long_gone() -> None:
    presence = Presence(forget_seconds=60)
    credited(presence, {1: 0.0, 2: 0.0}, 0.0)
    credited(presence, {2: 0.0}, 50.0)
    credited(presence, {3: 61.0}, 61.0)
    assert set(presence._seen) == {2, 3}


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=200))
def test_credits_of_an_unbroken_stay_add_up_to_it(pauses: list[float]) -> None:
    presence, at, total = Presence(), 5.0, 0
    credited(presence, {1: at}, at)
    for pause in pauses:
        at += pause
        total += credited(presence, {1: 5.0}, at)[0]
    assert total == round(at * 1000) - 5000


def test_tenths_go_to_the_largest_remainders_first() -> None:
    assert to_tenths({4: 140, 7: 190, 9: 70, 11: 20}) == {4: 1, 7: 2, 9: 1}
    assert to_tenths({3: 50, 1: 50}) == {1: 1}
    assert to_tenths({}) == {}


@given(st.dictionaries(st.integers(0, 1023), st.integers(0, 100_000), max_size=50))
def test_tenths_sum_to_the_rounded_total_and_stay_next_to_the_truth(milliseconds: dict[int, int]) -> None:
    tenths = to_tenths(milliseconds)
    total = Fraction(sum(milliseconds.values()), 100)
    assert sum(tenths.values()) == (total + Fraction(1, 2)).__floor__()
    for cell, value in milliseconds.items():
        assert abs(tenths.get(cell, 0) - Fraction(value, 100)) < 1
    assert all(value > 0 for value in tenths.values())
