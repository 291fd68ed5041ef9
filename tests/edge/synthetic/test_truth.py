import itertools

import numpy as np
import pytest

from edge.synthetic.life import Person
from edge.synthetic.plan import DOOR, Point, Rectangle, Zone
from edge.synthetic.till import MOST_IN_LINE, Till
from edge.synthetic.truth import crossings, spans_inside, stay_of, steps_of


def walk(*places: Point, pace: float = 1.0) -> Person:
    lengths = [float(np.hypot(b[0] - a[0], b[1] - a[1])) or 1.0 for a, b in itertools.pairwise(places)]
    times = np.cumsum([100.0, *(length / pace for length in lengths)])
    return Person(id=1, height_m=1.7, times=times, places=np.asarray(places, float))


SQUARE = Rectangle(0, 0, 2, 2)


@pytest.mark.parametrize(
    ("person", "spans"),
    [
        pytest.param(walk((-2, 1), (4, 1)), [(102, 104)], id="straight through"),
        pytest.param(walk((-2, -2), (4, 4)), [(100 + 8**0.5, 100 + 2 * 8**0.5)], id="along the diagonal"),
        pytest.param(walk((-2, 1), (1, 1), (1, 1), (1, 4)), [(102, 105)], id="stands inside for a second"),
        pytest.param(walk((-2, 1), (4, 1), (-2, 1)), [(102, 104), (108, 110)], id="comes back"),
        pytest.param(walk((-2, 3), (4, 3)), [], id="passes by"),
    ],
)
def test_when_somebody_is_in_a_zone(person: Person, spans: list[tuple[float, float]]) -> None:
    (found,) = spans_inside(person, [SQUARE])
    for one, other in zip(found, spans, strict=True):
        assert one == pytest.approx(other)


def test_the_door_is_crossed_in_and_out() -> None:
    there_and_back = walk((1.5, 0), (1.5, 1.9), (1.5, 0))
    passed = crossings(there_and_back, DOOR)
    assert [(round(one.at, 6), one.inward) for one in passed] == [(100.9, True), (102.9, False)]
    assert crossings(walk((5, 0), (5, 2)), DOOR) == (), "beyond the line's end"
    assert crossings(walk((1.5, 0), (1.5, 0.85), (1.5, 0)), DOOR) == (), "turned back before the line"


def test_a_stay_is_from_the_first_crossing_to_the_last() -> None:
    stay = stay_of(walk((1.5, 0), (1.5, 2.9), (1.5, 0)), zones=[Zone("square", SQUARE)])
    assert (stay.entered_at, stay.left_at) == pytest.approx((100.9, 104.9))
    assert stay.dwell_seconds == pytest.approx(4.0)
    assert stay.zone_seconds() == pytest.approx({"square": 4.0})


def test_steps_are_parted_by_whole_seconds_and_lie_where_they_walk() -> None:
    steps = steps_of(walk((0, 0), (2, 0), (2, 1)), 100.25, 102.5)
    assert steps.starts.tolist() == [100.25, 101, 102]
    assert steps.milliseconds.tolist() == [750, 1000, 500]
    assert steps.places.tolist() == [[0.625, 0], [1.5, 0], [2, 0.25]]


def test_a_till_serves_in_order_and_lets_the_impatient_go() -> None:
    till = Till()

    def join(at: float, patience: float = 1000.0) -> tuple[int, float, float | None, float]:
        turn = till.join(decided_at=at, arrives_at=at + 2, service_seconds=30, patience_seconds=patience)
        assert turn is not None
        return turn.first_place, turn.stay.joined_at, turn.stay.served_at, turn.gone_at

    assert join(0) == (0, 2, 2, 32)
    assert join(5, patience=10) == (1, 7, None, 17)
    assert join(6) == (2, 8, 33, 63)
    assert till.places_taken(20) == 2
    assert till.places_taken(40) == 1
    assert join(40) == (1, 42, 64, 94)


def test_a_full_line_takes_nobody() -> None:
    till = Till()
    turns = [
        till.join(decided_at=0, arrives_at=1, service_seconds=60, patience_seconds=9999) for _ in range(MOST_IN_LINE)
    ]
    assert None not in turns
    assert till.join(decided_at=1, arrives_at=2, service_seconds=60, patience_seconds=9999) is None
