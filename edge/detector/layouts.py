"""Which layout a network's raw outputs have, and the decoder that goes with it.

Knows shapes and names, as the exporters document them. Refuses to know files, sessions and pictures.
A network of none of these layouts is named with what it has, never guessed at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.detector.decoders import Decoder, DetrPair, EndToEnd, YoloDense, YoloxGrid, grid_cells
from edge.detector.description import Layout
from edge.errors import ModelError

__all__ = ["Output", "decoder_for", "outputs_in_words", "recognise"]

MOST_END_TO_END_ROWS = 1000
END_TO_END_COLUMNS = (6, 57)
BOX_NAMES = ("box", "dets")
KNOWN_LAYOUTS = """\
  yolox-grid       one output 1×{cells}×(5+classes), strides 8, 16, 32, not decoded
  yolo-dense       one output 1×(4+classes)×{cells}
  yolo-end-to-end  one output 1×300×6, or 1×300×57 with pose
  detr-pair        logits 1×queries×classes and boxes 1×queries×4"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a network: its name, and its shape as it really came out."""

    name: str
    shape: tuple[int, ...]


def recognise(outputs: Sequence[Output], *, width: int, height: int) -> Layout:
    """The layout these outputs have for an input of this size; ModelError lists what would have done."""
    tables = _tables(outputs)
    cells = grid_cells(width, height)
    if _pair(outputs) is not None:
        return Layout.DETR_PAIR
    if len(tables) == 1:
        _, rows, columns = tables[0].shape
        if rows == cells and columns >= 6:
            return Layout.YOLOX_GRID
        if columns == cells and rows >= 5:
            return Layout.YOLO_DENSE
        if columns in END_TO_END_COLUMNS and rows <= MOST_END_TO_END_ROWS:
            return Layout.YOLO_END_TO_END
    raise ModelError(
        f"its outputs are of no known layout: {outputs_in_words(outputs)}\n"
        f"For its {width}×{height} input these are known:\n{KNOWN_LAYOUTS.format(cells=cells)}"
    )


def decoder_for(
    layout: Layout, outputs: Sequence[Output], *, width: int, height: int, person_class: int, confidence: float
) -> Decoder:
    """The decoder of a layout, once these outputs prove to have that layout and that class."""
    classes = _classes(layout, outputs, cells=grid_cells(width, height))
    if classes is None:
        raise ModelError(f"it is described as {layout}, but its outputs are {outputs_in_words(outputs)}")
    if person_class >= classes:
        found = outputs_in_words(outputs)
        raise ModelError(f"its person class should be {person_class}, but it has {classes} classes: {found}")
    if layout is Layout.DETR_PAIR:
        logits, boxes = _pair(outputs) or (0, 0)
        return DetrPair(
            logits=logits, boxes=boxes, width=width, height=height, person_class=person_class, confidence=confidence
        )
    index = outputs.index(_tables(outputs)[0])
    if layout is Layout.YOLOX_GRID:
        return YoloxGrid(index=index, width=width, height=height, person_class=person_class, confidence=confidence)
    flat = YoloDense if layout is Layout.YOLO_DENSE else EndToEnd
    return flat(index=index, person_class=person_class, confidence=confidence)


def outputs_in_words(outputs: Sequence[Output]) -> str:
    """Names and shapes, as `output0 1×84×8400, output1 1×32×160×160`."""
    return ", ".join(f"{output.name} {'×'.join(map(str, output.shape))}" for output in outputs) or "none"


def _classes(layout: Layout, outputs: Sequence[Output], *, cells: int) -> int | None:
    """How many classes these outputs tell apart if they have this layout; None where they don't have it."""
    if layout is Layout.DETR_PAIR:
        pair = _pair(outputs)
        return outputs[pair[0]].shape[2] if pair else None
    tables = _tables(outputs)
    if len(tables) != 1:
        return None
    _, rows, columns = tables[0].shape
    if layout is Layout.YOLOX_GRID:
        return columns - 5 if rows == cells and columns > 5 else None
    if layout is Layout.YOLO_DENSE:
        return rows - 4 if 4 < rows < columns else None
    # An end-to-end table names the class in a column, so it doesn't tell how many there are.
    return 2**31 if 6 <= columns < rows else None


def _tables(outputs: Sequence[Output]) -> list[Output]:
    """Outputs 1×rows×columns; masks have four axes and are left aside."""
    return [output for output in outputs if len(output.shape) == 3 and output.shape[0] == 1]


def _pair(outputs: Sequence[Output]) -> tuple[int, int] | None:
    """Places of logits and boxes. Names decide first: with three classes and background both are ×4."""
    tables = _tables(outputs)
    if len(tables) != 2 or tables[0].shape[1] != tables[1].shape[1]:
        return None
    fours = [table for table in tables if table.shape[2] == 4]
    named = [table for table in fours if any(word in table.name.lower() for word in BOX_NAMES)]
    boxes = named if len(named) == 1 else fours
    if len(boxes) != 1:
        return None
    logits = tables[1] if boxes[0] is tables[0] else tables[0]
    return outputs.index(logits), outputs.index(boxes[0])
