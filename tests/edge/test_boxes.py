import numpy as np

from edge.boxes import covered

ROOM = np.array([[0, 0, 10, 10]], np.float32)


def test_a_box_is_covered_by_the_share_of_it_that_lies_inside_another() -> None:
    boxes = np.array([[2, 2, 4, 4], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(covered(boxes, ROOM), [1.0, 0.5, 0.0])


def test_of_several_others_the_one_that_covers_most_counts() -> None:
    others = np.concatenate([ROOM, [[0, 0, 3, 10]]])
    np.testing.assert_allclose(covered(np.array([[0.0, 0.0, 4.0, 20.0]]), others), [0.5])


def test_nothing_covers_where_nothing_is() -> None:
    np.testing.assert_array_equal(covered(ROOM, np.empty((0, 4))), [0.0])
    assert covered(np.empty((0, 4)), ROOM).shape == (0,)


def test_a_box_without_area_is_not_covered() -> None:
    np.testing.assert_array_equal(covered(np.array([[3.0, 3.0, 3.0, 5.0]]), ROOM), [0.0])
