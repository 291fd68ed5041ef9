"""What must be known about a network before its numbers mean people.

Knows the ways a picture may be fed and the layouts an answer may have, and what is usual for each
layout. Refuses to know names, addresses, licences and files: those are a manifest's.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["USUAL_INPUT", "Description", "InputFormat", "Layout"]

Side = Annotated[int, Field(ge=32, le=8192)]
Triple = tuple[float, float, float]


class Layout(StrEnum):
    """The four ways in use of writing down what was found."""

    YOLOX_GRID = "yolox-grid"
    YOLO_DENSE = "yolo-dense"
    YOLO_END_TO_END = "yolo-end-to-end"
    DETR_PAIR = "detr-pair"


class InputFormat(BaseModel):
    """How a network wants its picture.

    `width` and `height` are needed where the file leaves them open; a file's own fixed size wins.
    `fit`: `stretch` ignores proportions, `corner` and `centre` keep them and pad with `pad`.
    `mean` and `deviation` are per channel in the network's colour order, on the scale 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Side | None = None
    height: Side | None = None
    colour: Literal["bgr", "rgb"]
    scale: Literal["0-1", "0-255"]
    fit: Literal["centre", "corner", "stretch"]
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    mean: Triple | None = None
    deviation: Triple | None = None


class Description(BaseModel):
    """What is known about one network; what is absent is recognised when the file is opened.

    `iou`: of two boxes that share more than this of their union, the surer stays (layouts that tell of a person twice).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout | None = None
    person_class: Annotated[int, Field(ge=0)] | None = None
    input: InputFormat | None = None
    iou: Annotated[float, Field(gt=0, le=1)] = 0.65


USUAL_INPUT = {
    Layout.YOLOX_GRID: InputFormat(colour="bgr", scale="0-255", fit="corner"),
    Layout.YOLO_DENSE: InputFormat(colour="rgb", scale="0-1", fit="centre"),
    Layout.YOLO_END_TO_END: InputFormat(colour="rgb", scale="0-1", fit="centre"),
    Layout.DETR_PAIR: InputFormat(colour="rgb", scale="0-1", fit="stretch"),
}
