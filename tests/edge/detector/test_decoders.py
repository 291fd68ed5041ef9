import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.detector.decoders import DetrPair, EndToEnd, YoloDense, YoloxGrid, grid_cells, suppress
from tests.support.average_precision import overlap

Corners = tuple[float, float, float, float]
coordinate = st.floats(0, 100, width=32)
length = st.floats(1, 60, width=32)


@st.composite
def scored_boxes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Up to 40 boxes, best first, all confidences different."""
    raw = draw(st.lists(st.tuples(coordinate, coordinate, length, length), min_size=1, max_size=40))
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in raw], np.float32)
    return boxes, np.linspace(0.95, 0.1, len(boxes), dtype=np.float32)


def slow_suppression(boxes: np.ndarray, iou: float) -> tuple[list[int], bool]:
    """Greedy suppression in plain loops, and whether every overlap is clear of the threshold."""
    kept: list[int] = []
    clear = True
    for index in range(len(boxes)):
        overlaps = [overlap(boxes[index].tolist(), boxes[other].tolist()) for other in kept]
        clear = clear and all(abs(each - iou) > 1e-4 for each in overlaps)
        if all(each <= iou for each in overlaps):
            kept.append(index)
    return kept, clear


@given(scored=scored_boxes(), iou=st.sampled_from([0.3, 0.45, 0.65, 0.8]))
def test_suppression_is_what_plain_loops_give(scored: tuple[np.ndarray, np.ndarray], iou: float) -> None:
    boxes, confidence = scored
    expected, clear = slow_suppression(boxes, iou)
    if clear:
        assert suppress(boxes, confidence, iou).tolist() == expected


@given(scored=scored_boxes())
def test_suppression_twice_changes_nothing_and_the_best_box_stays(scored: tuple[np.ndarray, np.ndarray]) -> None:
    boxes, confidence = scored
    kept = suppress(boxes, confidence, 0.65)
    assert kept[0] == 0
    assert suppress(boxes[kept], confidence[kept], 0.65).tolist() == list(range(len(kept)))


def test_yolox_grid_is_decoded_cell_by_cell() -> None:
    width, height = 96, 64
    table = np.random.default_rng(3).normal(0, 0.6, (1, grid_cells(width, height), 5 + 4)).astype(np.float32)
    table[..., 4:] = 1 / (1 + np.exp(-table[..., 4:]))
    expected: list[tuple[float, Corners]] = []
    place = 0
    for stride in (8, 16, 32):
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, log_w, log_h, objectness, *classes = table[0, place].tolist()
                score = objectness * classes[2]
                if score >= 0.3:
                    centre_x, centre_y = (x + column) * stride, (y + row) * stride
                    half_w, half_h = np.exp(log_w) * stride / 2, np.exp(log_h) * stride / 2
                    corners = (centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h)
                    expected.append((score, corners))
                place += 1
    expected.sort(reverse=True)
    decoder = YoloxGrid(index=0, width=width, height=height, person_class=2, confidence=0.3)
    found = decoder.decode([table])
    assert len(expected) > 20
    np.testing.assert_allclose(found.confidence, [score for score, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [corners for _, corners in expected], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("rows", "person_class"), [(84, 0), (84, 7), (56, 0), (5, 0)], ids=str)
def test_dense_columns_are_centres_and_sizes(rows: int, person_class: int) -> None:
    table = np.random.default_rng(4).uniform(0, 1, (1, rows, 300)).astype(np.float32)
    table[0, :4] *= 320
    expected = []
    for cx, cy, w, h, score in table[0, [0, 1, 2, 3, 4 + person_class]].T.tolist():
        if score >= 0.8:
            expected.append((score, (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)))
    expected.sort(reverse=True)
    found = YoloDense(index=0, person_class=person_class, confidence=0.8).decode([table])
    assert expected
    np.testing.assert_allclose(found.confidence, [score for score, _ in expected], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [corners for _, corners in expected], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("columns", [6, 57])
def test_end_to_end_rows_of_other_classes_are_left_out(columns: int) -> None:
    table = np.zeros((1, 300, columns), np.float32)
    table[0, 0, :6] = [10, 20, 30, 60, 0.4, 0]
    table[0, 1, :6] = [50, 20, 70, 60, 0.9, 2]
    table[0, 2, :6] = [11, 20, 31, 60, 0.8, 0]
    table[0, 3, :6] = [90, 20, 99, 60, 0.05, 0]
    found = EndToEnd(index=0, person_class=0, confidence=0.1).decode([table])
    np.testing.assert_allclose(found.boxes, [[11, 20, 31, 60], [10, 20, 30, 60]])
    np.testing.assert_allclose(found.confidence, [0.8, 0.4])


def test_detr_pair_takes_the_sigmoid_of_the_person_logit_without_overflow() -> None:
    logits = np.full((1, 4, 91), -1000, np.float32)
    logits[0, :, 1] = [0.0, 2.0, 1000.0, -1000.0]
    boxes = np.array(
        [[[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0], [0.9, 0.1, 0.2, 0.2], [0.5, 0.5, 1, 1]]], np.float32
    )
    decoder = DetrPair(logits=1, boxes=0, width=400, height=200, person_class=1, confidence=0.1)
    with np.errstate(all="raise"):
        found = decoder.decode([boxes, logits])
    np.testing.assert_allclose(found.confidence, [1.0, 1 / (1 + np.exp(-2.0)), 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [[320, 0, 400, 40], [0, 0, 200, 200], [160, 60, 240, 140]], atol=1e-3)


def test_a_network_gone_wild_is_bounded_to_its_best_thousand() -> None:
    table = np.random.default_rng(5).uniform(0.2, 1, (1, 84, 8400)).astype(np.float32)
    found = YoloDense(index=0, person_class=0, confidence=0.1).decode([table])
    assert len(found.boxes) == 1000
    assert found.confidence[-1] == np.sort(table[0, 4])[-1000]


@pytest.mark.parametrize("decoder", [YoloDense, EndToEnd], ids=["dense", "end to end"])
def test_an_empty_scene_gives_no_boxes(decoder: type[YoloDense] | type[EndToEnd]) -> None:
    found = decoder(index=0, person_class=0, confidence=0.1).decode([np.zeros((1, 84, 84), np.float32)])
    assert found.boxes.shape == (0, 4)
    assert found.confidence.shape == (0,)
