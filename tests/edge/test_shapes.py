import pytest

from edge.shapes import crossing_sides, first_outside, has_area

SQUARE = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]


@pytest.mark.parametrize(
    ("polygon", "sides"),
    [
        pytest.param(SQUARE, None, id="a square"),
        pytest.param([*SQUARE, (0.0, 0.0)], None, id="a square that repeats its first point"),
        pytest.param([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)], (1, 3), id="a bow tie"),
        pytest.param(
            [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, -1.0), (0.0, 4.0)], (1, 3), id="a dent that goes through"
        ),
        pytest.param([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 0.0), (0.0, 4.0)], None, id="a dent that touches"),
    ],
)
def test_sides_that_cut_each_other_are_found(polygon: list[tuple[float, float]], sides: tuple[int, int] | None) -> None:
    assert crossing_sides(polygon) == sides


@pytest.mark.parametrize(
    ("polygon", "area"),
    [
        pytest.param(SQUARE, True, id="a square"),
        pytest.param([(0.0, 0.0), (1.0, 1.0), (5.0, 5.0)], False, id="three points on a line"),
        pytest.param([(2.0, 2.0)] * 3, False, id="one point three times"),
        pytest.param([(0.0, 0.0), (0.0, 0.0), (4.0, 1.0)], False, id="two points"),
        pytest.param([(0.0, 0.0), (0.0, 0.0), (4.0, 1.0), (1.0, 4.0)], True, id="a triangle with a point twice"),
    ],
)
def test_a_polygon_has_an_area_unless_it_is_a_line(polygon: list[tuple[float, float]], *, area: bool) -> None:
    assert has_area(polygon) is area


@pytest.mark.parametrize(
    ("point", "outside"),
    [
        ((0.0, 0.0), False),
        ((640.0, 480.0), False),
        ((-64.0, 528.0), False),
        ((-65.0, 0.0), True),
        ((705.0, 0.0), True),
        ((0.0, 529.0), True),
        ((0.0, -49.0), True),
    ],
)
def test_a_tenth_beyond_the_picture_is_still_at_its_edge(point: tuple[float, float], *, outside: bool) -> None:
    assert first_outside([(5.0, 5.0), point], (640, 480)) == (point if outside else None)
