import pytest

from edge.detector.description import Layout
from edge.detector.layouts import Output, decoder_for, recognise
from edge.errors import ModelError


def outputs(**shapes: tuple[int, ...]) -> list[Output]:
    return [Output(name=name, shape=shape) for name, shape in shapes.items()]


KNOWN = {
    "yolox at 416": (416, outputs(output=(1, 3549, 85)), Layout.YOLOX_GRID),
    "yolox with one class": (416, outputs(output=(1, 3549, 6)), Layout.YOLOX_GRID),
    "yolo11 at 320": (320, outputs(output0=(1, 84, 2100)), Layout.YOLO_DENSE),
    "yolo11 pose": (640, outputs(output0=(1, 56, 8400)), Layout.YOLO_DENSE),
    "yolo8 of one class": (640, outputs(output0=(1, 5, 8400)), Layout.YOLO_DENSE),
    "yolo11 segmentation": (640, outputs(output0=(1, 116, 8400), output1=(1, 32, 160, 160)), Layout.YOLO_DENSE),
    "yolo26": (640, outputs(output0=(1, 300, 6)), Layout.YOLO_END_TO_END),
    "yolo26 pose": (640, outputs(output0=(1, 300, 57)), Layout.YOLO_END_TO_END),
    "d-fine": (640, outputs(logits=(1, 300, 80), pred_boxes=(1, 300, 4)), Layout.DETR_PAIR),
    "rf-detr": (384, outputs(dets=(1, 300, 4), labels=(1, 300, 91)), Layout.DETR_PAIR),
    "rf-detr segmentation": (
        432,
        outputs(dets=(1, 200, 4), labels=(1, 200, 91), masks=(1, 200, 108, 108)),
        Layout.DETR_PAIR,
    ),
    "rf-detr of three classes, logits as wide as boxes": (
        384,
        outputs(labels=(1, 300, 4), dets=(1, 300, 4)),
        Layout.DETR_PAIR,
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_known_layouts_are_recognised(case: str) -> None:
    side, shapes, layout = KNOWN[case]
    assert recognise(shapes, width=side, height=side) is layout


UNKNOWN = {
    "yolo5, three anchors a cell": (640, outputs(output=(1, 25200, 85))),
    "a face detector with nine outputs": (
        640,
        outputs(score_8=(1, 12800, 1), bbox_8=(1, 12800, 4), kps_8=(1, 12800, 10)),
    ),
    "a classifier": (224, outputs(probabilities=(1, 1000))),
    "two tables of different length": (640, outputs(logits=(1, 300, 80), boxes=(1, 200, 4))),
    "two tables of which both could be boxes": (640, outputs(one=(1, 300, 4), other=(1, 300, 4))),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_layouts_are_refused_with_what_was_found_and_what_would_do(case: str) -> None:
    side, shapes = UNKNOWN[case]
    with pytest.raises(ModelError) as caught:
        recognise(shapes, width=side, height=side)
    message = str(caught.value)
    for output in shapes:
        assert f"{output.name} {'×'.join(map(str, output.shape))}" in message
    for layout in Layout:
        assert layout.value in message


def test_description_that_contradicts_the_outputs_is_refused() -> None:
    with pytest.raises(ModelError, match="described as yolo-dense, but its outputs are logits"):
        decoder_for(
            Layout.YOLO_DENSE,
            outputs(logits=(1, 300, 80), pred_boxes=(1, 300, 4)),
            width=640,
            height=640,
            person_class=0,
            confidence=0.1,
        )


@pytest.mark.parametrize(
    ("layout", "shapes", "person_class"),
    [
        (Layout.YOLOX_GRID, outputs(output=(1, 3549, 6)), 1),
        (Layout.YOLO_DENSE, outputs(output0=(1, 84, 3549)), 80),
        (Layout.DETR_PAIR, outputs(logits=(1, 300, 80), pred_boxes=(1, 300, 4)), 80),
    ],
    ids=["yolox of one class", "dense", "detr"],
)
def test_person_class_beyond_the_classes_is_refused(layout: Layout, shapes: list[Output], person_class: int) -> None:
    with pytest.raises(ModelError, match=f"person class should be {person_class}"):
        decoder_for(layout, shapes, width=416, height=416, person_class=person_class, confidence=0.1)


def test_dense_layout_with_other_strides_serves_when_it_is_described() -> None:
    decoder = decoder_for(
        Layout.YOLO_DENSE, outputs(output0=(1, 84, 34000)), width=640, height=640, person_class=0, confidence=0.1
    )
    assert decoder.overlapping
